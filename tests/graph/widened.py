"""A whole model in float64, for the reference of onnx."""

from __future__ import annotations

import onnx
from onnx import TensorProto, numpy_helper

from edgeticket.graph.double.widen import NARROW, wide, widened_node
from edgeticket.graph.protos import bodies_of


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in float64: initializers, constants, and the types that operators are told to produce."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _widen(made.graph)
    for function in made.functions:
        for node in function.node:
            node.CopyFrom(widened_node(node))
    return made


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        if tensor.data_type in NARROW:
            tensor.CopyFrom(numpy_helper.from_array(wide(numpy_helper.to_array(tensor)), tensor.name))
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in NARROW:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for node in graph.node:
        node.CopyFrom(widened_node(node))
        for body in bodies_of(node):
            _widen(body)
