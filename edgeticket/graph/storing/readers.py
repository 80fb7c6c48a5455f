"""What the readers of a tensor say of it: its output channels, its zero points."""

from __future__ import annotations

from functools import partial

import onnx
from onnx import numpy_helper

from edgeticket.graph import quantized
from edgeticket.graph.protos import STANDARD, nodes_of
from edgeticket.graph.storing.encoding import ZeroPoints


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
