"""The ways to compute one node in float64, and their order.

1. a kernel of our own, where onnx.reference is slow or lacks a form of the operator
2. onnx.reference, for operators of the standard
3. ONNX Runtime on the node alone, in float64 where it has that
4. ONNX Runtime in float32: what it computes is then no better than float32, and is remembered as such
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgeticket.graph.double import normalisation, pointwise, quantized, recurrent, resampling, windows
from edgeticket.graph.double.operation import (
    Kernel,
    NotHereError,
    Operation,
    RuntimeDecidesError,
    Values,
    alone,
    runtime_alone,
)
from edgeticket.graph.double.widen import wide

Array = NDArray[Any]

OWN: dict[str, Kernel] = {
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool,
    "LSTM": recurrent.recurrent,
    "GRU": recurrent.recurrent,
    "RNN": recurrent.recurrent,
    "Resize": resampling.resize,
    "Upsample": resampling.resize,
    "Constant": pointwise.constant,
    "Identity": lambda _, inputs: [inputs[0]],
    "Add": pointwise.alike(np.add),
    "Div": pointwise.alike(np.divide),
    "Mul": pointwise.alike(np.multiply),
    "Sub": pointwise.alike(np.subtract),
    "Relu": pointwise.alike(pointwise.relu),
    "Tanh": pointwise.alike(np.tanh),
    "Erf": pointwise.erf_node,
    "Gelu": pointwise.gelu,
    "MatMul": pointwise.matmul,
    "Gemm": pointwise.gemm,
    "ScatterElements": pointwise.scatter_elements,
    "Sigmoid": lambda _, inputs: [recurrent.sigmoid(inputs[0])],
    "BatchNormalization": pointwise.batch_normalization,
    "GroupNormalization": normalisation.group_normalization,
    "GlobalAveragePool": pointwise.global_average_pool,
    "GlobalMaxPool": pointwise.global_max_pool,
    "DequantizeLinear": quantized.dequantize,
    "QuantizeLinear": quantized.quantize,
    "DynamicQuantizeLinear": quantized.dynamic_quantize,
}
# com.microsoft's, where they mean the same; ONNX Runtime's quantiser writes them for 4 and 16 bits.
OWN_OF_MICROSOFT: dict[str, Kernel] = {"DequantizeLinear": quantized.dequantize}
# onnx.reference rounds these to float32; the runtime has them in float64.
_ROUNDED = frozenset(["AffineGrid"])
# Of integers, or in a precision of its own: the runtime is the definition.
BY_RUNTIME = frozenset([
    "ConvInteger", "MatMulInteger", "NonMaxSuppression", "QLinearConv", "QLinearMatMul",
])  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """A node's outputs. `single` says that those that are floats were computed in float32."""

    outputs: list[Any]
    single: bool = False


def compute(operation: Operation, inputs: Values, *, by_runtime: bool = False) -> Computed:
    """The node's outputs for these inputs. `by_runtime` leaves out all but the runtime.

    Kernels warn of overflow, which in an extreme sample is a result: the caller silences them, once for a whole graph.

    Raises:
        NotHereError: nothing here can run it; the sentence says why.
    """
    op_type, ways = operation.node.op_type, list[Kernel | None]()
    reasons: list[str] = []
    if operation.domain == "" and op_type not in BY_RUNTIME:
        ways = [OWN.get(op_type), None if op_type in _ROUNDED else _reference]
    elif operation.domain == "com.microsoft":
        ways = [OWN_OF_MICROSOFT.get(op_type)]
    if not by_runtime:
        for way in ways:
            if way is None:
                continue
            try:
                return Computed(way(operation, inputs))
            except RuntimeDecidesError as error:
                reasons.append(str(error))
                break
            except Exception as error:  # what a kernel or onnx.reference does not know, the runtime may
                reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return _by_runtime(operation, inputs, reasons)


def _reference(operation: Operation, inputs: Values) -> list[Any]:
    given, made = tuple(value is not None for value in inputs), tuple(bool(name) for name in operation.node.output)
    key = (operation.signature, operation.captured, given, made)
    evaluator: Any = operation.evaluators.get(key)
    if evaluator is None:
        evaluator = ReferenceEvaluator(alone(operation, inputs, operation.wide_node, embed=False))
        operation.evaluators[key] = evaluator
    feed = {name: inputs[int(name[1:])] for name in evaluator.input_names}
    found = evaluator.run(None, feed)
    return [np.asarray(each) if isinstance(each, np.ndarray | np.generic | int | float) else each for each in found]


def _by_runtime(operation: Operation, inputs: Values, reasons: list[str]) -> Computed:
    node = operation.wide_node
    if any(_floats(value) for value in inputs) and operation.node.op_type not in BY_RUNTIME:
        try:
            found = runtime_alone(operation, inputs, node)
            return Computed([_wide(value) for value in found], any(_single(value) for value in found))
        except NotHereError as error:
            reasons.append(str(error))
    try:
        found = runtime_alone(operation, [_narrow(value) for value in inputs])
    except NotHereError as error:
        raise NotHereError("; ".join([*reasons, str(error)])) from error
    return Computed([_wide(value) for value in found], any(_single(value) or _floats(value) for value in found))


def _floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float64


def _single(value: Any) -> bool:
    if isinstance(value, list):
        return any(_single(each) for each in value)
    if isinstance(value, dict):
        return any(isinstance(each, float) for each in value.values())
    return isinstance(value, np.ndarray) and value.dtype in (np.float32, np.float16)


def _wide(value: Any) -> Any:
    if isinstance(value, list):
        return [_wide(each) for each in value]
    return wide(value) if isinstance(value, np.ndarray) else value


def _narrow(value: Any) -> Any:
    if isinstance(value, list):
        return [_narrow(each) for each in value]
    return value.astype(np.float32) if _floats(value) else value
