"""The weights of a graph's layers, quantised ones among them, and which of their numbers are zeros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeticket.graph import quantized
from edgeticket.graph.values import Array, attribute

_MS = "com.microsoft"
LAYER_WEIGHTS: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "Conv"): (1,), ("", "ConvTranspose"): (1,), ("", "Gemm"): (0, 1), ("", "MatMul"): (0, 1),
    ("", "LSTM"): (1, 2), ("", "GRU"): (1, 2), ("", "RNN"): (1, 2),
    (_MS, "FusedConv"): (1,), (_MS, "FusedGemm"): (0, 1), (_MS, "FusedMatMul"): (0, 1), (_MS, "Attention"): (1,),
}  # fmt: skip
_VIEWS = frozenset(["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"])


@dataclass(frozen=True)
class Weight:
    """One stored weight of a layer: an initializer, and what stands for zero in it, broadcasting over it."""

    node: ir.Node  # the layer
    value: ir.Value
    array: Array
    zero: Array | None = None

    @property
    def nonzeros(self) -> int:
        """How many elements differ from zero."""
        with np.errstate(invalid="ignore"):  # numpy's bfloat16 warns of signalling NaNs
            return int(np.count_nonzero(self.array if self.zero is None else self.array != self.zero))


def layer_weights(graph: ir.Graph) -> Iterator[Weight]:
    """Every stored weight of a layer of the graph and its subgraphs; one that two layers share comes twice."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        domain = "" if node.domain == "ai.onnx" else node.domain
        for index in LAYER_WEIGHTS.get((domain, node.op_type), ()):
            value = node.inputs[index] if index < len(node.inputs) else None
            found = _stored(node, value)
            if found is not None:
                yield found
        for index in quantized.quantized_weights(node.domain, node.op_type):
            found = _weight(node, node, index)
            if found is not None:
                yield found


def _stored(layer: ir.Node, value: ir.Value | None) -> Weight | None:
    """The weight behind a layer's input: an initializer, maybe one that nodes on the way view or dequantize."""
    while value is not None:
        if value.is_initializer() and value.const_value is not None:
            return Weight(layer, value, value.const_value.numpy())
        producer = value.producer()
        if producer is None or not producer.inputs:
            return None
        if producer.op_type == "DequantizeLinear":
            return _weight(layer, producer, 0)
        value = producer.inputs[0] if producer.op_type in _VIEWS else None
    return None


def _weight(layer: ir.Node, reader: ir.Node, index: int) -> Weight | None:
    """The quantised initializer at an input of `reader`, with the zero points that `reader` gives it."""
    value = reader.inputs[index] if index < len(reader.inputs) else None
    if value is None or not value.is_initializer() or value.const_value is None:
        return None
    array = value.const_value.numpy()
    place = quantized.zero_points(reader.domain, reader.op_type)[index]
    points = reader.inputs[place] if place < len(reader.inputs) else None
    if points is None:
        return Weight(layer, value, array)
    if points.const_value is None:
        return None  # what stands for zero is not known
    zeros = points.const_value.numpy()
    shape = quantized.broadcast_shape(
        reader.op_type, lambda name, default: int(attribute(reader, name, default)), array.shape, zeros.shape
    )
    return Weight(layer, value, array, None if shape is None else zeros.reshape(shape))
