"""The rule for Concat: channels one after the other, or values of the same channels side by side."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.elementwise import length_behind
from edgeticket.graph.channels.records import Channels, Cut, Fix, Floats, Keep, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import Array, attribute, constant, exact


def concat(state: State, node: ir.Node) -> bool:
    """Along the channels: one list after the other. Along another axis: the operands' channels are tied."""
    ranks = [rank_of(value) for value in node.inputs]
    rank = ranks[0] if ranks else None
    if rank is None or any(other != rank for other in ranks):
        return False
    axis = attribute(node, "axis", 1) % rank
    followed = [state.channels[value] for value in node.inputs if value is not None and value in state.channels]
    if not followed:
        return False
    if all(axis not in found.axes for found in followed):
        return _stack(state, node, max(followed, key=lambda found: len(found.axes)))
    parts: list[Channels] = []
    for index, value in enumerate(node.inputs):
        count = length_behind(value, axis - rank) if value is not None else None
        if value is None or count is None:
            return False
        part = _part(state, node, index, value, (axis,), (count,))
        parts.append(part)
    units = np.concatenate([part.units for part in parts])
    state.write(node.outputs[0], (axis,), units, np.concatenate([part.constant for part in parts]))
    state.fixes.append(Fix(node, partial(_drop_operands, node, [part.units for part in parts])))
    return True


def _part(
    state: State,
    node: ir.Node,
    index: int,
    value: ir.Value,
    axes: tuple[int, ...],
    counts: tuple[int, ...],
    ragged: int | None = None,
) -> Channels:
    """The channels of one operand, a constant among them."""
    array = constant(value)
    if array is None:
        return state.read(value, axes, counts)
    units = state.fresh(*counts)
    state.cuts.append(Cut(node, index, axes, units, ragged=ragged))
    return Channels(axes, units, for_each(exact(value) if array.dtype.kind == "f" else array, axes))


def for_each(array: Array, axes: tuple[int, ...]) -> Floats:
    """One number for each entry of these axes, NaN where it differs along others."""
    if array.dtype.kind != "f" or array.size == 0:
        return np.full([array.shape[axis] for axis in axes], np.nan)
    rows = np.moveaxis(array.astype(np.float64), axes, range(len(axes)))
    rows = rows.reshape(*rows.shape[: len(axes)], -1)
    return np.where((rows == rows[..., :1]).all(axis=-1), rows[..., 0], np.nan)


def _stack(state: State, node: ir.Node, lead: Channels) -> bool:
    counts = lead.units.shape
    numbers: Floats | None = None
    ragged = lead.ragged
    for index, value in enumerate(node.inputs):
        if value is None:
            return False
        part = _part(state, node, index, value, lead.axes, counts, lead.ragged_index)
        if part.units.shape != counts:
            return False
        state.tie(lead.units, part.units)
        if constant(value) is None and part.ragged != ragged:
            ragged = None
        numbers = part.constant if numbers is None else np.where(numbers == part.constant, numbers, np.nan)
    state.write(node.outputs[0], lead.axes, lead.units, numbers, ragged)
    return True


def _drop_operands(node: ir.Node, parts: list[Units], keep: Keep) -> None:
    """A Concat goes on without the operands of which nothing stays."""
    operands = [value for value, part in zip(node.inputs, parts, strict=True) if keep(part).any()]
    if len(operands) == len(node.inputs) or not operands:
        return
    for index in range(len(node.inputs)):
        node.replace_input_with(index, operands[index] if index < len(operands) else None)
    node.resize_inputs(len(operands))
