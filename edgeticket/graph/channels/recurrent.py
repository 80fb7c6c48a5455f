"""The rule for LSTM, GRU and RNN: what they read may lose channels; hidden units go that are 0 or that nobody reads.

The weight W [D, gates · H, input] reads an input [steps, batch, input], R [D, gates · H, H] the hidden state, for each
of D directions. The first half of the bias B [D, 2 · gates · H] is added to what W makes. A channel that is the
constant v at every step adds v ΣW.

A hidden unit is 0 at every step if it starts from 0 and its candidate is tanh(0), whatever its other gates are:

    LSTM    c = f c + i tanh(0)           h = o tanh(0)
    GRU     h = (1 - z) tanh(0) + z h
    RNN     h = tanh(0)
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import may_round, own_weight
from edgeticket.graph.channels.records import Bools, Cut, Fix, Grid, Keep, Needs, Recurrent, Units
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import Array, attribute, change_constant, constant, owned, set_attribute

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}  # the last one makes the candidate
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_PLACES = ((1, 3), (0, 2), (0, 2))  # the axes of directions and hidden units in Y, Y_h and Y_c


def recurrent(state: State, node: ir.Node) -> bool:
    """Columns of W that are 0, or that read constants, let their inputs go."""
    weight, value, stored = own_weight(state, node), node.inputs[0], node.inputs[1]
    if weight is None or stored is None or weight.ndim != 3 or value is None or len(stored.uses()) != 1:
        return False
    source = state.read(value, (2,), (weight.shape[2],))
    for other in node.inputs[1:]:
        state.pin(other)
    bias = node.inputs[3] if len(node.inputs) > 3 else None
    array = constant(bias)
    whole = array is not None and array.shape == (weight.shape[0], 2 * weight.shape[1]) and np.isfinite(array).all()
    if may_round(weight) and (bias is None or whole):
        state.recurrents.append(Recurrent(node, source))
    state.cuts.append(Cut(node, 1, (2,), source.units, reads=True))
    needed = (weight != 0).any(axis=(0, 1)) & (source.constant != 0)
    state.pin_units(source.units[needed])
    if bias is None or whole:
        _hidden(state, node, np.asarray((weight != 0) & (source.constant != 0)), array)
    return True


def _hidden(state: State, node: ir.Node, used: Bools, bias: Array | None) -> None:
    """Follow the hidden units, if some of them are 0 or read by no other; `used` says which of W's numbers count."""
    found = _recurrence(node, used.shape[0])
    if found is None:
        return
    reads, start = found  # [D, gates, H, H], [D, H]
    directions, gates, size, _ = reads.shape
    candidate = used.reshape(directions, gates, size, -1)[:, -1].any(axis=2) | start
    if bias is not None:
        candidate |= (bias.reshape(directions, 2, gates, size)[:, :, -1] != 0).any(axis=1)
    zero = ~candidate
    while (varies := zero & (reads[:, -1] & ~zero[:, None]).any(axis=2)).any():
        zero &= ~varies
    between = reads.any(axis=1) & ~zero[:, None]  # [D, reader, read]
    if between.any(axis=1).all():
        return
    units = state.fresh(directions, size)
    state.grids.append(Grid(units, 1, {0: state.fresh(directions, pinned=True)}))
    direction, reader, read = np.nonzero(between)
    state.needs.append(Needs(units[direction, reader], units[direction, read]))
    numbers = np.where(zero, 0.0, np.nan)
    for output, axes in zip(node.outputs, _PLACES, strict=False):
        if output.uses() or output.is_graph_output():
            state.write(output, axes, units, numbers, axes[1])
    state.hidden.append((node.inputs[1], units))  # type: ignore[arg-type]
    state.cuts += [
        Cut(node, index, (0, 2), units, ragged=1)
        for index in (2, 5, 6)
        if index < len(node.inputs) and node.inputs[index] is not None
    ]
    state.fixes.append(Fix(node, partial(_shrink, node, units)))


def _recurrence(node: ir.Node, directions: int) -> tuple[Bools, Bools] | None:
    """Which numbers of R are not 0: [D, gates, H, H], and which units start from another number: [D, H].

    None where a unit of which the candidate is 0 may be something else, or where a state comes from elsewhere.
    """
    gates = _GATES[node.op_type]
    matrix = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    size = attribute(node, "hidden_size", 0)
    plain = attribute(node, "activations", ()) in ((), _ACTIVATIONS[node.op_type] * directions)
    if matrix is None or matrix.shape != (directions, gates * size, size) or not np.isfinite(matrix).all():
        return None
    if not plain or attribute(node, "layout", 0) or any(node.inputs[7:]):  # peepholes
        return None
    start = np.zeros((directions, size), np.bool_)
    for given in node.inputs[5:7]:
        array = constant(given)
        if given is None:
            continue
        if array is None or array.ndim != 3 or array.shape[::2] != start.shape or given.is_graph_output():
            return None
        start |= (array != 0).any(axis=1)
    return (matrix != 0).reshape(directions, gates, size, size), start


def _shrink(node: ir.Node, units: Units, keep: Keep) -> None:
    """Drop the rows of hidden units that go: of every gate in W and R, and twice in B. R's columns are cut already."""
    mask = keep(units)
    if mask.all():
        return
    directions, size = mask.shape

    def left(array: Array) -> Array:
        split = array.reshape(directions, array.shape[1] // size, size, -1)
        rows = np.stack([part[:, kept] for part, kept in zip(split, mask, strict=True)])
        return rows.reshape(directions, -1, *array.shape[2:])

    for index in (1, 2, 3):
        if index < len(node.inputs) and node.inputs[index] is not None:
            change_constant(owned(node, index), left)
    set_attribute(node, "hidden_size", int(mask[0].sum()))
