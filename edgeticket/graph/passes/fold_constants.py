"""Evaluate what does not depend on the input: f(c1, c2, ...) = c for deterministic operators of the standard.

This reads weights that hide behind Constant, Identity, Transpose, Cast or Reshape nodes, the zero biases that PyTorch's
exporter computes at run time, and the chains that rebuild stored weights in a file exported by edgeticket itself.

Declined: operators of other domains, random ones, results above MAX_ELEMENTS, nodes inside subgraphs, initializers that
are graph inputs too, and a view of a weight that a layer also reads directly (folding it would store the weight twice).
DequantizeLinear is no part of it: a quantised network's int8 weights would become float32, four times as large, and the
runtime's integer kernels would no longer be used.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.passes.note import Note
from edgeticket.graph.values import Array, constant, is_constant, is_standard, opset
from edgeticket.text import listing

NAME = "fold-constants"
FOLDABLE = frozenset([
    "Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike",
    "Ceil", "Clip", "Compress", "Concat", "Constant", "ConstantOfShape", "CumSum", "Div",
    "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater",
    "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "MatMul", "MatMulInteger", "Max", "Min", "Mod",
    "Mul", "Neg",
    "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round", "ScatterElements", "ScatterND", "Shape", "Sign", "Size",
    "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where",
    "Xor",
])  # fmt: skip
_VIEWS = frozenset(["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"])
_SHARED_LIMIT = 1024  # elements: a second copy of something smaller costs nothing


def fold_constants(model: ir.Model, *, outputs: bool = False) -> list[Note]:
    """Replace constant nodes of the main graph by initializers named as their outputs.

    What computes an output of the graph stays, unless `outputs` says otherwise.
    """
    graph, version = model.graph, opset(model)
    folded = 0
    declined: list[str] = []
    for node in list(graph):
        if node.op_type not in FOLDABLE or not is_standard(node, version):
            continue
        if any(output.is_graph_output() for output in node.outputs) and not outputs:
            continue
        if _bypass_identity(node):
            graph.remove(node, safe=True)
            folded += 1
            continue
        inputs = _inputs(node)
        if inputs is None:
            continue
        if node.op_type in _VIEWS and _read_by_a_layer(node.inputs[0] if node.inputs else None):
            declined.append(node.outputs[0].name or node.op_type)
            continue
        results = _fold(node, inputs, version)
        if results is None or len(results) != len(node.outputs):
            declined.append(node.outputs[0].name or node.op_type)
            continue
        _replace(graph, node, results)
        folded += 1
    notes = [Note(NAME, folded, f"evaluated {folded} constant nodes")] if folded else []
    if declined:
        reason = "too large, shared with a layer, or onnx.reference cannot evaluate them"
        notes.append(Note(NAME, 0, f"left the constants {listing(declined)} to the runtime: {reason}"))
    return notes


def _bypass_identity(node: ir.Node) -> bool:
    """Readers of Identity(c) read c itself, so that a shared weight stays one tensor."""
    source = node.inputs[0] if node.inputs else None
    if node.op_type != "Identity" or source is None or not is_constant(source) or node.outputs[0].is_graph_output():
        return False
    node.outputs[0].replace_all_uses_with(source)
    return True


def _inputs(node: ir.Node) -> list[Array | None] | None:
    """The node's inputs where all are constant; CastLike needs only the type of its second, Shape only the first."""
    arrays: list[Array | None] = []
    for index, value in enumerate(node.inputs):
        if value is None:
            arrays.append(None)
            continue
        array = constant(value)
        if array is None and node.op_type == "CastLike" and index == 1 and value.dtype is not None:
            array = np.zeros((0,), value.dtype.numpy())
        if array is None:
            return None
        arrays.append(array)
    return arrays


def _read_by_a_layer(value: ir.Value | None) -> bool:
    array = constant(value)
    if value is None or array is None or array.size <= _SHARED_LIMIT:
        return False
    return any(any(other is not None and not is_constant(other) for other in use.node.inputs) for use in value.uses())


def _fold(node: ir.Node, inputs: list[Array | None], version: int) -> list[Array] | None:
    proto: onnx.NodeProto = ir.to_proto(node)
    if node.op_type != "Constant":
        return evaluate(proto, inputs, version)
    if len(proto.attribute) != 1:
        return None
    [entry] = proto.attribute
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if entry.name == "value":
        return [onnx.numpy_helper.to_array(entry.t)]
    if entry.name in kinds:
        return [np.array(onnx.helper.get_attribute_value(entry), kinds[entry.name])]
    return None


def _replace(graph: ir.Graph, node: ir.Node, results: list[Array]) -> None:
    for output, array in zip(list(node.outputs), results, strict=True):
        name = output.name
        tensor = ir.tensor(np.array(array, order="C"), name=name)
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        if output.uses() or output.is_graph_output():
            graph.register_initializer(value)
        output.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
