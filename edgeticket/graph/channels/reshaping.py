"""Rules for operators that keep every number and move it: flatten, reshape, squeeze, transpose; and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.grid import folded, kept_shape
from edgeticket.graph.channels.lengths import length_known, write_lengths
from edgeticket.graph.channels.perchannel import axes_of
from edgeticket.graph.channels.records import Channels, Fix, Floats, Grid, Keep, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import attribute, constant, shape_of
from edgeticket.graph.vectors import Vector, named_dims, reshaped, vector

Dims = Sequence[int | str | None]
_LARGEST = 2**22  # elements of a grid: beyond it, channels are followed on fewer axes


def flatten(state: State, node: ir.Node) -> bool:
    """[N, C, a, b] -> [N, C·a·b]: each channel becomes a·b elements that share its fate; or another axis."""
    value = node.inputs[0]
    dims = named_dims(value) if value is not None else None
    if dims is None or value not in state.channels:
        return False
    axis = attribute(node, "axis", 1)
    axis += len(dims) if axis < 0 else 0
    wanted = [_product(dims[:axis]), _product(dims[axis:])]
    return _refold(state, node, dims, wanted) is not None


def _product(dims: Dims) -> int | str | None:
    numbers = [dim for dim in dims if isinstance(dim, int)]
    others = [dim for dim in dims if not isinstance(dim, int)]
    if not others:
        return math.prod(numbers)
    return others[0] if len(others) == 1 and all(number == 1 for number in numbers) else None


def reshape(state: State, node: ir.Node) -> bool:
    """A Reshape whose axes can be told apart; the target follows."""
    value = node.inputs[0]
    dims = named_dims(value) if value is not None else None
    target = vector(node.inputs[1]) if len(node.inputs) > 1 else None
    if dims is None or target is None or value not in state.channels or not length_known(node.inputs[1]):
        return False
    named = [entry if isinstance(entry, int) else entry.name for entry in target]
    wanted = reshaped(dims, named, bool(attribute(node, "allowzero", 0)))
    found = _refold(state, node, dims, wanted)
    if found is None:
        return False
    state.fixes.append(Fix(node, partial(_retarget, node, wanted, *found)))
    return True


def _retarget(node: ir.Node, wanted: Dims, axes: list[int], result: Channels, keep: Keep) -> None:
    """Write the lengths that are left of the axes on which there were channels."""
    mask = keep(result.units)
    if mask.all():
        return
    lengths = dict(zip(result.axes, kept_shape(mask, result.ragged_index), strict=True))
    write_lengths(node, 1, {axis: lengths.get(axis, _length(wanted, axis)) for axis in axes})


def _refold(state: State, node: ir.Node, dims: Dims, wanted: Dims) -> tuple[list[int], Channels] | None:
    """Follow channels through a Reshape; the axes of the result that belong to them, and where they are now."""
    value = node.inputs[0]
    assert value is not None
    source = state.channels[value]
    pairs = [
        (before, after)
        for before, after in folded(dims, wanted)
        if any(axis in source.axes for axis in before) and all(isinstance(wanted[axis], int) for axis in after)
    ]
    while pairs and math.prod(_length(wanted, axis) for _, after in pairs for axis in after) > _LARGEST:
        pairs.remove(max(pairs, key=lambda pair: math.prod(_length(wanted, axis) for axis in pair[1])))
    kept = tuple(axis for axis in source.axes if any(axis in before for before, _ in pairs))
    if not kept:
        return None
    source = state.narrowed(source, kept)
    before = [axis for pair in pairs for axis in pair[0]]
    after = [axis for pair in pairs for axis in pair[1]]
    whole = [_length(dims, axis) for axis in before]
    shape = [_length(dims, axis) if axis in source.axes else 1 for axis in before]
    made = [_length(wanted, axis) for axis in after]
    units = np.broadcast_to(source.units.reshape(shape), whole).reshape(made)
    numbers = np.broadcast_to(source.constant.reshape(shape), whole).reshape(made)
    orderly = source.ragged is None or all(_last(source, pair[0]) for pair in pairs if source.ragged in pair[0])
    if not orderly:
        state.grids.append(Grid(source.units, node=node))
    result = _plain(state, tuple(after), units, numbers)
    found = state.write(node.outputs[0], *result)
    return after, found


def _last(source: Channels, before: list[int]) -> bool:
    """Is the ragged axis the last of the channels' axes that are taken together? Then rows keep their order."""
    return source.ragged == max(axis for axis in source.axes if axis in before)


def _length(dims: Dims, axis: int) -> int:
    length = dims[axis]
    assert isinstance(length, int)
    return length


def _plain(
    state: State, axes: tuple[int, ...], units: Units, numbers: Floats
) -> tuple[tuple[int, ...], Units, Floats, int | None]:
    """Without the axes along which all units are the same; one axis always stays."""
    roots: Units = units if units.size == units.shape[0] else state.roots(units)
    kept = list(axes)
    for axis in axes[::-1]:
        place = kept.index(axis)
        first = roots.take([0], axis=place)
        if len(kept) > 1 and (roots == first).all():
            same = (numbers == numbers.take([0], axis=place)).all(axis=place)
            numbers = np.where(same, numbers.take(0, axis=place), np.nan)
            units, roots = np.asarray(units.take(0, axis=place)), np.asarray(roots.take(0, axis=place))
            kept.remove(axis)
    return tuple(kept), units, numbers, kept[-1] if len(kept) > 1 else None


def unsqueeze(state: State, node: ir.Node) -> bool:
    """New axes of length 1: the channels' axes move behind those before them."""
    source, axes, rank = state.followed_input(node.inputs[0]), axes_of(node), rank_of(node.inputs[0])
    if source is None or axes is None or rank is None:
        return False
    new = {axis % (rank + len(axes)) for axis in axes}
    old = [axis for axis in range(rank + len(axes)) if axis not in new]
    ragged = None if source.ragged is None else old[source.ragged]
    state.write(node.outputs[0], tuple(old[axis] for axis in source.axes), source.units, source.constant, ragged)
    return True


def squeeze(state: State, node: ir.Node) -> bool:
    """Axes of length 1 go, but not the channels'."""
    value, axes = node.inputs[0], axes_of(node)
    source, dims = state.followed_input(value), shape_of(value) if value is not None else None
    if source is None or dims is None:
        return False
    if axes is None:
        if len(node.inputs) > 1 or any(not isinstance(dim, int) for dim in dims):
            return False
        axes = [axis for axis, dim in enumerate(dims) if dim == 1]
    gone = {axis % len(dims) for axis in axes}
    if gone & set(source.axes):
        return False
    moved = {axis: axis - sum(other < axis for other in gone) for axis in source.axes}
    ragged = None if source.ragged is None else moved[source.ragged]
    state.write(node.outputs[0], tuple(moved.values()), source.units, source.constant, ragged)
    return True


def transpose(state: State, node: ir.Node) -> bool:
    """The channels' axes move."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    order = attribute(node, "perm", tuple(reversed(range(rank))))
    moved = [order.index(axis) for axis in source.axes]
    turn = sorted(range(len(moved)), key=moved.__getitem__)
    ragged = None if source.ragged is None else order.index(source.ragged)
    axes = tuple(moved[place] for place in turn)
    state.write(node.outputs[0], axes, source.units.transpose(turn), source.constant.transpose(turn), ragged)
    return True


def shape(state: State, node: ir.Node) -> bool:
    """Reading other dimensions than the channels' changes nothing, even from a list of them all."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    listed = list(range(rank))[attribute(node, "start", 0) : attribute(node, "end", None)]
    if not set(source.axes) & set(listed):
        return True
    for use in node.outputs[0].uses():
        chosen = entries_read(use.node, listed) if use.idx == 0 and use.node.graph is state.graph else None
        if chosen is None or set(source.axes) & set(chosen):
            return False
    return not node.outputs[0].is_graph_output()


def entries_read(node: ir.Node, listed: list[int]) -> list[int] | None:
    """Which entries of a vector a Gather or Slice of constant places reads; None where not known."""
    if node.op_type == "Gather":
        places = constant(node.inputs[1])
        if places is None or np.abs(places + 0.5).max(initial=0) > len(listed):
            return None
        return [listed[int(place)] for place in places.reshape(-1)]
    if node.op_type != "Slice":
        return None
    if len(node.inputs) < 2:
        parts: list[Vector | None] = [attribute(node, "starts", ()), attribute(node, "ends", ()), (1,)]
    else:
        steps = node.inputs[4] if len(node.inputs) > 4 else None
        parts = [vector(node.inputs[1]), vector(node.inputs[2]), (1,) if steps is None else vector(steps)]
    bounds = [part[0] for part in parts if part and len(part) == 1]
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    return listed[slice(*numbers)] if len(numbers) == 3 else None
