"""Builds pruned networks as ONNX models, layer by layer, and counts their multiplications.

Shapes are those of one item (C, H, W) or (K,); the batch comes first in the model. Batch norms count as folded: every
layer has a bias. Weights are He-scaled by the inputs that are left, so that values neither vanish nor grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8  # read by every runtime that the provider supports
Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Network:
    """A model and its multiply-accumulates an item: `macs` of the dense network, `useful_macs` without zero weights."""

    name: str
    model: onnx.ModelProto
    input_shape: Shape
    output_shape: Shape
    macs: int
    useful_macs: int
    sparsity: float
    input_name: str = "input"

    def serialized(self) -> bytes:
        return bytes(self.model.SerializeToString())

    def feed(self, batch: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        """The input's name -> float32 [batch, ...], standard normal."""
        rng = np.random.default_rng(seed)
        return {self.input_name: rng.standard_normal((batch, *self.input_shape), np.float32)}


@dataclass
class Builder:
    """Adds nodes to a graph; each method takes the name of a value and returns that of its result.

    Args:
        sparsity: share of zeros, drawn at random for each weight, in [0, 1).
        batch: of the model; None leaves it open.
    """

    name: str
    input_shape: Shape
    sparsity: float = 0.0
    seed: int = 0
    batch: int | None = 1
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    macs: int = 0
    useful_macs: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, *self.name.encode()])
        self.shapes: dict[str, Shape] = {"input": self.input_shape}

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        pads: Sequence[int] | None = None,
        groups: int = 1,
        dense: bool = False,
        relu: bool = True,
    ) -> str:
        """A convolution with bias; `pads` are top, left, bottom, right; by default stride 1 keeps the size."""
        (kh, kw), (sh, sw) = _pair(kernel), _pair(stride)
        top, left, bottom, right = pads or (kh // 2, kw // 2, kh // 2, kw // 2)
        c, h, w = self.shapes[x]
        shape = (channels, (h + top + bottom - kh) // sh + 1, (w + left + right - kw) // sw + 1)
        weight = self._weight((channels, c // groups, kh, kw), prod(shape[1:]), dense)
        out = self._node(
            "Conv",
            [x, weight, self._bias(channels)],
            shape,
            kernel_shape=[kh, kw],
            strides=[sh, sw],
            pads=[top, left, bottom, right],
            group=groups,
        )
        return self.relu(out) if relu else out

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1, *, relu: bool = True) -> str:
        """One filter a channel; never pruned."""
        channels = self.shapes[x][0]
        return self.conv(x, channels, kernel, stride=stride, groups=channels, dense=True, relu=relu)

    def fc(self, x: str, units: int, *, dense: bool = False, relu: bool = True) -> str:
        """A fully connected layer as PyTorch writes it: Gemm, weight [units, inputs]."""
        weight = self._weight((units, self.shapes[x][0]), 1, dense)
        out = self._node("Gemm", [x, weight, self._bias(units)], (units,), transB=1)
        return self.relu(out) if relu else out

    def matmul(self, x: str, units: int, *, relu: bool = False) -> str:
        """A linear layer over the last axis of (T, K) as transformers write it: MatMul with [inputs, units], Add."""
        rows, inputs = self.shapes[x]
        weight = self._weight((inputs, units), rows, False)
        product = self._node("MatMul", [x, weight], (rows, units))
        out = self._node("Add", [product, self._bias(units)], (rows, units))
        return self.relu(out) if relu else out

    def attention(self, x: str) -> str:
        """One head over (T, K): what is between the four linear layers has no weights."""
        rows, width = self.shapes[x]
        query, key, value = (self.matmul(x, width) for _ in range(3))
        turned = self._node("Transpose", [key], (width, rows), perm=[0, 2, 1])
        scores = self._node("Softmax", [self._node("MatMul", [query, turned], (rows, rows))], (rows, rows), axis=-1)
        return self.matmul(self._node("MatMul", [scores, value], (rows, width)), width)

    def relu(self, x: str) -> str:
        return self._node("Relu", [x], self.shapes[x])

    def add(self, x: str, y: str, *, relu: bool = True) -> str:
        out = self._node("Add", [x, y], self.shapes[x])
        return self.relu(out) if relu else out

    def pool(self, x: str, kernel: int = 2, stride: int = 2, *, op: str = "MaxPool", pad: int = 0) -> str:
        c, h, w = self.shapes[x]
        shape = (c, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        return self._node(op, [x], shape, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def flatten(self, x: str) -> str:
        return self._node("Flatten", [x], (prod(self.shapes[x]),), axis=1)

    def global_pool(self, x: str) -> str:
        """The mean of each channel, (C,)."""
        return self.flatten(self._node("GlobalAveragePool", [x], (self.shapes[x][0], 1, 1)))

    def finish(self, output: str) -> Network:
        """The network, checked."""
        batch = "batch" if self.batch is None else self.batch
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *self.input_shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, *self.shapes[output]])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        shape = self.shapes[output]
        return Network(self.name, model, self.input_shape, shape, self.macs, self.useful_macs, self.sparsity)

    def _node(self, op: str, inputs: list[str], shape: Shape, **attributes: object) -> str:
        out = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"/{out}", **attributes))
        self.shapes[out] = shape
        return out

    def _weight(self, shape: Shape, positions: int, dense: bool) -> str:
        """A weight that is used at so many positions; the draws do not depend on the sparsity, so masks are nested."""
        values = self.rng.standard_normal(shape, np.float32)
        keep = self.rng.random(shape, np.float32) >= (0.0 if dense else self.sparsity)
        left = np.count_nonzero(keep) / shape[0]
        values *= keep * np.float32(np.sqrt(2 / max(left, 1.0)))
        self.macs += values.size * positions
        self.useful_macs += int(np.count_nonzero(values)) * positions
        return self._constant(values, "weight")

    def _bias(self, channels: int) -> str:
        return self._constant(0.1 * self.rng.standard_normal(channels, np.float32), "bias")

    def _constant(self, values: np.ndarray, kind: str) -> str:
        name = f"layer{len(self.weights) // 2}.{kind}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value
