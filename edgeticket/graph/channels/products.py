"""The rule for products of two computed matrices, as attention has them: A [..., I, K] x B [..., K, J].

k of K    both lose it, where A or B is 0 there
i, j      go on into the result
batch     axes before, such as heads: both lose the same ones
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.elementwise import length_behind
from edgeticket.graph.channels.layers import matmul
from edgeticket.graph.channels.perchannel import summed
from edgeticket.graph.channels.records import Channels, Grid
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.channels.stored import rests


def product(state: State, node: ir.Node) -> bool:
    """MatMul: with a stored weight a layer, else a product of two computed matrices."""
    if any(rests(value) for value in node.inputs):
        return matmul(state, node)
    left, right = node.inputs
    rank = rank_of(left)
    if left is None or right is None or rank is None or rank != rank_of(right) or rank < 2:
        return False
    a, b = state.followed_input(left), state.followed_input(right)
    batch = sorted({axis for known in (a, b) if known for axis in known.axes if axis < rank - 2})
    sizes = [length_behind(left, axis - rank) for axis in batch]
    if any(size is None or size != length_behind(right, axis - rank) for axis, size in zip(batch, sizes, strict=True)):
        return False  # broadcasting of heads, or a length that is not known
    lengths = tuple(size for size in sizes if size is not None)
    over = a is not None and b is not None and rank - 1 in a.axes and rank - 2 in b.axes
    if over and not _alone(a, b, rank):
        return False
    if over:
        return _contracted(state, node, tuple(batch), lengths)
    for value, known, axis in ((left, a, rank - 1), (right, b, rank - 2)):
        if known is not None and axis in known.axes:
            state.pin(value)  # the other operand has no channels there: all of these stay
    return _passed(state, node, tuple(batch), lengths)


def _alone(a: Channels | None, b: Channels | None, rank: int) -> bool:
    """Do the operands have channels on batch axes and on the one that is summed over, and on no other?"""
    return a is not None and b is not None and rank - 2 not in a.axes and rank - 1 not in b.axes


def _contracted(state: State, node: ir.Node, batch: tuple[int, ...], lengths: tuple[int, ...]) -> bool:
    """Sum over channels of both. What is 0 in one of them adds nothing."""
    left, right = node.inputs
    rank = rank_of(left) or 0
    assert left is not None
    assert right is not None
    width = length_behind(left, -1)
    if width is None or width != length_behind(right, -2):
        return False
    a = state.read(left, (*batch, rank - 1), (*lengths, width))
    b = state.read(right, (*batch, rank - 2), (*lengths, width))
    state.tie(a.units, b.units)
    if a.ragged_index != b.ragged_index or a.ragged_index != len(batch):
        state.grids.append(Grid(a.units))
    summed(state, node.outputs[0], batch, a, ~((a.constant == 0) | (b.constant == 0)))
    return True


def _passed(state: State, node: ir.Node, batch: tuple[int, ...], lengths: tuple[int, ...]) -> bool:
    """Rows of A or columns of B are channels of the result; axes before are shared by both."""
    left, right = node.inputs
    rank = rank_of(left) or 0
    a, b = state.followed_input(left), state.followed_input(right)
    columns = b is not None and rank - 1 in b.axes
    leading, other, axis = (right, left, rank - 1) if columns else (left, right, rank - 2)
    known = b if columns else a
    assert leading is not None
    assert other is not None
    if len(batch) > 1 or (not columns and (a is None or rank - 2 not in a.axes) and not batch):
        return False
    if columns and a is not None and rank - 2 in a.axes:
        state.pin(left)
    axes, counts = batch, lengths
    if known is not None and axis in known.axes:
        axes, counts = (*batch, axis), (*lengths, known.units.shape[known.axes.index(axis)])
    first = state.read(leading, axes, counts)
    numbers = np.where(first.constant == 0, 0.0, np.nan)
    if batch:
        beside = state.read(other, batch, lengths)
        spread = beside.constant.reshape(*beside.constant.shape, *[1] * (len(axes) - 1))
        numbers = np.where(spread == 0, 0.0, numbers)
        if axes == batch:
            state.tie(first.units, beside.units)
        else:
            ragged = first.ragged_index if first.ragged_index == 1 else None
            state.grids.append(Grid(first.units, ragged, {0: beside.units}))
    state.write(node.outputs[0], axes, first.units, numbers, first.ragged)
    return True
