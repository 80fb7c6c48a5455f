"""Small models in float64, one plain loop an operator, and how far float32 may be from that.

A sum of n rounded terms in any order is off by at most n u / (1 - n u) times the sum of the terms' sizes, u = 2^-24
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). `tolerances` carries these sizes through the
model as export/src/engine/region/reference.h does: weights, biases and inputs by their absolute values, activations by
their largest slope. A weight of 0 does not read its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
UNIT = 2.0**-24
_ACTIVATION_ROUNDINGS = 8  # of an exponential and what surrounds it, in units of the result


@dataclass(frozen=True)
class Activation:
    """A function of x and of the attribute alpha; and its size, from the sizes that lead to x."""

    value: Callable[[Array, float], Array]
    size: Callable[[Array, float], Array]
    alpha: float | None = None  # what a node that does not say it has; None: the operator has no such attribute


ACTIVATIONS = {  # those of one input, by their names in ONNX
    "HardSwish": Activation(lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1), lambda size, _: 3 * size),
    "LeakyRelu": Activation(
        lambda x, a: np.where(x < 0, a * x, x), lambda size, a: size * max(1.0, abs(a)), alpha=0.01
    ),
    "Relu": Activation(lambda x, _: np.where(x < 0, 0, x), lambda size, _: size),
    "Sigmoid": Activation(lambda x, _: 1 / (1 + np.exp(-x)), lambda size, _: size + 1),
}


class Float64:
    """One evaluation: of the values or, with `sizes`, of their sizes; `operations` counts a path through every node."""

    def __init__(self, proto: onnx.ModelProto, feeds: Mapping[str, Array], *, sizes: bool = False) -> None:
        self.sizes = sizes
        self.operations = 4
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
        self.raw: dict[str, Array] = {**constants, **feeds}
        self.values = {name: self._widened(array) for name, array in self.raw.items()}
        with np.errstate(all="ignore"):  # an infinity in, a NaN out
            for node in proto.graph.node:
                self.values[node.output[0]] = self._apply(node)
        self.outputs = {output.name: self.values[output.name] for output in proto.graph.output}

    def _widened(self, array: Array) -> Array:
        if array.dtype != np.float32:
            return array
        return np.abs(array.astype(np.float64)) if self.sizes else array.astype(np.float64)

    def _apply(self, node: onnx.NodeProto) -> Array:
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        inputs = [self.values[name] if name else None for name in node.input]
        x = inputs[0]
        assert x is not None
        match node.op_type:
            case "Conv":
                return self._conv(x, *inputs[1:], given=given)
            case "Gemm":
                return self._gemm(x, *inputs[1:], given=given)
            case "MatMul":
                self.operations += x.shape[-1] + 2
                return linear(np.matmul, x, _present(inputs[1]))
            case "Add":
                self.operations += 1
                return x + _present(inputs[1])
            case "MaxPool":
                return np.stack(list(windows(x, given["kernel_shape"], given, -np.inf))).max(axis=0)
            case "AveragePool":
                return self._average(x, given)
            case "GlobalAveragePool":
                self.operations += int(np.prod(x.shape[2:])) + 2
                return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
            case "ReduceMean":
                axes = given.get("axes") or [int(i) for i in _present(inputs[1])]
                self.operations += int(np.prod([x.shape[i] for i in axes])) + 2
                return x.mean(axis=tuple(axes), keepdims=bool(given.get("keepdims", 1)))
            case "Flatten":
                axis = given.get("axis", 1)
                return x.reshape(int(np.prod(x.shape[:axis])), -1) if x.size else x.reshape(len(x), 0)
            case "Reshape":
                shape = [int(size) for size in _present(inputs[1])]
                if not given.get("allowzero", 0):
                    shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
                return x.reshape(shape)
            case "Squeeze":
                return np.squeeze(x, tuple(int(i) for i in _present(inputs[1])) if len(inputs) > 1 else None)
            case "Unsqueeze":
                return np.expand_dims(x, tuple(int(i) for i in _present(inputs[1])))
            case "Clip":
                self.operations += _ACTIVATION_ROUNDINGS
                return self._clip(node, x)
            case _:
                self.operations += _ACTIVATION_ROUNDINGS
                return self._activation(node, x, given)

    def _activation(self, node: onnx.NodeProto, x: Array, given: Mapping[str, Any]) -> Array:
        activation = ACTIVATIONS[node.op_type]
        alpha = float(given.get("alpha", activation.alpha or 0))
        return (activation.size if self.sizes else activation.value)(x, alpha)

    def _clip(self, node: onnx.NodeProto, x: Array) -> Array:
        names = [*node.input[1:], "", ""]
        low = float(self.raw[names[0]]) if names[0] else -np.inf
        high = float(self.raw[names[1]]) if names[1] else np.inf
        if self.sizes:  # where 0 is not between the bounds, the result may be larger than x
            return np.maximum(x, max(low, -high))
        return np.where(x < low, low, np.where(x > high, high, x))

    def _conv(self, x: Array, weight: Array | None, bias: Array | None = None, *, given: Mapping[str, Any]) -> Array:
        weight = _present(weight)
        groups, kernel = given.get("group", 1), weight.shape[2:]
        self.operations += int(np.prod(weight.shape[1:])) + 2

        def correlate(image: Array, taps: Array) -> Array:
            total: Array | None = None
            for place, patch in zip(np.ndindex(*kernel), windows(image, kernel, given, 0), strict=True):
                grouped = patch.reshape(len(patch), groups, taps.shape[1], -1)
                tap = taps[(slice(None), slice(None), *place)].reshape(groups, -1, taps.shape[1])
                part = np.matmul(tap, grouped).reshape(len(image), len(taps), *patch.shape[2:])
                total = part if total is None else total + part
            assert total is not None
            return total

        out = linear(correlate, x, weight)
        return out if bias is None else out + bias.reshape(-1, *[1] * len(kernel))

    def _gemm(self, a: Array, b: Array | None, c: Array | None = None, *, given: Mapping[str, Any]) -> Array:
        a, b = a.T if given.get("transA", 0) else a, _present(b)
        alpha, beta = float(given.get("alpha", 1)), float(given.get("beta", 1))
        alpha, beta = (abs(alpha), abs(beta)) if self.sizes else (alpha, beta)
        self.operations += a.shape[1] + 4
        out = alpha * linear(np.matmul, a, b.T if given.get("transB", 0) else b)
        return out if c is None else out + beta * c

    def _average(self, x: Array, given: Mapping[str, Any]) -> Array:
        kernel = given["kernel_shape"]
        self.operations += int(np.prod(kernel)) + 2
        total = sum(windows(x, kernel, given, 0))
        if given.get("count_include_pad", 0):
            return total / np.prod(kernel)
        return total / sum(windows(np.ones_like(x), kernel, given, 0))


def tolerances(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Output name -> the largest difference from `Float64` that float32 may have at each place."""
    finite = {name: np.where(np.isfinite(x), x, 0) if x.dtype == np.float32 else x for name, x in feeds.items()}
    size = Float64(proto, finite, sizes=True)
    gamma = size.operations * UNIT / (1 - size.operations * UNIT)
    return {name: gamma * array + 1e-37 for name, array in size.outputs.items()}


def linear(product: Any, x: Array, weight: Array) -> Array:
    """product(x, weight), where only what meets a nonzero weight counts, NaN and infinity included."""
    if np.isfinite(x).all() and np.isfinite(weight).all():
        return np.asarray(product(x, weight))
    out = np.asarray(product(np.where(np.isfinite(x), x, 0), weight))
    up, down = (x == np.inf).astype(float), (x == -np.inf).astype(float)
    rises, falls = (weight > 0).astype(float), (weight < 0).astype(float)
    plus = product(up, rises) + product(down, falls) > 0
    minus = product(up, falls) + product(down, rises) > 0
    lost = (product(np.isnan(x).astype(float), (weight != 0).astype(float)) > 0) | (plus & minus)
    return np.where(lost, np.nan, np.where(plus, np.inf, np.where(minus, -np.inf, out)))


def windows(x: Array, kernel: Sequence[int], given: Mapping[str, Any], fill: float) -> Iterator[Array]:
    """For each tap of the kernel, in row-major order, what it reads at every place of the output: (N, C, output...)."""
    rank = len(kernel)
    strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
    begins, ends = pads(x.shape[2:], kernel, given)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *zip(begins, ends, strict=True)], constant_values=fill)
    counts = [(padded.shape[i + 2] - reach[i]) // strides[i] + 1 for i in range(rank)]
    for place in np.ndindex(*kernel):
        cuts = []
        for tap, count, stride, dilation in zip(place, counts, strides, dilations, strict=True):
            cuts.append(slice(tap * dilation, tap * dilation + (count - 1) * stride + 1, stride))
        yield padded[(slice(None), slice(None), *cuts)]


def pads(image: Sequence[int], kernel: Sequence[int], given: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Padding before and behind each axis; with ceil_mode, behind includes what the last window lacks."""
    rank = len(kernel)
    strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
    stated = given.get("pads", [0] * 2 * rank)
    automatic = given.get("auto_pad", b"NOTSET").decode()
    begins, ends = [], []
    for i, size in enumerate(image):
        reach, before, after = (kernel[i] - 1) * dilations[i] + 1, stated[i], stated[i + rank]
        if automatic.startswith("SAME"):
            total = max(0, (-(-size // strides[i]) - 1) * strides[i] + reach - size)
            before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            after = total - before
        elif given.get("ceil_mode", 0):
            count = -(-(size + before + after - reach) // strides[i]) + 1
            count -= (count - 1) * strides[i] >= size + before  # no window begins behind the image
            after = max(after if count == 1 else 0, (count - 1) * strides[i] + reach - size - before)
        begins.append(before)
        ends.append(after)
    return begins, ends


def _present(array: Array | None) -> Array:
    assert array is not None
    return array
