"""Quantisation in float64: DequantizeLinear, QuantizeLinear and DynamicQuantizeLinear, per tensor or per axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.double.operation import NotHereError, Operation, Values

Array = NDArray[Any]


def dequantize(operation: Operation, inputs: Values) -> list[Array]:
    """(x - zero point) * scale, with one scale, one for each place on an axis, or one for each block of them."""
    x, scale = inputs[:2]
    zero = inputs[2] if len(inputs) > 2 else None
    shift = 0.0 if zero is None else _spread(operation, zero.astype(np.float64), x.shape)
    return [(x.astype(np.float64) - shift) * _spread(operation, scale, x.shape)]


def quantize(operation: Operation, inputs: Values) -> list[Array]:
    """round(x / scale) + zero point, to the nearest even, within the integers' range."""
    x, scale = inputs[:2]
    zero = inputs[2] if len(inputs) > 2 else np.zeros((), np.uint8)
    if zero is None or zero.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise NotHereError("a type of its own")
    limits = np.iinfo(zero.dtype)
    y = np.rint(x / _along(operation, scale, x.ndim)) + _along(operation, zero.astype(np.float64), x.ndim)
    return [np.clip(y, limits.min, limits.max).astype(zero.dtype)]


def dynamic_quantize(_: Operation, inputs: Values) -> list[Array]:
    """DynamicQuantizeLinear."""
    return quantized_as_it_comes(inputs[0])


def quantized_as_it_comes(x: Array) -> list[Array]:
    """uint8 codes, scale and zero point of a tensor whose range is only seen when it is there."""
    low, high = min(0.0, float(x.min(initial=0))), max(0.0, float(x.max(initial=0)))
    scale = (high - low) / 255 or 1.0
    zero = np.rint(np.clip(-low / scale, 0, 255))
    codes = np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8)
    return [codes, np.array(scale), np.array(zero, np.uint8)]


def _spread(operation: Operation, numbers: Array, shape: tuple[int, ...]) -> Array:
    """As `_along`, or with `block_size` places of the axis sharing one number; the last block may be shorter."""
    block, axis = operation.attribute("block_size", 0), operation.attribute("axis", 1)
    if not block or numbers.ndim != len(shape):
        return _along(operation, numbers, len(shape))
    return np.repeat(numbers, block, axis).take(range(shape[axis]), axis)


def _along(operation: Operation, numbers: Array, rank: int) -> Array:
    """One number, or one for each place on the axis."""
    if operation.attribute("block_size", 0) or numbers.ndim > 1:
        raise NotHereError("blocks")
    if numbers.size == 1:
        return numbers.reshape(())
    spread = [1] * rank
    spread[operation.attribute("axis", 1)] = -1
    return numbers.reshape(spread)
