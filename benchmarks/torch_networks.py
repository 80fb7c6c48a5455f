"""Kinds of networks in PyTorch, and every file that its exporters write of them, beside what `find` keeps.

tests/graph/test_against_torch.py counts what ONNX Runtime leaves of these files, and bench_baseline.py times them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from edgeticket.graph.reading.bind import bind
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify
from edgeticket.lottery.tasks import TASKS
from edgeticket.lottery.trace import trace

nn, functional = torch.nn, torch.nn.functional
IMAGE, SEQUENCE = (3, 12, 12), (10, 16)
FREE = ({0: torch.export.Dim.DYNAMIC},)


class _Last(nn.Module):
    """A recurrent layer and a classifier on its last step."""

    def __init__(self, kind: type, **options: Any) -> None:
        super().__init__()
        self.layer = kind(16, 8, batch_first=True, **options)
        self.head = nn.Linear(8 * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x, x, x)[0].mean(1))


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean(1))


class _Squeezed(nn.Module):
    """Depthwise, hard-swish and squeeze-and-excitation, as in MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8))
        self.gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depth(self.first(x))
        return self.head((x * self.gate(x.mean((2, 3), keepdim=True))).mean((2, 3)))


class _Upsampling(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode, self.skip = mode, nn.Conv2d(3, 3, 1)
        self.down, self.last = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(functional.interpolate(torch.relu(self.down(x)), scale_factor=2, mode=self.mode)) + self.skip(
            x
        )


def _chain(*layers: Any) -> Callable[[], Any]:
    return lambda: nn.Sequential(*(layer() for layer in layers))


def _conv(*args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: nn.Conv2d(*args, **options)


def _linear(*args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: nn.Linear(*args, **options)


def _norm(channels: int) -> Callable[[], Any]:
    return lambda: nn.BatchNorm2d(channels)


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "perceptron with batch norm": (
        _chain(nn.Flatten, _linear(432, 16, bias=False), lambda: nn.BatchNorm1d(16), nn.ReLU, _linear(16, 4)), IMAGE),
    "convolutions with batch norm": (
        _chain(_conv(3, 8, 3, bias=False), _norm(8), nn.ReLU, _conv(8, 8, 3), _norm(8), nn.ReLU,
               lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten, _linear(8, 4)), IMAGE),
    "batch norm before convolutions": (
        _chain(_norm(3), _conv(3, 8, 3, padding=1), nn.ReLU, _norm(8), _conv(8, 4, 3), nn.Flatten,
               _linear(400, 4)), IMAGE),
    "depthwise with ReLU6": (
        _chain(_conv(3, 8, 3, bias=False), _norm(8), nn.ReLU6, _conv(8, 8, 3, groups=8, bias=False), _norm(8), nn.ReLU6,
               _conv(8, 16, 1, bias=False), _norm(16), lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten,
               _linear(16, 4)), IMAGE),
    "depthwise with hard-swish": (_Squeezed, IMAGE),
    "transposed convolution": (
        _chain(lambda: nn.ConvTranspose2d(3, 8, 2, 2, bias=False), _norm(8), nn.ReLU, _conv(8, 3, 3), nn.Tanh), IMAGE),
    "nearest upsampling": (lambda: _Upsampling("nearest"), IMAGE),
    "bilinear upsampling": (lambda: _Upsampling("bilinear"), IMAGE),
    "group norm": (
        _chain(_conv(3, 8, 3), lambda: nn.GroupNorm(2, 8), nn.SiLU, lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten,
               _linear(8, 4)), IMAGE),
    "layer norm": (_chain(_linear(16, 32), lambda: nn.LayerNorm(32), nn.GELU, _linear(32, 4)), SEQUENCE),
    "GELU": (_chain(nn.Flatten, _linear(432, 16), nn.GELU, _linear(16, 4)), IMAGE),
    "LSTM": (lambda: _Last(nn.LSTM), SEQUENCE),
    "LSTM both ways, two layers": (lambda: _Last(nn.LSTM, bidirectional=True, num_layers=2), SEQUENCE),
    "GRU": (lambda: _Last(nn.GRU), SEQUENCE),
    "attention": (_Attention, SEQUENCE),
    "transformer encoder": (_Encoder, SEQUENCE),
}  # fmt: skip


def quietly(work: Callable[[], Any]) -> Any:
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            return work()
    finally:
        logging.disable(logging.NOTSET)


def randomised(network: Any) -> Any:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def ours(network: Any, shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """What `find` traces, through the passes: with a free batch, and with a batch of 1."""
    weights = {key: np.asarray(value) for key, value in network.state_dict().items()}
    graph = quietly(lambda: trace(network, torch.randn(2, *shape), "task"))
    free, fixed = bind(graph, weights, None), bind(graph, weights, None)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return serialize(simplify(free).model), serialize(simplify(fixed).model)


def theirs(network: Any, shape: tuple[int, ...], *, free: bool) -> bytes:
    """What torch.onnx.export writes of it."""
    options = {"dynamic_shapes": FREE} if free else {}
    example = torch.randn(2 if free else 1, *shape)

    def export() -> bytes:
        program = torch.onnx.export(network, (example,), dynamo=True, external_data=False, verbose=False, **options)
        assert program is not None
        return bytes(program.model_proto.SerializeToString())

    return bytes(quietly(export))


def legacy(network: Any, shape: tuple[int, ...]) -> bytes:
    """What the older exporter writes, with a batch of 1.

    Raises:
        Exception: it does not know an operator; of which class depends on the operator.
    """

    def export() -> bytes:
        stream = io.BytesIO()
        torch.onnx.export(network, (torch.randn(1, *shape),), stream, dynamo=False)
        return stream.getvalue()

    return bytes(quietly(export))


def built_in(only: str | None = None) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield the name, the network and the shape of an input of every built-in task, or of `only` one."""
    flat = {"lenet-digits": (64,), "lenet-mnist": (784,)}
    for name, task in TASKS.items():
        if only in (None, name):
            yield name, task.model(), flat.get(name, (3, 32, 32))
