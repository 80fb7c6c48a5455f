"""Products and pointwise functions that onnx.reference computes slowly, or in another precision than its inputs'."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.double.operation import Kernel, NotHereError, Operation, Values

Array = NDArray[Any]
_BROADCASTS = 7  # the operator set from which on Add and its like broadcast as numpy does
_STEP, _END, _ORDER = 1 / 32, 6.0, 9  # erf(6) is 1 in float64; the error of the series is below 1e-18 of it


@cache
def _erf_table() -> Array:
    """[points, order + 1]: the Taylor coefficients of erf at multiples of _STEP, by Hermite polynomials."""
    points = np.arange(round(_END / _STEP) + 1) * _STEP
    table = np.zeros((len(points), _ORDER + 1))
    table[:, 0] = [math.erf(point) for point in points]
    before, here = np.zeros_like(points), np.ones_like(points)  # H(k-2), H(k-1)
    slope = 2 / math.sqrt(math.pi) * np.exp(-(points**2))
    for k in range(1, _ORDER + 1):
        table[:, k] = (-1) ** (k - 1) * slope * here / math.factorial(k)
        before, here = here, 2 * points * here - 2 * (k - 1) * before
    return table


def erf(x: Array) -> Array:
    """The error function, to the last bits of float64: a series about the nearest of 193 points."""
    size = np.minimum(np.abs(np.asarray(x, np.float64)), _END)
    place = np.rint(np.nan_to_num(size) / _STEP).astype(np.int64)
    distance, rows = size - place * _STEP, _erf_table()
    y = np.zeros_like(size)
    for k in range(_ORDER, -1, -1):
        y = y * distance + rows[place, k]
    return np.copysign(y, x)


def erf_node(_: Operation, inputs: Values) -> list[Array]:
    """Erf."""
    return [erf(inputs[0])]


def gelu(operation: Operation, inputs: Values) -> list[Array]:
    """Gelu, exact or by tanh."""
    x = inputs[0]
    if operation.attribute("approximate", "none") == "tanh":
        return [0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))]
    return [0.5 * x * (1 + erf(x / math.sqrt(2)))]


def constant(operation: Operation, _: Values) -> list[Array]:
    """Constant, of numbers."""
    entries = {entry.name: entry for entry in operation.wide_node.attribute}
    if len(entries) == 1 and "value" in entries:
        array = onnx.numpy_helper.to_array(entries["value"].t)
        if array.dtype.kind in "fiub":
            return [array]
    raise NotHereError("other constants than a tensor of numbers")


def alike(function: Callable[..., Array]) -> Kernel:
    """A kernel of one numpy function of arrays in float64, as onnx.reference has it, without what that checks."""

    def kernel(operation: Operation, inputs: Values) -> list[Array]:
        if operation.version < _BROADCASTS or any(each is None or each.dtype != np.float64 for each in inputs):
            raise NotHereError("an older form, or other types than float64")
        return [np.asarray(function(*inputs))]

    return kernel


def relu(x: Array) -> Array:
    """What is not negative."""
    return np.maximum(x, 0)


def matmul(_: Operation, inputs: Values) -> list[Array]:
    """MatMul."""
    if inputs[0].dtype.kind != "f":
        raise NotHereError("integers")
    return [np.matmul(inputs[0], inputs[1])]


def gemm(operation: Operation, inputs: Values) -> list[Array]:
    """Gemm: alpha A B + beta C."""
    a, b = inputs[:2]
    if a.dtype.kind != "f":
        raise NotHereError("integers")
    a = a.T if operation.attribute("transA", 0) else a
    b = b.T if operation.attribute("transB", 0) else b
    y = operation.attribute("alpha", 1.0) * (a @ b)
    bias = inputs[2] if len(inputs) > 2 else None
    return [y if bias is None else y + operation.attribute("beta", 1.0) * bias]


def scatter_elements(operation: Operation, inputs: Values) -> list[Array]:
    """ScatterElements: whole, or added up one after the other where asked."""
    data, indices, updates = inputs
    axis, reduction = operation.attribute("axis", 0), operation.attribute("reduction", "none")
    places = np.where(indices < 0, indices + data.shape[axis], indices)
    result = np.array(data)
    if reduction == "none":
        np.put_along_axis(result, places, updates, axis)
        return [result]
    ways: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    if reduction not in ways:
        raise NotHereError(f"reduction {reduction!r}")
    index = list(np.ogrid[tuple(slice(size) for size in indices.shape)])
    index[axis % data.ndim] = places
    ways[reduction].at(result, tuple(index), updates)
    return [result]


def batch_normalization(operation: Operation, inputs: Values) -> list[Array]:
    """BatchNormalization with stored statistics."""
    x, gamma, beta, mean, variance = inputs[:5]
    if operation.attribute("training_mode", 0) or operation.attribute("spatial", 1) != 1 or operation.version < 7:
        raise NotHereError("training mode")
    spread = (-1, *[1] * (x.ndim - 2))
    root = np.sqrt(variance + np.float64(np.float32(operation.attribute("epsilon", 1e-5))))
    y = (x - mean.reshape(spread)) * (gamma / root).reshape(spread) + beta.reshape(spread)
    return [y, mean, variance, mean, variance][: len(operation.node.output)]


def global_max_pool(_: Operation, inputs: Values) -> list[Array]:
    """GlobalMaxPool."""
    x = inputs[0]
    return [x.max(axis=tuple(range(2, x.ndim)), keepdims=True)]


def global_average_pool(_: Operation, inputs: Values) -> list[Array]:
    """GlobalAveragePool."""
    x = inputs[0]
    return [x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)]
