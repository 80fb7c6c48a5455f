"""Whole numbers of constants as protobuf's varints where these take fewer bytes than 4 or 8 each.

Shapes, axes, pads and indices are small numbers of 64 bits. A TensorProto holds them as raw bytes or as a list of
varints, of 7 bits a byte; any reader of ONNX takes both. A negative number takes ten bytes as a varint.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgeticket.graph.protos import bodies_of

_FIELDS: dict[int, str] = {TensorProto.INT64: "int64_data", TensorProto.INT32: "int32_data"}


def write_varints(graph: onnx.GraphProto) -> None:
    """In place, for the constants of a graph and of its bodies."""
    for tensor in _tensors(graph):
        if tensor.data_type not in _FIELDS or tensor.data_location == TensorProto.EXTERNAL or not tensor.raw_data:
            continue
        array = numpy_helper.to_array(tensor).reshape(-1)
        if varint_bytes(array) + 3 < array.nbytes:  # an empty field costs nothing, another one its tag and length
            tensor.ClearField("raw_data")
            getattr(tensor, _FIELDS[tensor.data_type]).extend(array.tolist())


def varint_bytes(numbers: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> int:
    """The bytes of whole numbers as varints."""
    wide = numbers.astype(np.int64).view(np.uint64)
    limits = np.array([1 << (7 * bits) for bits in range(1, 10)], np.uint64)
    return int(np.sum(1 + np.searchsorted(limits, wide, side="right")))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
        for body in bodies_of(node):
            yield from _tensors(body)
