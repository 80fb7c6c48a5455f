"""Rules for operators that keep every number and move it: flatten, reshape, squeeze, transpose, concatenate."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.elementwise import length_behind
from edgeticket.graph.channels.state import Channels, State, rank_of, static
from edgeticket.graph.values import attribute, constant, shape_of


def flatten(state: State, node: ir.Node) -> bool:
    """[N, C, a, b] -> [N, C·a·b]: each channel becomes a·b elements that share its fate."""
    source = state.followed_input(node.inputs[0])
    dims = shape_of(node.inputs[0]) if node.inputs[0] is not None else None
    rest = static(dims[2:]) if dims is not None else None
    if source is None or source.axis != 1 or dims is None or rest is None:
        return False
    if attribute(node, "axis", 1) not in (1, 1 - len(dims)):
        return False
    repeat = int(np.prod(rest, dtype=np.int64))
    if repeat < 1:
        return False
    state.write(node.outputs[0], 1, np.repeat(source.units, repeat), np.repeat(source.constant, repeat))
    return True


def reshape(state: State, node: ir.Node) -> bool:
    """Only a target that copies the batch and the channels, (0, 0, ...), as `canonicalise` writes it."""
    source = state.followed_input(node.inputs[0])
    target = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if source is None or source.axis != 1 or target is None or attribute(node, "allowzero", 0):
        return False
    if target.size < 2 or target[0] != 0 or target[1] != 0:
        return False
    state.write(node.outputs[0], 1, source.units, source.constant)
    return True


def _axes(node: ir.Node) -> list[int] | None:
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        return None if listed is None else [int(axis) for axis in listed.reshape(-1)]
    return list(attribute(node, "axes", ())) or None


def unsqueeze(state: State, node: ir.Node) -> bool:
    """New axes of length 1: the channels' axis moves behind those before it."""
    source, axes, rank = state.followed_input(node.inputs[0]), _axes(node), rank_of(node.inputs[0])
    if source is None or axes is None or rank is None:
        return False
    new = {axis % (rank + len(axes)) for axis in axes}
    old = [axis for axis in range(rank + len(axes)) if axis not in new]
    state.write(node.outputs[0], old[source.axis], source.units, source.constant)
    return True


def squeeze(state: State, node: ir.Node) -> bool:
    """Axes of length 1 go, but not the channels'."""
    source, axes, rank = state.followed_input(node.inputs[0]), _axes(node), rank_of(node.inputs[0])
    if source is None or axes is None or rank is None:
        return False
    gone = {axis % rank for axis in axes}
    if source.axis in gone:
        return False
    state.write(node.outputs[0], source.axis - sum(a < source.axis for a in gone), source.units, source.constant)
    return True


def transpose(state: State, node: ir.Node) -> bool:
    """The channels' axis moves."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    order = attribute(node, "perm", tuple(reversed(range(rank))))
    state.write(node.outputs[0], order.index(source.axis), source.units, source.constant)
    return True


def concat(state: State, node: ir.Node) -> bool:
    """Along the channels: one list after the other. An operand that is not followed is pinned."""
    ranks = [rank_of(value) for value in node.inputs]
    rank = ranks[0] if ranks else None
    if rank is None:
        return False
    axis = attribute(node, "axis", 1) % rank
    parts: list[Channels] = []
    for value in node.inputs:
        count = length_behind(value, axis - rank) if value is not None else None
        if value is None or count is None or rank_of(value) != rank:
            return False
        parts.append(state.read(value, axis, count))
    units = np.concatenate([part.units for part in parts])
    state.write(node.outputs[0], axis, units, np.concatenate([part.constant for part in parts]))
    constants = [value for value in node.inputs if constant(value) is not None]
    return not constants


def shape(state: State, node: ir.Node) -> bool:
    """Reading other dimensions than the channels' changes nothing."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    return source.axis not in range(rank)[attribute(node, "start", 0) : attribute(node, "end", None)]
