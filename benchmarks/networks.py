"""The eight networks of the benchmarks, with random masks, and dense int8 versions of them: the rivals.

Pruned is every convolution and fully connected weight except depthwise ones and a first layer of one or three channels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from builder import Builder, Network
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)


def lenet(b: Builder) -> str:
    """LeNet-300-100 of the lottery ticket paper (LeCun et al. 1998)."""
    return b.fc(b.fc(b.fc("input", 300), 100), 10, relu=False)


def autoencoder(b: Builder) -> str:
    """MLPerf Tiny, anomaly detection."""
    x = "input"
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = b.fc(x, units)
    return b.fc(x, 640, relu=False)


def ds_cnn(b: Builder) -> str:
    """MLPerf Tiny, keyword spotting: 49 frames of 10 coefficients, paddings as TensorFlow's SAME has them."""
    x = b.conv("input", 64, (10, 4), stride=2, pads=(4, 1, 5, 1), dense=True)
    for _ in range(4):
        x = b.conv(b.depthwise(x), 64, 1)
    return b.fc(b.global_pool(x), 12, relu=False)


def _residual(b: Builder, x: str, channels: int, stride: int) -> str:
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes (He et al. 2016, option B)."""
    y = b.conv(b.conv(x, channels, 3, stride=stride), channels, 3, relu=False)
    if stride != 1 or b.shapes[x][0] != channels:
        x = b.conv(x, channels, 1, stride=stride, relu=False)
    return b.add(y, x)


def resnet(b: Builder, widths: tuple[int, ...], blocks: int) -> str:
    x = b.conv("input", widths[0], 3, dense=True)
    for stage, width in enumerate(widths):
        for block in range(blocks):
            x = _residual(b, x, width, 2 if stage and not block else 1)
    return b.fc(b.global_pool(x), 10, relu=False)


def plain(b: Builder, widths: tuple[int, ...], units: tuple[int, ...]) -> str:
    """3x3 convolutions, 0 for a 2x2 maximum, then fully connected layers: Conv-6 and VGG."""
    x = "input"
    for i, width in enumerate(widths):
        x = b.conv(x, width, 3, dense=i == 0) if width else b.pool(x)
    x = b.flatten(x)
    for width in units:
        x = b.fc(x, width)
    return b.fc(x, 10, relu=False)


def mobilenet(b: Builder) -> str:
    """MobileNetV1, width 1 (Howard et al. 2017)."""
    x = b.conv("input", 32, 3, stride=2, dense=True)
    for width, stride in zip(
        (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024), (1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1), strict=True
    ):
        x = b.conv(b.depthwise(x, stride=stride), width, 1)
    return b.fc(b.global_pool(x), 1000, relu=False)


VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
CIFAR = (3, 32, 32)
NETWORKS: dict[str, tuple[tuple[int, ...], Callable[[Builder], str]]] = {
    "LeNet-300-100": ((784,), lenet),
    "auto-encoder": ((640,), autoencoder),
    "DS-CNN": ((1, 49, 10), ds_cnn),
    "ResNet-20": (CIFAR, lambda b: resnet(b, (16, 32, 64), 3)),
    "Conv-6": (CIFAR, lambda b: plain(b, (64, 64, 0, 128, 128, 0, 256, 256, 0), (256, 256))),
    "ResNet-18": (CIFAR, lambda b: resnet(b, (64, 128, 256, 512), 2)),
    "VGG-16": (CIFAR, lambda b: plain(b, VGG16, ())),
    "MobileNetV1": ((3, 224, 224), mobilenet),
}
WARM = "LeNet-300-100"  # what a process runs before another network is created in it and counted
TINY = ("LeNet-300-100", "auto-encoder")  # timed through `run()` as well, which costs them more than the arithmetic


def network(name: str, sparsity: float = 0.0, *, seed: int = 0, batch: int | None = 1) -> Network:
    """One of NETWORKS with a share `sparsity` of zeros; `batch` None leaves the batch open."""
    shape, build = NETWORKS[name]
    builder = Builder(name, shape, sparsity, seed, batch)
    return builder.finish(build(builder))


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Eight inputs of standard normal noise."""

    def __init__(self, net: Network) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = iter([net.feed(seed=seed) for seed in range(8)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


INT8 = ("per tensor", "per channel", "dynamic")  # scales of static weights, or activations scaled as they come


def int8(net: Network, kind: str) -> bytes:
    """The network in int8 by ONNX Runtime's own tools, in one of the ways INT8: uint8 activations; int8 weights.

    Static ones are QDQ, calibrated on noise. Which is fastest differs from network to network: the rival is the best.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, quantized = (Path(folder) / name for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save(net.model, source)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        if kind == "dynamic":
            quantize_dynamic(str(prepared), str(quantized), weight_type=QuantType.QUInt8)  # int8 has no ConvInteger
        else:
            quantize_static(
                str(prepared),
                str(quantized),
                _Calibration(net),
                quant_format=QuantFormat.QDQ,
                per_channel=kind == "per channel",
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        return quantized.read_bytes()
