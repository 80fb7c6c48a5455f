"""What the readers of a tensor say of it: its output channels, its zero points, whether the sign of a zero matters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import onnx
from onnx import numpy_helper

from edgeticket.graph import quantized
from edgeticket.graph.protos import STANDARD, bodies_of, nodes_of
from edgeticket.graph.storing.encoding import ZeroPoints

# Inputs that are multiplied, added or looked up: there -0 and 0 give numbers that are equal.
_EITHER_ZERO = {
    "Add": (0, 1), "BatchNormalization": (1, 2, 3), "Conv": (1, 2), "ConvTranspose": (1, 2), "Einsum": range(1000),
    "GRU": (1, 2, 3), "Gather": (0,), "Gemm": (0, 1, 2), "InstanceNormalization": (1, 2), "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2), "MatMul": (0, 1), "Mul": (0, 1), "RNN": (1, 2, 3), "Sub": (0, 1), "Sum": range(1000),
    "Attention": (1, 2), "FusedConv": (1, 2), "FusedGemm": (0, 1, 2), "FusedMatMul": (0, 1), "BiasGelu": (1,),
    "DeformConv": (1, 3), "Div": (0,), "EmbedLayerNormalization": (2, 3, 4, 5, 6), "FastGelu": (1,),
    "GatherElements": (0,), "GatherND": (0,), "GroupNormalization": (1, 2), "MatMulNBits": (2, 5),
    "MultiHeadAttention": (3,), "PRelu": (1,), "RMSNormalization": (1,), "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2, 3, 4),
}  # fmt: skip
# What is done with these numbers is done with their input's.
_VIEWS = frozenset([
    "Cast", "Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
])  # fmt: skip
_KNOWN_DOMAINS = ("", "ai.onnx", "com.microsoft")


def channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """The output channel's axis of each tensor that a product, convolution or lookup reads, by its first reader."""
    axes: dict[str, int] = {}
    for node in nodes_of(graph):
        if node.domain not in STANDARD:
            continue
        for index, axis in _reader_axes(node).items():
            if index < len(node.input) and node.input[index]:
                axes.setdefault(node.input[index], axis)
    return axes


def zero_points(graph: onnx.GraphProto) -> dict[str, ZeroPoints]:
    """Tensor -> its zero points, for tensors whose zero points are constants and differ from channel to channel."""
    inputs = {value.name for value in graph.input}
    tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}
    found: dict[str, ZeroPoints] = {}
    for node in nodes_of(graph):
        for index, place in quantized.zero_points(node.domain, node.op_type).items():
            if place >= len(node.input) or node.input[index] not in tensors or node.input[place] not in tensors:
                continue
            weight, zeros = tensors[node.input[index]], tensors[node.input[place]]
            shape = quantized.broadcast_shape(node.op_type, partial(_integer, node), weight.dims, zeros.dims)
            array = numpy_helper.to_array(zeros)
            if shape and weight.data_type == zeros.data_type and (array != array.reshape(-1)[0]).any():
                found.setdefault(weight.name, ZeroPoints(zeros.name, shape, array))
    return found


def signed_zeros(graph: onnx.GraphProto) -> set[str]:
    """The names that some reader does more with than to multiply, add or look up, outputs of the graph among them."""
    found = {value.name for value in graph.output}
    for node in reversed(list(nodes_of(graph))):
        for body in bodies_of(node):
            found.update(value.name for value in body.output)
        either: Sequence[int]
        known = node.domain in _KNOWN_DOMAINS
        if known and node.op_type in _VIEWS:
            either = () if found.intersection(node.output) else range(len(node.input))
        else:
            either = _EITHER_ZERO.get(node.op_type, ()) if known else ()
        found.update(name for index, name in enumerate(node.input) if index not in either)
    return found


def bias_scales(graph: onnx.GraphProto) -> dict[str, tuple[str, str]]:
    """The scale of a quantised bias -> those of the layer's input and weight, whose product it is by custom."""
    made = {node.output[0]: node for node in nodes_of(graph) if node.op_type == "DequantizeLinear" and node.output}
    found: dict[str, tuple[str, str]] = {}
    for node in nodes_of(graph):
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.input) < 3:
            continue
        x, weight, bias = (made.get(name) for name in node.input[:3])
        if x is not None and weight is not None and bias is not None:
            found.setdefault(bias.input[1], (x.input[1], weight.input[1]))
    return found


def _reader_axes(node: onnx.NodeProto) -> dict[int, int]:
    """Input index -> output channel axis."""
    match node.op_type:
        case "Conv":
            return {1: 0}
        case "ConvTranspose":  # [in, out / group, ...]: with groups no axis is the output channel
            return {1: 1 if _integer(node, "group", 1) == 1 else 0}
        case "Gemm":
            return {1: 0 if _integer(node, "transB", 0) else 1, 0: 1 if _integer(node, "transA", 0) else 0}
        case "MatMul":
            return {1: -1, 0: -2}
        case "Gather":
            return {0: 0}
        case "LSTM" | "GRU" | "RNN":  # [directions, gates * hidden, in]
            return {1: 1, 2: 1}
        case _:
            return {}


def _integer(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)
