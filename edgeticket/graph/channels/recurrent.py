"""The rule for LSTM, GRU and RNN: what they read may lose channels, their hidden units stay.

The weight W [directions, gates · hidden, input] reads an input [steps, batch, input], and the first half of the bias
B [directions, 2 · gates · hidden] is added to what W makes. A channel that is the constant v at every step adds v ΣW.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import may_round, own_weight
from edgeticket.graph.channels.records import Cut, Recurrent
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import constant


def recurrent(state: State, node: ir.Node) -> bool:
    """Columns of W that are 0, or that read constants, let their inputs go."""
    weight, value = own_weight(state, node), node.inputs[0]
    if weight is None or weight.ndim != 3 or value is None or len(node.inputs[1].uses()) != 1:  # type: ignore[union-attr]
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
    return True
