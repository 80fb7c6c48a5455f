"""Read an ONNX file that may be hostile: no data of other files, sizes checked before memory is taken.

What comes back is one self-contained model: external data that belong to the file are read in, sparse initializers
become dense ones, every initializer holds as many bytes as its shape says, and nodes are put in order.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx

from edgeticket.errors import ModelError
from edgeticket.files import why_no_file
from edgeticket.graph.order import put_in_order
from edgeticket.graph.protos import bodies_of, graphs_of
from edgeticket.graph.reading.external import read_external
from edgeticket.graph.reading.tensors import checked, tensors_of
from edgeticket.graph.reading.texts import require_texts
from edgeticket.graph.serialize import LIMIT_BYTES


def load_model(path: Path) -> onnx.ModelProto:
    """The model in `path`, whole and checked.

    Raises:
        ModelError: not a file, too large, truncated, random bytes, external data outside its folder, a tensor whose
            bytes do not fit its shape, or a graph that reads what nothing computes.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ModelError(f"{path}: {why_no_file(path)}. Give an ONNX file or a ticket's folder.")
        size_bytes = path.stat().st_size
        if size_bytes > LIMIT_BYTES:
            raise ModelError(f"{path}: {size_bytes} bytes, more than the 2 GiB an ONNX file can hold.")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}). Check its permissions.") from error
    return parse_model(data, str(path), path)


def parse_model(data: bytes, where: str, path: Path | None = None) -> onnx.ModelProto:
    """The model in `data`; `where` names it in messages, external data are looked for beside the file `path` only.

    Raises:
        ModelError: as load_model.
    """
    try:
        model = onnx.ModelProto()
        model.ParseFromString(data)
    except Exception as error:  # protobuf has errors of its own for every way to be wrong
        raise ModelError(
            f"{where}: not an ONNX model, or truncated: {len(data)} bytes that do not parse. Export or copy it again."
        ) from error
    require_texts(model, where)
    if model.ir_version < 1 or not model.opset_import or not model.HasField("graph") or not model.graph.output:
        raise ModelError(
            f"{where}: not an ONNX model: it has no IR version, operator set, graph or output. Export or copy it again."
        )
    total = 0
    for tensor in tensors_of(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            total += read_external(tensor, path, where, LIMIT_BYTES - total)
        checked(tensor, where)
    _densify(model.graph, where)
    put_in_order(model.graph)
    _check_graph(model.graph, where)
    _check_functions(model, where)
    _agree(model.graph)
    return model


def _check_functions(model: onnx.ModelProto, where: str) -> None:
    """What a function reads is computed in it, in whatever order."""
    for function in model.functions:
        known = {"", *function.input, *(name for node in function.node for name in node.output)}
        for node in function.node:
            for name in node.input:
                if name not in known:
                    raise ModelError(
                        f"{where}: node {node.name or node.op_type!r} of the function {function.name!r} reads "
                        f"{name!r}, which nothing in it computes. Check it with onnx.checker.check_model."
                    )


def _agree(graph: onnx.GraphProto) -> None:
    """An output that is an input or an initializer too has its type, whatever is declared: so the runtime has it."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {entry.name: entry.type.tensor_type.elem_type for entry in graph.input}
    for entry in graph.output:
        if types.get(entry.name) and entry.type.HasField("tensor_type"):
            entry.type.tensor_type.elem_type = types[entry.name]


def _densify(graph: onnx.GraphProto, where: str) -> None:
    """Sparse initializers and sparse Constant nodes become dense tensors: onnx-ir has no others."""
    for part in graphs_of(graph):
        for sparse in part.sparse_initializer:
            part.initializer.append(_dense(sparse, where))
        del part.sparse_initializer[:]
        for node in part.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "sparse_value":
                    dense = _dense(attribute.sparse_tensor, where)
                    attribute.CopyFrom(onnx.helper.make_attribute("value", dense))


def _dense(sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
    """values [n] at indices [n] (linear) or [n, rank], as the standard has it."""
    name, shape = sparse.values.name, tuple(sparse.dims)
    values, indices = onnx.numpy_helper.to_array(sparse.values), onnx.numpy_helper.to_array(sparse.indices)
    size = math.prod(shape)
    problem = None
    if any(dim < 1 for dim in shape) or size * max(values.itemsize, 1) > LIMIT_BYTES:
        problem = f"its shape {list(shape)} is empty or larger than 2 GiB"
    elif values.ndim != 1 or indices.dtype != np.int64 or indices.shape not in _index_shapes(values.size, len(shape)):
        problem = f"{list(values.shape)} values and {list(indices.shape)} indices do not belong together"
    elif indices.size and indices.min() < 0:
        problem = "it has a negative index"
    elif (indices >= (size if indices.ndim == 1 else np.array(shape))).any():
        problem = f"an index lies outside its shape {list(shape)}"
    if problem:
        raise ModelError(f"{where}: the sparse tensor {name!r} cannot be used: {problem}. Export the model again.")
    dense = np.zeros(size, values.dtype)
    dense[indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)] = values
    return onnx.numpy_helper.from_array(dense.reshape(shape), name)


def _index_shapes(count: int, rank: int) -> tuple[tuple[int, ...], ...]:
    return (count,), (count, rank)


def _check_graph(graph: onnx.GraphProto, where: str, outer: frozenset[str] = frozenset()) -> None:
    """Every value has one name and is computed before it is read."""
    known = set(outer)
    own: set[str] = set()

    def define(name: str) -> None:
        if name in own:
            raise ModelError(f"{where}: the value {name!r} is computed twice. Check it with onnx.checker.check_model.")
        own.add(name)
        known.add(name)

    for entry in graph.input:
        define(entry.name)
        tensor = entry.type.HasField("tensor_type")
        if not outer and (entry.type.tensor_type.elem_type == 0 if tensor else not entry.type.WhichOneof("value")):
            raise ModelError(f"{where}: the input {entry.name!r} has no type. Export the model again.")
    initializers: set[str] = set()
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in initializers:
            raise ModelError(f"{where}: two initializers are named {tensor.name!r}, or none at all. Export it again.")
        initializers.add(tensor.name)
        known.add(tensor.name)
        own.add(tensor.name)
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                raise ModelError(
                    f"{where}: node {node.name or node.op_type!r} reads {name!r}, which nothing before it computes. "
                    "Check it with onnx.checker.check_model."
                )
        for attribute in node.attribute:
            if not attribute.type and not attribute.ref_attr_name:
                raise ModelError(
                    f"{where}: the attribute {attribute.name!r} of node {node.name or node.op_type!r} has no type. "
                    "Export the model again."
                )
        for body in bodies_of(node):
            _check_graph(body, where, frozenset(known))
        for name in node.output:
            if name:
                define(name)
    for entry in graph.output:
        if entry.name not in known:
            raise ModelError(f"{where}: nothing computes the output {entry.name!r}. Export it again.")
