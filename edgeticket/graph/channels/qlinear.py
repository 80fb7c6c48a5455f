"""Rules for ONNX Runtime's operators on codes that are no layers: QLinearAdd, QLinearMul, QLinearConcat and others.

They compute with the numbers that the codes stand for, and make codes of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.codes import quantised, scale_and_zero
from edgeticket.graph.channels.elementwise import length_behind
from edgeticket.graph.channels.joining import for_each
from edgeticket.graph.channels.records import Channels, Cut, Fix, Floats, Keep, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import attribute, constant, shape_of


def _numbers(node: ir.Node, codes: Floats, scale: int) -> Floats:
    """What constant codes stand for; the inputs `scale` and the next are their scale and zero point."""
    factor, zero = scale_and_zero(node, scale)
    if factor is None or factor.size != 1 or (zero is not None and zero.size != 1):
        return np.full(codes.shape, np.nan)
    if zero is None and len(node.inputs) > scale + 1 and node.inputs[scale + 1] is not None:
        return np.full(codes.shape, np.nan)
    return np.asarray((codes - (0.0 if zero is None else float(zero.reshape(-1)[0]))) * float(factor.reshape(-1)[0]))


def _codes(node: ir.Node, numbers: Floats, scale: int) -> Floats:
    """The codes of constant numbers; the inputs `scale` and the next are the result's scale and zero point."""
    factor, zero = scale_and_zero(node, scale)
    if factor is None or factor.size != 1 or zero is None or zero.size != 1:
        return np.full(numbers.shape, np.nan)
    return quantised(numbers, factor, zero)


def _on_axis_1(state: State, node: ir.Node) -> Channels | None:
    """The channels of the first input, if they lie on axis 1 alone."""
    source = state.followed_input(node.inputs[0])
    return None if source is None or source.axes != (1,) or attribute(node, "channels_last", 0) else source


def unary(state: State, node: ir.Node) -> bool:
    """QLinearSigmoid, and QLinearLeakyRelu."""
    source, value = state.followed_input(node.inputs[0]), node.inputs[0]
    if source is None or value is None:
        return False
    numbers = _numbers(node, source.constant, 1)
    if node.op_type == "QLinearSigmoid":
        numbers = 1 / (1 + np.exp(-numbers))
    else:
        numbers = np.where(numbers < 0, np.float64(attribute(node, "alpha", 0.01)) * numbers, numbers)
    if node.outputs[0].shape is None:
        node.outputs[0].shape = value.shape
    state.write_like(node.outputs[0], source, _codes(node, numbers, 3))
    return True


def pool(state: State, node: ir.Node) -> bool:
    """QLinearGlobalAveragePool and QLinearAveragePool, which pads with the zero point: there only 0 stays itself."""
    source, value = _on_axis_1(state, node), node.inputs[0]
    dims = None if value is None else shape_of(value)
    if source is None or dims is None:
        return False
    numbers = _numbers(node, source.constant, 1)
    if any(attribute(node, "pads", ())) or attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        numbers = np.where(numbers == 0, 0.0, np.nan)
    if node.outputs[0].shape is None:
        inner = 1 if "Global" in node.op_type else None
        node.outputs[0].shape = ir.Shape([dim if axis < 2 else inner for axis, dim in enumerate(dims)])
    state.write(node.outputs[0], (1,), source.units, _codes(node, numbers, 3))
    return True


def binary(state: State, node: ir.Node) -> bool:
    """QLinearAdd and QLinearMul: channels on one axis, which both operands have whole, or one of them not at all."""
    values = (node.inputs[0], node.inputs[3])
    ranks = [len(array.shape) if (array := constant(value)) is not None else rank_of(value) for value in values]
    found = [state.followed_input(value) for value in values]
    followed = [channels for channels in found if channels is not None]
    if not followed or any(rank is None for rank in ranks) or any(len(one.axes) != 1 for one in followed):
        return False
    rank = max(each or 0 for each in ranks)
    lead = next(index for index, channels in enumerate(found) if channels is not None)
    axis, count = followed[0].axes[0] - (ranks[lead] or 0), followed[0].count
    units: Units | None = None
    numbers: list[Floats] = []
    for place, value, its_rank in zip((0, 3), values, ranks, strict=True):
        assert value is not None
        length = length_behind(value, axis)
        if length not in (1, count):
            return False
        part = _operand(state, node, place, value, axis + (its_rank or 0), count if length == count else 1)
        if part.count == count:
            if units is not None:
                state.tie(units, part.units)
            units = part.units if units is None else units
        numbers.append(_numbers(node, part.constant, place + 1))
    if units is None:
        return False
    first, second = numbers
    both = first + second if node.op_type == "QLinearAdd" else first * second
    if node.op_type == "QLinearMul":
        both = np.where((first == 0) | (second == 0), 0.0, both)
    _broadcast(node, values)
    state.write(node.outputs[0], (axis + rank,), units, np.broadcast_to(_codes(node, both, 6), (count,)))
    return True


def _operand(state: State, node: ir.Node, place: int, value: ir.Value, axis: int, count: int) -> Channels:
    """The channels of an operand on an axis; a constant that has them is cut, and one that has them not stays."""
    array = constant(value)
    if count == 1:
        state.pin(value)
        number = float(array.reshape(-1)[0]) if array is not None and array.size == 1 else np.nan
        return Channels((max(axis, 0),), state.fresh(1), np.full(1, number))
    if array is None:
        return state.read(value, (axis,), (count,))
    units = state.fresh(count)
    state.cuts.append(Cut(node, place, (axis,), units))
    return Channels((axis,), units, for_each(array.astype(np.float64), (axis,)))


def _broadcast(node: ir.Node, values: Sequence[ir.Value | None]) -> None:
    """The shape of the result, where it is not known."""
    shapes = [shape for value in values if value is not None and (shape := shape_of(value)) is not None]
    if node.outputs[0].shape is not None or len(shapes) < len(values):
        return
    rank = max(map(len, shapes))
    filled = [[*[1] * (rank - len(shape)), *shape] for shape in shapes]
    node.outputs[0].shape = ir.Shape([next((dim for dim in dims if dim != 1), 1) for dims in zip(*filled, strict=True)])


def concat(state: State, node: ir.Node) -> bool:
    """QLinearConcat along the channels: scale and zero point of the result, then operands with theirs."""
    operands = range(2, len(node.inputs), 3)
    ranks = {rank_of(node.inputs[place]) for place in operands}
    rank = ranks.pop() if len(ranks) == 1 else None
    if rank is None:
        return False
    axis = attribute(node, "axis", 1) % rank
    counts = [length_behind(value, axis - rank) for place in operands if (value := node.inputs[place]) is not None]
    if len(counts) != len(operands) or any(count is None for count in counts):
        return False
    parts = []
    for place, count in zip(operands, counts, strict=True):
        value = node.inputs[place]
        if value is None or count is None or constant(value) is not None:
            return False
        part = state.read(value, (axis,), (count,))
        parts.append((part.units, _codes(node, _numbers(node, part.constant, place + 1), 0)))
    state.write(
        node.outputs[0], (axis,), np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])
    )
    state.fixes.append(Fix(node, partial(_drop_operands, node, [one for one, _ in parts])))
    return True


def _drop_operands(node: ir.Node, parts: list[Units], keep: Keep) -> None:
    """The operands of which nothing stays go, with their scales and zero points."""
    places = [2 + 3 * index for index, units in enumerate(parts) if keep(units).any()]
    if not places or len(places) == len(parts):
        return
    left = [*node.inputs[:2], *(value for place in places for value in node.inputs[place : place + 3])]
    for index in range(len(node.inputs)):
        node.replace_input_with(index, left[index] if index < len(left) else None)
    node.resize_inputs(len(left))
