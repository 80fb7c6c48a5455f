"""Fold batch normalisation into the layer before it.

    y = γ (Wx + b - μ) / sqrt(σ² + ε) + β  =  (sW) x + (b - μ) s + β,   s = γ / sqrt(σ² + ε), per output channel

computed in float64 and rounded once (values.py keeps what was not rounded). Declined in a sentence: the layer's output
has other readers or is a graph output, its weights are shared, graph inputs or half precision, or s is not finite.
Normalisation before a layer stays.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import bias_of, set_bias
from edgeticket.graph.passes.note import Note
from edgeticket.graph.protos import STANDARD
from edgeticket.graph.values import (
    Array,
    attribute,
    constant,
    exact,
    is_standard,
    opset,
    set_constant,
    stand_in,
    to_dtype,
)
from edgeticket.text import listing

NAME = "fold-batchnorm"


class Declined(Exception):  # noqa: N818
    """Why one normalisation stays."""


def fold_batchnorm(model: ir.Model) -> list[Note]:
    """Fold every BatchNormalization that follows a Conv, ConvTranspose or Gemm and can be folded exactly."""
    version = opset(model)
    folded: list[str] = []
    declined: dict[str, list[str]] = {}
    for node in list(model.graph):
        if node.op_type != "BatchNormalization" or not is_standard(node, version):
            continue
        try:
            folded.append(_fold(model.graph, node))
        except Declined as reason:
            declined.setdefault(str(reason), []).append(node.name or node.outputs[0].name or "?")
    notes = [Note(NAME, len(folded), f"folded {len(folded)} batch normalisations into their layers")] if folded else []
    notes += [Note(NAME, 0, f"left {listing(nodes)} as it is: {reason}") for reason, nodes in declined.items()]
    return notes


def _fold(graph: ir.Graph, node: ir.Node) -> str:
    scale, shift = _affine(node)
    layer = node.inputs[0].producer() if node.inputs[0] is not None else None
    if layer is None or layer.op_type not in ("Conv", "ConvTranspose", "Gemm") or layer.domain not in STANDARD:
        raise Declined("no Conv, ConvTranspose or Gemm comes before it")
    output = layer.outputs[0]
    if len(output.uses()) != 1 or output.is_graph_output():
        raise Declined("the layer's output has other readers")
    weight = layer.inputs[1]
    values = constant(weight)
    if weight is None or values is None:
        raise Declined("the layer's weight is no constant")
    if len(weight.uses()) != 1 or weight.is_graph_output():
        raise Declined("the layer's weight is shared")
    if values.dtype not in (np.float32, np.float64):
        raise Declined(f"the layer's weight is {values.dtype}")
    spread = _spread(layer, values.shape, scale)
    if spread is None:
        raise Declined("its channels are not the layer's")
    bias = bias_of(layer, scale.size)
    if bias is None:
        raise Declined("the layer's bias is no constant of one number per channel")
    new_weight = exact(weight) * spread
    beta = attribute(layer, "beta", 1.0) if layer.op_type == "Gemm" else 1.0
    new_bias = beta * bias * scale + shift
    rounded = to_dtype(new_weight, values.dtype)
    if not (np.isfinite(rounded).all() and np.isfinite(to_dtype(new_bias, values.dtype)).all()):
        raise Declined("the folded weights would not be finite")
    set_constant(weight, rounded, new_weight)
    set_bias(graph, layer, new_bias, values.dtype)
    stand_in(node.outputs[0], output)
    graph.remove(node, safe=True)
    return weight.name or "?"


def _spread(layer: ir.Node, shape: tuple[int, ...], scale: Array) -> Array | None:
    """A layer's scale [channels] in a form that multiplies its weight; None where it has other channels.

    Conv [M, C, ...], Gemm [M, C] or [C, M], ConvTranspose [G·C, M, ...] with G·M channels.
    """
    ones = [1] * (len(shape) - 2)
    if layer.op_type == "ConvTranspose":
        groups = attribute(layer, "group", 1)
        if groups * shape[1] != scale.size or shape[0] % groups:
            return None
        return np.repeat(scale.reshape(groups, shape[1], *ones), shape[0] // groups, axis=0)
    axis = 0 if layer.op_type == "Conv" or attribute(layer, "transB", 0) else 1
    return scale.reshape([-1, 1, *ones] if axis == 0 else [1, -1, *ones]) if shape[axis] == scale.size else None


def _affine(node: ir.Node) -> tuple[Array, Array]:
    """s and β - μ s of an inference-mode normalisation, float64 [C]."""
    inference = not attribute(node, "training_mode", 0) and attribute(node, "spatial", 1)
    if not inference or any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        raise Declined("it is in training mode or not spatial")
    parameters = [constant(value) for value in node.inputs[1:5]]
    if len(parameters) != 4 or any(array is None or array.ndim != 1 for array in parameters):
        raise Declined("its parameters are no constants")
    gamma, beta, mean, variance = (exact(value) for value in node.inputs[1:5] if value is not None)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + np.float64(np.float32(attribute(node, "epsilon", 1e-5))))
        return scale, beta - mean * scale
