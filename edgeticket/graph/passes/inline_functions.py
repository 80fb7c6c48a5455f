"""Inline model-local functions, so that what they compute is visible; f(x) = its body, with fresh names."""

from __future__ import annotations

import onnx
from onnx import inliner

from edgeticket.graph.passes.note import Note

NAME = "inline-functions"


def inline_functions(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[Note]]:
    """A model without local functions, or the model itself where there are none or they cannot be inlined."""
    count = len(model.functions)
    if not count:
        return model, []
    try:
        inlined = inliner.inline_local_functions(model)
    except Exception as error:  # the inliner is C++ and raises what it likes
        return model, [Note(NAME, 0, f"left {count} model-local functions alone: {error}")]
    return inlined, [Note(NAME, count, f"inlined {count} model-local functions")]
