"""Constant channels fold into the layers that read them: b + W[:, i] x_i = (b + v W[:, i]) where x_i is constant v."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import bias_of, constant_flow, set_bias
from edgeticket.graph.channels.state import Floats, Linear, State
from edgeticket.graph.values import Array, change_constant, constant, new_constant, to_dtype


def fold_constant_channels(state: State) -> int:
    """Zero the weights that read constant channels and add what they contributed to the bias. Returns how many folded.

    Declined, with a sentence in `state`: a constant other than 0 in front of zero padding, and a bias that would not
    be finite.
    """
    return sum(_fold(state, linear) for linear in state.linears)


def _fold(state: State, linear: Linear) -> int:
    array, node = constant(linear.weight), linear.node
    assert array is not None
    channels = array.shape[linear.out_axis]
    bias = np.zeros(channels) if node.op_type == "MatMul" else bias_of(node, channels)
    assert bias is not None
    flow = constant_flow(linear, bias)
    source = linear.source.constant
    kept = ~flow.foldable & ~np.isnan(source if not linear.depthwise else np.repeat(source, channels // len(source)))
    reads = flow.used[:, 0] if linear.depthwise else flow.used.any(axis=0)
    if (kept & reads).any():
        state.decline(
            "they read constants other than 0 through zero padding, so those channels stay", linear.weight.name
        )
    gone = flow.foldable & reads
    if not gone.any():
        return 0
    moved = bias * linear.bias_scale + flow.shift
    if not np.isfinite(to_dtype(moved, array.dtype)).all():
        state.decline("the folded bias would not be finite", linear.weight.name)
        return 0

    def without(weight: Array) -> Array:
        weight = np.array(weight)
        taps = np.moveaxis(weight, (linear.out_axis, linear.in_axis), (0, 1))
        taps[gone if linear.depthwise else (slice(None), gone)] = 0
        return weight

    if np.any(flow.shift):
        if node.op_type == "MatMul":
            _add_after(state.graph, node, moved, array.dtype)
        else:
            set_bias(state.graph, node, moved, array.dtype)
    change_constant(linear.weight, without)
    return int(np.count_nonzero(gone))


def _add_after(graph: ir.Graph, node: ir.Node, bias: Floats, dtype: np.dtype[Any]) -> None:
    """Put an Add with the bias behind a MatMul."""
    output = node.outputs[0]
    readers = [(use.node, use.idx) for use in output.uses()]
    weight = node.inputs[1]
    base = (weight.name if weight is not None else None) or "layer.weight"
    shift = new_constant(graph, base.removesuffix(".weight") + ".bias", to_dtype(bias, dtype), bias)
    add = ir.Node("", "Add", [output, shift], num_outputs=1, name=f"{node.name or output.name}.bias")
    result = add.outputs[0]
    result.type, result.shape = output.type, output.shape
    graph.insert_after(node, add)
    for reader, index in readers:
        reader.replace_input_with(index, result)
    if output.is_graph_output():
        name = output.name
        output.name = f"{name}.before_bias"
        result.name = name
        graph.outputs[list(graph.outputs).index(output)] = result
