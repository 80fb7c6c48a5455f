"""Whether the sign of a zero matters: what the readers of a tensor, and their readers, make of -0 and of 0.

Most operators make of -0 and 0 numbers that are equal. But 1 / -0 is another number than 1 / 0, so that operators which
hand the sign on are followed to those that divide. A sum of products starts at 0 in ONNX Runtime, and 0 + -0 is 0:
behind a matrix product or a convolution no sign of a weight's zero is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgeticket.graph.protos import bodies_of, nodes_of

_ALL = range(1000)
# Inputs that come out as they are, bit by bit.
_MOVED: Mapping[str, Sequence[int]] = {
    "Compress": (0,), "Concat": _ALL, "DepthToSpace": (0,), "Dropout": (0,), "Expand": (0,), "Flatten": (0,),
    "Gather": (0,), "GatherElements": (0,), "GatherND": (0,), "Identity": (0,), "Neg": (0,), "Pad": (0, 2),
    "Reshape": (0,), "ReverseSequence": (0,), "ScatterElements": (0, 2), "ScatterND": (0, 2), "Slice": (0,),
    "SpaceToDepth": (0,), "Split": (0,), "Squeeze": (0,), "Tile": (0,), "Transpose": (0,), "Trilu": (0,),
    "Unsqueeze": (0,),
}  # fmt: skip
# Inputs of which -0 and 0 give numbers that are equal, though a zero among them may have either sign.
_EQUAL: Mapping[str, Sequence[int]] = {
    "Add": (0, 1), "Asin": (0,), "Asinh": (0,), "Atan": (0,), "Atanh": (0,), "AveragePool": (0,),
    "BatchNormalization": (0, 1, 2, 3), "Ceil": (0,), "Celu": (0,), "Clip": (0, 1, 2), "CumSum": (0,), "Div": (0,),
    "Einsum": _ALL, "Elu": (0,), "Erf": (0,), "Floor": (0,), "Gelu": (0,), "GlobalAveragePool": (0,),
    "GlobalMaxPool": (0,), "GroupNormalization": (0, 1, 2), "HardSwish": (0,), "InstanceNormalization": (0, 1, 2),
    "LayerNormalization": (0, 1, 2), "LeakyRelu": (0,), "Max": _ALL, "MaxPool": (0,), "Mean": _ALL, "Min": _ALL,
    "Mish": (0,), "Mod": (0,), "Mul": (0, 1), "PRelu": (0, 1), "RMSNormalization": (0, 1), "ReduceMax": (0,),
    "ReduceMean": (0,), "ReduceMin": (0,), "ReduceSum": (0,), "Relu": (0,), "Resize": (0,), "Round": (0,),
    "Selu": (0,), "Shrink": (0,), "Sign": (0,), "Sin": (0,), "Sinh": (0,), "Softsign": (0,), "Sqrt": (0,),
    "Sub": (0, 1), "Sum": _ALL, "Swish": (0,), "Tan": (0,), "Tanh": (0,), "ThresholdedRelu": (0,), "TopK": (0,),
    "Where": (1, 2),
    "BiasGelu": (0, 1), "EmbedLayerNormalization": (2, 3, 4, 5, 6), "FastGelu": (0, 1), "QuickGelu": (0,),
    "SimplifiedLayerNormalization": (0, 1), "SkipLayerNormalization": (0, 1, 2, 3, 4),
    "SkipSimplifiedLayerNormalization": (0, 1, 2, 3),
    # biases, which some kernels start from
    "Conv": (2,), "ConvTranspose": (2,), "DeformConv": (3,), "FusedConv": (2,), "FusedGemm": (2,), "GRU": (3,),
    "Gemm": (2,), "LSTM": (3, 7), "RNN": (3,),
}  # fmt: skip
# Inputs behind which the sign of a zero is gone: factors of sums, and what is compared or is even in its argument.
_GONE: Mapping[str, Sequence[int]] = {
    "Abs": (0,), "ArgMax": (0,), "ArgMin": (0,), "Attention": (1, 2), "Conv": (0, 1), "ConvTranspose": (0, 1),
    "Cos": (0,), "Cosh": (0,), "DeformConv": (0, 1), "Equal": (0, 1), "Exp": (0,), "FusedConv": (0, 1),
    "FusedGemm": (0, 1), "FusedMatMul": (0, 1), "GRU": (0, 1, 2), "Gemm": (0, 1), "Greater": (0, 1),
    "GreaterOrEqual": (0, 1), "HardSigmoid": (0,), "IsInf": (0,), "IsNaN": (0,), "LSTM": (0, 1, 2), "Less": (0, 1),
    "LessOrEqual": (0, 1), "LogSoftmax": (0,), "MatMul": (0, 1), "MatMulNBits": (0, 2, 5),
    "MultiHeadAttention": (0, 1, 2, 3), "NonZero": (0,), "Pow": (1,), "QuantizeLinear": (0,), "RNN": (0, 1, 2),
    "ReduceL1": (0,), "ReduceL2": (0,), "ReduceLogSumExp": (0,), "ReduceSumSquare": (0,), "Shape": (0,),
    "Sigmoid": (0,), "Size": (0,), "Softmax": (0,), "Softplus": (0,),
}  # fmt: skip
_KNOWN_DOMAINS = ("", "ai.onnx", "com.microsoft")
_FLOATS = (
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E5M2,
)  # fmt: skip


def signed_zeros(graph: onnx.GraphProto) -> set[str]:
    """The names of values whose negative zeros stay.

    They are those that an output shows as they are, and those of which an operator makes another number than of 0, or
    may make one because it is not known here.
    """
    inputs = {value.name for value in graph.input}
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}
    nodes = list(nodes_of(graph))
    inner = {value.name for node in nodes for body in bodies_of(node) for value in body.output}
    shown, told = {value.name for value in graph.output} | inner, inner  # `told`: another number comes of it
    for node in reversed(nodes):
        at_output, apart = not shown.isdisjoint(node.output), not told.isdisjoint(node.output)
        for index, name in enumerate(node.input):
            hands_on = _hands_on(node, index, constants)
            if hands_on is None:
                told.add(name)
                continue
            if at_output and hands_on == "moved":
                shown.add(name)
            if apart and hands_on != "gone":
                told.add(name)
    return shown | told


def _hands_on(node: onnx.NodeProto, index: int, constants: Mapping[str, onnx.TensorProto]) -> str | None:
    """What becomes of the sign of a zero: "moved", "equal" or "gone". None where another number may come of it."""
    op, place = node.op_type, node.input[index]
    if node.domain not in _KNOWN_DOMAINS:
        return None
    if op == "Cast":
        to = next((entry.i for entry in node.attribute if entry.name == "to"), 0)
        return "moved" if to in _FLOATS else "gone" if to != TensorProto.STRING else None
    if op == "Pow" and index == 0:
        return _power(_numbers(constants.get(node.input[1])))
    if op == "Mul" and list(node.input) == [place, place]:
        return "gone"
    if op in ("Add", "Sub"):
        other = _numbers(constants.get(node.input[1 - index]))
        if other is not None and np.all(other != 0):
            return "gone"
    for said, places in (("moved", _MOVED), ("equal", _EQUAL), ("gone", _GONE)):
        if index in places.get(op, ()):
            return said
    return None


def _power(exponent: NDArray[np.float64] | None) -> str | None:
    """-0 to an odd power is -0, to any other positive power 0."""
    if exponent is None or not np.all(exponent > 0):
        return None
    return "equal" if np.any(exponent % 2 == 1) else "gone"


def _numbers(tensor: onnx.TensorProto | None) -> NDArray[np.float64] | None:
    known = tensor is not None and tensor.data_location != TensorProto.EXTERNAL
    return numpy_helper.to_array(tensor).astype(np.float64) if tensor is not None and known else None
