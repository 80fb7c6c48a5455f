"""Simplified and stored, with model-local functions inlined or left as they are: the smaller file of the two.

Inlining shows the weights and what they are multiplied with. A function that is called often and holds nothing to pack
takes more bytes inlined, once for every call; then it stays, and ONNX Runtime inlines it at load.
"""

from __future__ import annotations

from dataclasses import replace

import onnx

from edgeticket.graph.passes.inline_functions import NAME
from edgeticket.graph.passes.note import Note
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing.encoding import Weights
from edgeticket.graph.storing.storage import Storage, Stored, store
from edgeticket.text import plural


def simplify_and_store(
    model: onnx.ModelProto, storage: Storage, weights: Weights, *, upgrade_opset: bool = False
) -> tuple[Simplified, Stored]:
    """The model without what is dead, as it rests on disk.

    Raises:
        ModelError: the graph cannot be read into an intermediate representation.
    """
    simplified = simplify(model, upgrade_opset=upgrade_opset)
    stored = store(simplified.model, storage=storage, weights=weights)
    if not model.functions or simplified.model.functions:
        return simplified, stored
    called = simplify(model, upgrade_opset=upgrade_opset, inline=False)
    stored_called = store(called.model, storage=storage, weights=weights)
    if len(stored_called.serialized()) >= len(stored.serialized()):
        return simplified, stored
    count = len(model.functions)
    note = Note(NAME, 0, f"left {plural(count, 'model-local function')} alone: inlined they take more bytes")
    return replace(called, notes=(*called.notes, note)), stored_called
