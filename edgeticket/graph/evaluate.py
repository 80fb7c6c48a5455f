"""Evaluate one operator of the standard on numbers with onnx.reference, within a limit of size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from edgeticket.graph.double.pointwise import erf

Array = NDArray[Any]

MAX_ELEMENTS = 2**27  # the largest weight of VGG-16 holds 103 million elements
_SMALL = 4096  # inputs up to here take part in shape inference by value
# What these return has no more elements than the product of their inputs' sizes, whatever the inputs' values are.
_BOUNDED = frozenset([
    "Abs", "Add", "And", "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
    "Cast", "CastLike", "Ceil", "Clip", "CumSum", "Div", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gelu",
    "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Reshape", "Round", "Selu", "Sigmoid",
    "Sign", "Softplus", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where", "Xor",
])  # fmt: skip


class ScatterElements(OpRun):
    """onnx.reference scatters element by element in Python; without a reduction numpy does it whole."""

    op_domain = ""

    def _run(
        self, data: Array, indices: Array, updates: Array, axis: int = 0, reduction: str | None = None
    ) -> tuple[Array]:
        if reduction not in (None, "none"):
            raise NotImplementedError(f"ScatterElements with reduction {reduction!r}")
        result = np.array(data)
        np.put_along_axis(result, indices.astype(np.int64), updates, axis)
        return (result,)


class Erf(OpRun):
    """onnx.reference rounds to float32 whatever comes in."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (erf(x).astype(x.dtype),)


class Gelu(OpRun):
    """The same rounding stands in onnx.reference's Gelu."""

    op_domain = ""

    def _run(self, x: Array, approximate: str = "none") -> tuple[Array]:
        if approximate == "tanh":
            inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        else:
            inner = erf(x / math.sqrt(2))
        return ((x / 2 * (1 + inner)).astype(x.dtype),)


def _renamed(node: onnx.NodeProto, inputs: Sequence[Array | None]) -> onnx.NodeProto:
    """The node without its name, with inputs i0, i1 ... and outputs o0, o1 ..."""
    return onnx.NodeProto(
        op_type=node.op_type,
        domain=node.domain,
        attribute=node.attribute,
        input=[f"i{index}" if array is not None else "" for index, array in enumerate(inputs)],
        output=[f"o{index}" for index in range(len(node.output))],
    )


def single_node_model(
    node: onnx.NodeProto, inputs: Sequence[Array | None], opset: int, by_value: bool = False
) -> onnx.ModelProto:
    """A model of this node alone. With `by_value`, small inputs are initializers, so that shape inference sees them."""
    graph = onnx.GraphProto(name="one")
    graph.node.append(_renamed(node, inputs))
    for name, array in zip(graph.node[0].input, inputs, strict=True):
        if array is None:
            continue
        if by_value and array.size <= _SMALL:
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        else:
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in graph.node[0].output)
    model = onnx.ModelProto(ir_version=10, graph=graph)
    model.opset_import.append(onnx.OperatorSetIdProto(domain="", version=opset))
    return model


def _fits(node: onnx.NodeProto, inputs: Sequence[Array | None], opset: int) -> bool:
    """Will the outputs stay within MAX_ELEMENTS? Where inference cannot say, the operator selects from its inputs."""
    if node.op_type in _BOUNDED and math.prod(max(1, a.size) for a in inputs if a is not None) <= MAX_ELEMENTS:
        return True
    inferred = onnx.shape_inference.infer_shapes(single_node_model(node, inputs, opset, by_value=True))
    for output in inferred.graph.output:
        count = 1
        for dim in output.type.tensor_type.shape.dim:
            if dim.dim_value < 0:
                return False
            count *= dim.dim_value if dim.HasField("dim_value") else 1
        if count > MAX_ELEMENTS:
            return False
    return sum(array.size for array in inputs if array is not None) <= 2 * MAX_ELEMENTS


_Types = tuple[np.dtype[Any] | None, ...]


def _evaluator(node: onnx.NodeProto, inputs: Sequence[Array | None], opset: int) -> ReferenceEvaluator:
    types = tuple(None if array is None else array.dtype for array in inputs)
    return _known_evaluator(_renamed(node, inputs).SerializeToString(deterministic=True), types, opset)


@lru_cache(maxsize=64)
def _known_evaluator(node: bytes, types: _Types, opset: int) -> ReferenceEvaluator:
    """What runs a node; the same for nodes that differ in names and shapes alone, of which a file has thousands."""
    inputs = [None if dtype is None else np.zeros((0,), dtype) for dtype in types]
    model = single_node_model(onnx.NodeProto.FromString(node), inputs, opset)
    return ReferenceEvaluator(model, new_ops=[ScatterElements, Erf, Gelu])


def evaluate(node: onnx.NodeProto, inputs: Sequence[Array | None], opset: int) -> list[Array] | None:
    """The node's outputs for these inputs; None where they are too large or the operator refuses them."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not _fits(node, inputs, opset):
                return None
            feeds = {f"i{index}": array for index, array in enumerate(inputs) if array is not None}
            results = _evaluator(node, inputs, opset).run(None, feeds)
            arrays = [np.asarray(result) for result in results]
    except Exception:  # onnx.reference raises whatever numpy does; a node it cannot run simply stays
        return None
    if any(array.dtype == object or array.size > MAX_ELEMENTS for array in arrays):
        return None
    return arrays
