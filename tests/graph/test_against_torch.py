"""The same passes beside PyTorch's own exporter: ONNX Runtime makes no more nodes of our file than of torch's.

The traced graph is what `find` keeps; with its weights bound and the passes run it is both the dense baseline and, with
a mask, what is exported. torch's file is what `torch.onnx.export(network, (x,), dynamo=True)` writes, and the same with
a free batch. `make bench-baseline` times them, and the built-in networks.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from edgeticket.graph.optimised import operators, optimised, unfused
from edgeticket.graph.reading.bind import bind
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
trace = pytest.importorskip("edgeticket.lottery.trace").trace
IMAGE, SEQUENCE = (3, 12, 12), (10, 16)


class _Last(nn.Module):  # type: ignore[name-defined, misc]
    """A recurrent layer and a classifier on its last step."""

    def __init__(self, kind: type, **options: Any) -> None:
        super().__init__()
        self.layer = kind(16, 8, batch_first=True, **options)
        self.head = nn.Linear(8 * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.layer(x)[0][:, -1])


class _Attention(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.layer(x, x, x)[0].mean(1))


class _Encoder(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.layers(x).mean(1))


class _Squeezed(nn.Module):  # type: ignore[name-defined, misc]
    """Depthwise, hard-swish and squeeze-and-excitation, as in MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8))
        self.gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
        self.head = nn.Linear(8, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.depth(self.first(x))
        return self.head((x * self.gate(x.mean((2, 3), keepdim=True))).mean((2, 3)))


class _Upsampling(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode, self.skip = mode, nn.Conv2d(3, 3, 1)
        self.down, self.last = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x):  # type: ignore[no-untyped-def]
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


def _quietly(work: Callable[[], Any]) -> Any:
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            return work()
    finally:
        logging.disable(logging.NOTSET)


def _randomised(network: Any) -> Any:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def _torch(network: Any, example: Any, **options: Any) -> Counter[str]:
    """The operators left of torch's own file."""
    program = torch.onnx.export(network, (example,), dynamo=True, external_data=False, verbose=False, **options)
    graph = optimised(program.model_proto.SerializeToString())
    assert graph is not None
    return operators(graph)


def _ours(model: onnx.ModelProto) -> Counter[str]:
    graph = optimised(serialize(simplify(model).model))
    assert graph is not None
    assert unfused(graph) == []
    return operators(graph)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_more_nodes_than_torch_writes(name: str) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = _randomised(make())
    pair = torch.randn(2, *shape)
    weights = {key: np.asarray(value) for key, value in network.state_dict().items()}
    graph = _quietly(lambda: trace(network, pair, "task"))
    free, fixed = bind(graph, weights, None), bind(graph, weights, None)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    best = min(_ours(free).total(), _ours(fixed).total())
    theirs = _quietly(lambda: _torch(network, pair[:1]))
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    theirs_free = _quietly(lambda: _torch(network, pair, dynamic_shapes=dynamic))
    assert best <= min(theirs.total(), theirs_free.total())
    assert _ours(free).total() <= theirs_free.total()  # what is exported keeps its batch free
