"""Models for docs/models.md with dead channels before operators on quantised numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from model_draft import CHANNELS, Draft
from model_types import Array
from onnx import TensorProto

STEP, MIDDLE = 0.02, 128  # of the codes of what is computed: -2.56 to 2.54
WEIGHT_STEP = 0.01
MS = {"domain": "com.microsoft"}


def coded(d: Draft, h: str) -> tuple[str, str, str]:
    """The codes of a value, their scale and zero point."""
    scale, zero = d.const(STEP), d.const(np.uint8(MIDDLE))
    return d.op("QuantizeLinear", h, scale, zero), scale, zero


def numbers(d: Draft, codes: str, scale: str, zero: str) -> str:
    """What codes stand for."""
    return str(d.op("DequantizeLinear", codes, scale, zero))


def there_and_back(d: Draft) -> str:
    return d.read(numbers(d, *coded(d, d.h)))


def weights(d: Draft, *shape: int, scales: int = 1) -> tuple[str, str, str]:
    """The codes of a weight with 0 at 3, one scale for all of them or `scales`, and as many zero points."""
    codes: Array = d.rng.integers(-50, 50, shape).astype(np.int8)
    if scales == 1:
        return d.const(codes), d.const(WEIGHT_STEP), d.const(np.int8(3))
    return d.const(codes), d.const(np.full(scales, WEIGHT_STEP)), d.const(np.full(scales, 3, np.int8))


def bias(d: Draft, count: int) -> Array:
    return d.rng.integers(-900, 900, count).astype(np.int32)


def dequantised(scales: int, *shape: int, **attributes: Any) -> Any:
    """A convolution between codes, its weight and its bias behind DequantizeLinear; a depthwise one is read again."""

    def build(d: Draft) -> str:
        x = numbers(d, *coded(d, d.h))
        weight = d.op("DequantizeLinear", *weights(d, *shape, scales=scales), axis=0)
        units = np.full(scales, np.float32(STEP) * np.float32(WEIGHT_STEP)).reshape(() if scales == 1 else -1)
        added = d.op("DequantizeLinear", d.const(bias(d, shape[0])), d.const(units), axis=0)
        y = d.op("Conv", x, weight, added, **attributes)
        y = numbers(d, *coded(d, y))
        return d.read(y) if attributes else y

    return build


def qlinear_conv(*shape: int, **attributes: Any) -> Any:
    """QLinearConv with a bias of int32, into the same scale."""

    def build(d: Draft) -> str:
        x = coded(d, d.h)
        added = d.const(bias(d, shape[0]))
        return numbers(d, d.op("QLinearConv", *x, *weights(d, *shape), *x[1:], added, **attributes), *x[1:])

    return build


def qlinear_matmul(d: Draft) -> str:
    """It has no bias, so the dead channels are 0."""
    x = coded(d, d.zero())
    return numbers(d, d.op("QLinearMatMul", *x, *weights(d, CHANNELS, 4), *x[1:]), *x[1:])


def qgemm(d: Draft) -> str:
    x = coded(d, d.h)
    product = d.op("QGemm", *x, *weights(d, CHANNELS, 4), d.const(bias(d, 4)), *x[1:], **MS)
    return numbers(d, product, *x[1:])


def integers(kind: str, *shape: int) -> Any:
    """ConvInteger or MatMulInteger between fixed scales; the dead channels are 0."""

    def build(d: Draft) -> str:
        codes, scale, zero = coded(d, d.zero())
        weight, _, middle = weights(d, *shape)
        return str(d.op("Mul", d.op("Cast", d.op(kind, codes, weight, zero, middle), to=TensorProto.FLOAT), scale))

    return build


def dynamic(h: str | None = None) -> Any:
    """A product between a scale that is found at inference and a weight's; the dead channels are 0, or not."""

    def build(d: Draft) -> str:
        codes, scale, zero = d.op("DynamicQuantizeLinear", h or d.zero(), outputs=3)
        weight, _, middle = weights(d, CHANNELS, 4)
        product = d.op("Cast", d.op("MatMulInteger", codes, weight, zero, middle), to=TensorProto.FLOAT)
        return str(d.op("Mul", product, d.op("Mul", scale, d.const(np.full(4, WEIGHT_STEP)))))

    return build


def alone(kind: str, **attributes: Any) -> Any:
    """An operator of ONNX Runtime that reads codes and returns codes, with a convolution of numbers behind it."""

    def build(d: Draft) -> str:
        x = coded(d, d.h)
        return d.read(numbers(d, d.op(kind, *x, *x[1:], **attributes, **MS), *x[1:]))

    return build


def two(kind: str) -> Any:
    """QLinearAdd or QLinearMul of codes and a constant for each channel."""

    def build(d: Draft) -> str:
        x = coded(d, d.h)
        other = d.const(d.rng.integers(100, 150, (1, CHANNELS, 1, 1)).astype(np.uint8))
        return d.read(numbers(d, d.op(kind, *x, other, *x[1:], *x[1:], **MS), *x[1:]))

    return build


def joined(d: Draft) -> str:
    x, other = coded(d, d.h), coded(d, "x")
    return d.read(numbers(d, d.op("QLinearConcat", *x[1:], *x, *other, axis=1, **MS), *x[1:]), CHANNELS + 3)


CODES: dict[str, tuple[int, Any]] = {
    "QuantizeLinear": (4, there_and_back),
    "DequantizeLinear": (4, dequantised(1, 4, CHANNELS, 1, 1)),
    "DequantizeLinear (a scale for each channel)": (4, dequantised(4, 4, CHANNELS, 1, 1)),
    "DequantizeLinear (depthwise)": (4, dequantised(CHANNELS, CHANNELS, 1, 1, 1, group=CHANNELS)),
    "QLinearConv": (4, qlinear_conv(4, CHANNELS, 1, 1)),
    "QLinearConv (2 groups)": (4, qlinear_conv(4, CHANNELS // 2, 1, 1, group=2)),
    "QLinearConv (before zero padding)": (4, qlinear_conv(4, CHANNELS, 3, 3, pads=[1, 1, 1, 1])),
    "QLinearMatMul": (3, qlinear_matmul),
    "QGemm": (2, qgemm),
    "ConvInteger": (4, integers("ConvInteger", 4, CHANNELS, 1, 1)),
    "MatMulInteger": (3, integers("MatMulInteger", CHANNELS, 4)),
    "DynamicQuantizeLinear": (3, dynamic()),
    "DynamicQuantizeLinear (a constant other than 0)": (3, lambda d: str(dynamic(d.h)(d))),
    "QLinearAdd": (4, two("QLinearAdd")),
    "QLinearMul": (4, two("QLinearMul")),
    "QLinearLeakyRelu": (4, alone("QLinearLeakyRelu", alpha=0.1)),
    "QLinearSigmoid": (4, alone("QLinearSigmoid")),
    "QLinearGlobalAveragePool": (4, alone("QLinearGlobalAveragePool")),
    "QLinearAveragePool": (4, alone("QLinearAveragePool", kernel_shape=[2, 2], strides=[2, 2])),
    "QLinearConcat": (4, joined),
}
