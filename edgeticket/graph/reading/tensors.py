"""Every tensor of a model proto, and the check that its bytes fit its shape before anyone allocates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx

from edgeticket.errors import ModelError
from edgeticket.graph.protos import bodies_of

_TYPED = {"float_data": 4, "int32_data": 4, "int64_data": 8, "double_data": 8, "uint64_data": 8}


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers, their sparse parts and attribute tensors of the graph, its subgraphs and local functions."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _of_node(node)


def _of_node(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for part in (*sparse, *attribute.sparse_tensors):
            yield from (part.values, part.indices)
    for body in bodies_of(node):
        yield from _of_graph(body)


def expected_bytes(tensor: onnx.TensorProto) -> int | None:
    """What the raw data of this type and shape take; None for strings and unknown types."""
    if tensor.data_type == onnx.TensorProto.STRING:
        return None
    bits = _BITS.get(tensor.data_type)
    return None if bits is None else (math.prod(tensor.dims) * bits + 7) // 8


def checked(tensor: onnx.TensorProto, where: str) -> None:
    """Refuse a tensor whose bytes do not fit its shape.

    Raises:
        ModelError: a negative dimension, an unknown type, or too few or too many bytes.
    """
    name, shape = tensor.name or "(unnamed)", list(tensor.dims)
    if any(dim < 0 for dim in shape):
        raise ModelError(f"{where}: the tensor {name!r} has the impossible shape {shape}. Export the model again.")
    if tensor.data_type not in onnx.TensorProto.DataType.values() or not tensor.data_type:
        raise ModelError(
            f"{where}: the tensor {name!r} has the type {tensor.data_type}, unknown to onnx {onnx.__version__}. "
            "Export the model with an older opset, or install a newer onnx."
        )
    expected = expected_bytes(tensor)
    if expected is None:
        return
    if tensor.HasField("raw_data"):
        present, unit, wanted = len(tensor.raw_data), "bytes", expected
    else:
        present = sum(len(getattr(tensor, kind)) for kind in _TYPED)
        unit, wanted = "numbers", _numbers(tensor)
    if present != wanted:
        raise ModelError(
            f"{where}: the tensor {name!r} of shape {shape} needs {wanted} {unit} and has {present}: "
            "truncated or altered. Export or copy it again."
        )


def _numbers(tensor: onnx.TensorProto) -> int:
    """How many entries the typed fields need: complex numbers take two, 4-bit ones half, 2-bit ones a quarter."""
    count, bits = math.prod(int(dim) for dim in tensor.dims), _BITS[tensor.data_type]
    if tensor.data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        return 2 * count
    return (count * bits + 7) // 8 if bits < 8 else count


_BITS_BY_NAME = {
    "FLOAT": 32, "UINT8": 8, "INT8": 8, "UINT16": 16, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8, "FLOAT16": 16,
    "DOUBLE": 64, "UINT32": 32, "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BFLOAT16": 16, "FLOAT8E4M3FN": 8,
    "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8, "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4,
    "UINT2": 2, "INT2": 2,
}  # fmt: skip
_KNOWN = frozenset(onnx.TensorProto.DataType.keys())  # an older onnx lacks the newest
_BITS = {int(onnx.TensorProto.DataType.Value(name)): bits for name, bits in _BITS_BY_NAME.items() if name in _KNOWN}
