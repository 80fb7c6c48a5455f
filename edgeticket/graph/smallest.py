"""Model-local functions, inlined or left as they are: whichever makes the smaller file.

Inlining shows the weights and what they are multiplied with. A function that is called often and holds nothing to pack
takes more bytes inlined, once for every call; then it stays, and ONNX Runtime inlines it at load.
"""

from __future__ import annotations

from dataclasses import replace

import onnx

from edgeticket.graph.passes.inline_functions import NAME
from edgeticket.graph.passes.note import Note
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing.encoding import Weights
from edgeticket.graph.storing.storage import Storage, Stored, store
from edgeticket.text import plural


def functions_left_where_smaller(
    model: onnx.ModelProto, inlined: tuple[Simplified, Stored], storage: Storage, weights: Weights
) -> tuple[Simplified, Stored]:
    """`inlined`, or `model` simplified and stored with its functions as they are."""
    if not model.functions or inlined[0].model.functions:
        return inlined
    called = with_short_names(simplify(model, inline=False))
    stored = store(called.model, storage=storage, weights=weights)
    if len(stored.serialized()) >= len(inlined[1].serialized()):
        return inlined
    count = plural(len(model.functions), "model-local function")
    note = Note(NAME, 0, f"left {count} alone: inlined, the file would be larger")
    return replace(called, notes=(*called.notes, note)), stored
