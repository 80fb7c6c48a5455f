"""Rules for operators that treat each channel by itself: normalisation, pooling, reductions, softmax elsewhere."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Bools, Channels, Cut, Fix, Grid, Keep, Needs, Units
from edgeticket.graph.channels.repeated import count_of, group_normalised, reduced_to, spread_evenly, window
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import attribute, constant, exact, set_attribute

_SUMS = ("ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare")


def batch_normalization(state: State, node: ir.Node) -> bool:
    """Normalisation that could not be folded: a number of its own for each channel."""
    source = _on_axis_1(state, node)
    parameters = [constant(value) for value in node.inputs[1:5]]
    if source is None or attribute(node, "training_mode", 0) or attribute(node, "spatial", 1) != 1:
        return False
    if any(array is None or array.shape != (source.count,) for array in parameters) or len(parameters) != 4:
        return False
    if _other_outputs(node):
        return False
    gamma, beta, mean, variance = (exact(value) for value in node.inputs[1:5] if value is not None)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + np.float64(np.float32(attribute(node, "epsilon", 1e-5))))
        moved = np.where(scale == 0, 0.0, scale * (source.constant - mean)) + beta
    state.cuts += [Cut(node, index, (0,), source.units) for index in range(1, 5)]
    state.write(node.outputs[0], (1,), source.units, moved)
    return True


def instance_normalization(state: State, node: ir.Node) -> bool:
    """Each channel's own mean and variance: one that is constant becomes its bias."""
    source = _on_axis_1(state, node)
    scale, bias = (constant(value) for value in node.inputs[1:3])
    if source is None or scale is None or bias is None or scale.shape != (source.count,) or bias.shape != scale.shape:
        return False
    assert node.inputs[2] is not None
    moved = np.where(np.isnan(source.constant) & (scale != 0), np.nan, exact(node.inputs[2]))
    state.cuts += [Cut(node, index, (0,), source.units) for index in (1, 2)]
    state.write(node.outputs[0], (1,), source.units, moved)
    return True


def group_normalization(state: State, node: ir.Node) -> bool:
    """Groups of channels are normalised together: a whole group goes, or none of it."""
    source = _on_axis_1(state, node)
    groups = attribute(node, "num_groups", 0)
    scale, bias = (constant(value) for value in node.inputs[1:3])
    if source is None or scale is None or bias is None or groups < 1 or source.count % groups:
        return False
    if scale.shape != bias.shape or scale.shape not in ((groups,), (source.count,)):
        return False
    rows = source.units.reshape(groups, -1)
    state.tie(np.repeat(rows[:, :1], rows.shape[1], axis=1), rows)
    units = rows[:, 0] if scale.shape == (groups,) else source.units
    state.cuts += [Cut(node, index, (0,), units) for index in (1, 2)]
    state.fixes.append(Fix(node, partial(_regroup, node, rows[:, 0])))
    state.write(node.outputs[0], (1,), source.units, group_normalised(node, source.constant, groups))
    _annotate(node)
    return True


def _regroup(node: ir.Node, groups: Units, keep: Keep) -> None:
    set_attribute(node, "num_groups", int(keep(groups).sum()))


def _on_axis_1(state: State, node: ir.Node) -> Channels | None:
    """The channels of an input [N, C, ...]."""
    value = node.inputs[0]
    known = state.followed_input(value)
    if known is None or value is None or 1 not in known.axes:
        return None
    return state.read(value, (1,), (known.units.shape[known.axes.index(1)],))


def _annotate(node: ir.Node) -> None:
    """The output's shape is the input's, where inference does not know the operator."""
    value, output = node.inputs[0], node.outputs[0]
    if output.shape is None and value is not None:
        output.shape = value.shape


def _other_outputs(node: ir.Node) -> bool:
    return any(output.uses() or output.is_graph_output() for output in node.outputs[1:])


def pool(state: State, node: ir.Node) -> bool:
    """Pooling of each channel. An average over padding keeps only the constant 0."""
    source = _on_axis_1(state, node)
    if source is None or _other_outputs(node):
        return False
    kept = source.constant
    if node.op_type == "AveragePool":
        padded = any(attribute(node, "pads", ())) or attribute(node, "auto_pad", "NOTSET").startswith("SAME")
        if attribute(node, "ceil_mode", 0) or (padded and attribute(node, "count_include_pad", 0)):
            kept = np.where(kept == 0, 0.0, np.nan)
    state.write(node.outputs[0], (1,), source.units, kept)
    return True


def sample(state: State, node: ir.Node) -> bool:
    """Each channel is sampled by itself, with zeros outside, or raised to a power and summed: 0 stays 0."""
    source = _on_axis_1(state, node)
    if source is None:
        return False
    for value in node.inputs[1:]:
        state.pin(value)  # the places, which have no channels
    kept = np.where(source.constant == 0, 0.0, np.nan)
    if node.op_type in ("GlobalLpPool", "LpPool") and (count := window(node)) is not None:
        kept = np.abs(source.constant) * count ** (1 / attribute(node, "p", 2))
    state.write(node.outputs[0], (1,), source.units, kept)
    return True


def axes_of(node: ir.Node) -> list[int] | None:
    """The constant axes of a Squeeze, Unsqueeze or reduction: an attribute, later an input; None where not known."""
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        return None if listed is None else [int(axis) for axis in listed.reshape(-1)]
    return list(attribute(node, "axes", ())) or None


def reduce(state: State, node: ir.Node) -> bool:
    """A mean, maximum, sum or norm over other axes than the channels'."""
    source, axes = state.followed_input(node.inputs[0]), axes_of(node)
    rank = rank_of(node.inputs[0])
    if source is None or rank is None or not axes:
        return False
    reduced = {axis % rank for axis in axes}
    if reduced & set(source.axes):
        return _sum(state, node, source, reduced)
    kept = reduced_to(node.op_type, source.constant, count_of(node, reduced))
    moved = {axis: axis for axis in source.axes}
    if not attribute(node, "keepdims", 1):
        moved = {axis: axis - sum(other < axis for other in reduced) for axis in source.axes}
    ragged = None if source.ragged is None else moved[source.ragged]
    state.write(node.outputs[0], tuple(moved.values()), source.units, kept, ragged)
    return True


def _sum(state: State, node: ir.Node, source: Channels, reduced: set[int]) -> bool:
    """A sum over channels: those that are 0 add nothing."""
    if node.op_type not in _SUMS or (set(source.axes) - reduced and source.axes[-1:] != (max(reduced),)):
        return False
    rest = tuple(axis for axis in source.axes if axis not in reduced)
    if len(source.axes) - len(rest) != 1:
        return False
    shift = 0 if attribute(node, "keepdims", 1) else sum(other < source.axes[-1] for other in reduced)
    if shift and rest and any(other < rest[-1] for other in reduced):
        return False
    summed(state, node.outputs[0], rest, source, source.constant != 0)
    return True


def summed(state: State, output: ir.Value, batch: tuple[int, ...], source: Channels, counts: Bools) -> None:
    """A sum over the last of the source's axes, of the entries that count; the others, `batch`, are the output's."""
    if not batch:
        state.pin_units(source.units[counts])
        return
    units = state.fresh(*source.units.shape[:-1])
    state.needs.append(Needs(np.broadcast_to(units[..., None], counts.shape)[counts], source.units[counts]))
    if len(batch) == 1:
        state.grids.append(Grid(source.units, 1 if source.ragged_index == 1 else None, {0: units}))
    else:
        state.pin_units(units)
        state.pin_units(source.units)
    state.write(output, batch, units, np.where(counts.any(axis=-1), np.nan, 0.0))


def along_other_axes(state: State, node: ir.Node) -> bool:
    """Softmax, layer normalisation and the like: exact for channels on axes that are not mixed."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None or _other_outputs(node):
        return False
    kind = node.op_type
    if kind == "MeanVarianceNormalization":
        mixed = {axis % rank for axis in attribute(node, "axes", (0, 2, 3))}
    else:
        axis = attribute(node, "axis", 1 if "max" in kind and state.version < 13 else -1) % rank
        all_after = ("Normalization" in kind and kind != "LpNormalization") or ("max" in kind and state.version < 13)
        mixed = set(range(axis, rank)) if all_after else {axis}
    if mixed & set(source.axes):
        return False
    for value in node.inputs[1:]:
        array = constant(value)
        if value is not None and (array is None or array.ndim > rank - min(mixed)):
            return False  # a scale that reaches the channels' axes
    state.write_like(node.outputs[0], source, spread_evenly(node, source.constant, count_of(node, mixed)))
    _annotate(node)
    return True
