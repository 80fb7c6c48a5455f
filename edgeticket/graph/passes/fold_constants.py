"""Evaluate what does not depend on the input: f(c1, c2, ...) = c for deterministic operators of the standard.

This reads weights that hide behind Constant, Identity, Transpose, Cast or Reshape nodes, the zero biases that PyTorch's
exporter computes at run time, and the chains that rebuild stored weights in a file exported by edgeticket itself.

Declined: operators of other domains, random ones, results above MAX_ELEMENTS, nodes inside subgraphs, initializers that
are graph inputs too, and a view of a weight that a layer also reads directly (folding it would store the weight twice).
DequantizeLinear is no part of it: a quantised network's int8 weights would become float32, four times as large, and the
runtime's integer kernels would no longer be used.

The numbers are those that the runtime would compute, step by step in the graph's own precision. Beside them, values.py
keeps the same chain in float64, so that what is stored in the end is rounded once.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir import serde

from edgeticket.graph.double.quantized import quantized_as_it_comes
from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.origins import evaluated, set_origins
from edgeticket.graph.passes.note import Note
from edgeticket.graph.recipes import remember
from edgeticket.graph.values import (
    HALF_AND_SINGLE,
    Array,
    constant,
    exact,
    is_constant,
    is_standard,
    keep_unrounded,
    opset,
    tensor_of,
    unrounded,
)
from edgeticket.text import listing

NAME = "fold-constants"
FOLDABLE = frozenset([
    "Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike",
    "Ceil", "Clip", "Compress", "Concat", "Constant", "ConstantOfShape", "CumSum", "Div", "DynamicQuantizeLinear",
    "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater",
    "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "MatMul", "MatMulInteger", "Max", "Min", "Mod",
    "Mul", "Neg",
    "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round", "ScatterElements", "ScatterND", "Shape", "Sign", "Size",
    "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where",
    "Xor",
])  # fmt: skip
_VIEWS = frozenset(["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"])
_COPIES = _VIEWS | {"DynamicQuantizeLinear"}  # of a weight: beside the weight itself they would be stored twice
# They pick or move numbers: nothing is rounded that was not before.
_SELECTS = _VIEWS - {"Cast"} | frozenset([
    "Compress", "Concat", "Constant", "ConstantOfShape", "Expand", "Gather", "GatherElements", "GatherND", "Max", "Min",
    "Neg", "Abs", "Pad", "ReduceMax", "ReduceMin", "Relu", "ScatterElements", "ScatterND", "Slice", "Split", "Tile",
    "TopK", "Trilu", "Where",
])  # fmt: skip
# A last bit decides by how much they jump: what the runtime gets is what counts.
_NOT_SMOOTH = frozenset(["Ceil", "Floor", "Mod", "Round", "Sign"])
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
        if node.op_type in _COPIES and _read_by_a_layer(node.inputs[0] if node.inputs else None):
            declined.append(node.outputs[0].name or node.op_type)
            continue
        results = _fold(node, inputs, version)
        if results is None or len(results) != len(node.outputs):
            declined.append(node.outputs[0].name or node.op_type)
            continue
        _replace(graph, node, results, _in_float64(node, inputs, results, version))
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
    proto = serde.serialize_node(node)
    if node.op_type != "Constant":
        results = evaluate(proto, inputs, version)
        return None if node.op_type == "DynamicQuantizeLinear" and _undecided(inputs, results) else results
    if len(proto.attribute) != 1:
        return None
    [entry] = proto.attribute
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if entry.name == "value":
        return [onnx.numpy_helper.to_array(entry.t)]
    if entry.name in kinds:
        return [np.array(onnx.helper.get_attribute_value(entry), kinds[entry.name])]
    return None


def _undecided(inputs: list[Array | None], results: list[Array] | None) -> bool:
    """Whether rounding decides about a code of a quantised weight: float64 would have another one."""
    if results is None or inputs[0] is None:
        return True
    wide = quantized_as_it_comes(inputs[0].astype(np.float64))
    return not (np.array_equal(wide[0], results[0]) and np.array_equal(wide[2], results[2]))


def _in_float64(node: ir.Node, inputs: list[Array | None], results: list[Array], version: int) -> list[Array | None]:
    """The same outputs without rounding to float32 or less; None where there was nothing to round, or no way."""
    nothing: list[Array | None] = [None] * len(results)
    floats = [array for array in (*inputs, *results) if array is not None and array.dtype in HALF_AND_SINGLE]
    if node.op_type in _NOT_SMOOTH or not any(array.dtype in HALF_AND_SINGLE for array in results) or not inputs:
        return nothing
    if node.op_type in _SELECTS and all(value is None or unrounded(value) is None for value in node.inputs):
        return nothing
    if len({array.dtype for array in floats}) > 1 and node.op_type not in ("Cast", "CastLike"):
        return nothing
    wide = [
        exact(value)
        if value is not None and is_constant(value) and array is not None and array.dtype in HALF_AND_SINGLE
        else array
        for value, array in zip(node.inputs, inputs, strict=True)
    ]
    found: list[Array] | None
    if node.op_type in ("Cast", "CastLike"):
        assert wide[0] is not None
        found = [wide[0].astype(np.float64)]
    elif node.op_type == "DynamicQuantizeLinear":
        assert wide[0] is not None
        found = quantized_as_it_comes(wide[0].astype(np.float64))
    else:
        proto = ir.to_proto(node)
        assert isinstance(proto, onnx.NodeProto)
        found = evaluate(proto, wide, version)
    if found is None or [array.shape for array in found] != [array.shape for array in results]:
        return nothing
    return [
        doubled if array.dtype in HALF_AND_SINGLE and doubled.dtype == np.float64 else None
        for array, doubled in zip(results, found, strict=True)
    ]


def _replace(graph: ir.Graph, node: ir.Node, results: list[Array], doubled: list[Array | None]) -> None:
    values, origins = [], [evaluated(output.name, node.inputs) for output in node.outputs]
    for output, array, kept, origin in zip(list(node.outputs), results, doubled, origins, strict=True):
        name = output.name
        tensor = tensor_of(array.copy(), name)
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        keep_unrounded(value, array, kept)
        set_origins(value, origin)
        if output.uses() or output.is_graph_output():
            graph.register_initializer(value)
        output.replace_all_uses_with(value, replace_graph_outputs=True)
        values.append(value)
    remember(node, values)
    graph.remove(node, safe=True)
