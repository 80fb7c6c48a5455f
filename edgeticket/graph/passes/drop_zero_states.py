"""Leave out initial states that are zero: without one, a recurrent layer starts from zero.

    LSTM(x, W, R, B, , Slice(Expand(0, (1, n, 16))), ...)  =  LSTM(x, W, R, B)

PyTorch's exporter makes these states at every inference, of the batch's size.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeticket.graph.passes.note import Note
from edgeticket.graph.protos import STANDARD
from edgeticket.graph.values import constant, is_standard, opset
from edgeticket.text import plural

NAME = "drop-zero-states"
_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}  # initial_h and initial_c
_KEEP_ZERO = frozenset(["Expand", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"])


def drop_zero_states(model: ir.Model) -> list[Note]:
    """Take zero states away from the recurrent layers of the main graph; what made them is left to remove_unused."""
    version, dropped = opset(model), 0
    for node in model.graph:
        if not is_standard(node, version):
            continue
        for place in _STATES.get(node.op_type, ()):
            if place < len(node.inputs) and node.inputs[place] is not None and _is_zero(node.inputs[place]):
                node.replace_input_with(place, None)
                dropped += 1
    return [Note(NAME, dropped, f"left out {plural(dropped, 'initial state')} of zeros")] if dropped else []


def _is_zero(value: ir.Value | None) -> bool:
    while value is not None:
        numbers = constant(value)
        if numbers is not None:
            return not numbers.any()
        maker = value.producer()
        if maker is None or maker.op_type not in _KEEP_ZERO or maker.domain not in STANDARD:
            return False
        value = maker.inputs[0]
    return False
