"""Rules for operators that treat each channel by itself: normalisation by stored statistics, pooling, reductions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.state import Cut, State, rank_of
from edgeticket.graph.values import attribute, constant, exact


def batch_normalization(state: State, node: ir.Node) -> bool:
    """Normalisation that could not be folded: a number of its own for each channel."""
    source = state.followed_input(node.inputs[0])
    parameters = [constant(value) for value in node.inputs[1:5]]
    if source is None or source.axis != 1 or attribute(node, "training_mode", 0) or attribute(node, "spatial", 1) != 1:
        return False
    if any(array is None or array.shape != (source.count,) for array in parameters) or len(parameters) != 4:
        return False
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return False
    gamma, beta, mean, variance = (exact(value) for value in node.inputs[1:5] if value is not None)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + np.float64(np.float32(attribute(node, "epsilon", 1e-5))))
        moved = np.where(scale == 0, 0.0, scale * (source.constant - mean)) + beta
    state.cuts += [Cut(node, index, 0, source.units) for index in range(1, 5)]
    state.write(node.outputs[0], 1, source.units, moved)
    return True


def pool(state: State, node: ir.Node) -> bool:
    """Pooling of each channel. An average over padding keeps only the constant 0."""
    source = state.followed_input(node.inputs[0])
    if source is None or source.axis != 1 or any(o.uses() or o.is_graph_output() for o in node.outputs[1:]):
        return False
    kept = source.constant
    if node.op_type == "AveragePool":
        padded = any(attribute(node, "pads", ())) or attribute(node, "auto_pad", "NOTSET").startswith("SAME")
        if attribute(node, "ceil_mode", 0) or (padded and attribute(node, "count_include_pad", 0)):
            kept = np.where(kept == 0, 0.0, np.nan)
    state.write(node.outputs[0], 1, source.units, kept)
    return True


def reduce(state: State, node: ir.Node) -> bool:
    """A mean, maximum or minimum over other axes than the channels'."""
    source = state.followed_input(node.inputs[0])
    rank = rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    axes = attribute(node, "axes", None)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        axes = None if listed is None else [int(axis) for axis in listed.reshape(-1)]
    if not axes:
        return False
    reduced = {axis % rank for axis in axes}
    if source.axis in reduced or 0 in reduced:
        return False
    axis = source.axis
    if not attribute(node, "keepdims", 1):
        axis -= sum(other < source.axis for other in reduced)
    state.write(node.outputs[0], axis, source.units, source.constant)
    return True
