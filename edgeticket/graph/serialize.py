"""A model as the bytes of its file, the same bytes for the same model."""

from __future__ import annotations

import onnx

LIMIT_BYTES = 2**31 - 1  # what a protobuf message can hold


def serialize(model: onnx.ModelProto) -> bytes:
    """The model's bytes, with protobuf's maps in a fixed order."""
    return bytes(model.SerializeToString(deterministic=True))
