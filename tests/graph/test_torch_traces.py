"""What PyTorch's dynamo exporter writes, traced as `find` traces it: unoptimised, symbolic batch, opset 18."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from nets import feed, ops, shapes
from onnx import numpy_helper

from edgeticket import runtime
from edgeticket.graph.simplify import Simplified, simplify

torch = pytest.importorskip("torch")
nn = torch.nn


class _Block(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):  # type: ignore[no-untyped-def]
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class _Residual(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.Sequential(_Block(8, 8, 1), _Block(8, 12, 2))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.blocks(self.stem(x))
        return self.fc(torch.nn.functional.avg_pool2d(x, x.shape[2:]).view(x.size(0), -1))


def _convolutional() -> object:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5),
    )  # fmt: skip


def _lenet() -> object:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 30), nn.ReLU(), nn.Linear(30, 10))


def _vgg() -> object:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    )  # fmt: skip


def _traced(make: Callable[[], object]) -> onnx.ModelProto:
    """A trace whose weights are pruned: single weights, whole filters, and nothing of the batch norms' parameters."""
    torch.manual_seed(0)
    network = make().eval()  # type: ignore[attr-defined]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (torch.randn(2, 3, 8, 8),), dynamo=True, optimize=False, opset_version=18,
            input_names=["input"], output_names=["output"], dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False, verbose=False,
        )  # fmt: skip
    model: onnx.ModelProto = program.model_proto
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        array = np.array(numpy_helper.to_array(tensor))
        if array.ndim > 1:
            array[rng.random(array.shape) < 0.7] = 0
            array[: len(array) // 3] = 0
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return model


def _same(model: onnx.ModelProto, result: Simplified) -> None:
    inputs = feed(model, batch=3)
    before, after = (runtime.run(runtime.cpu_session(m.SerializeToString()), inputs) for m in (model, result.model))
    scale = float(np.abs(before["output"]).max())
    np.testing.assert_allclose(after["output"], before["output"], rtol=0, atol=64 * np.finfo(np.float32).eps * scale)


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (_lenet, ["Flatten", "Gemm", "Relu", "Gemm"]),
        (_convolutional, ["Conv", "Relu", "Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Relu", "Gemm"]),
        (_vgg, ["Conv", "Relu", "Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]),
    ],
)
def test_chains_become_plain_and_small(make: Callable[[], object], left: list[str]) -> None:
    model = _traced(make)
    result = simplify(model)
    assert ops(result) == left
    _same(model, result)
    widths = [(layer.shape_before[0], layer.shape_after[0]) for layer in result.layers]
    assert all(after <= before - (before // 3 if before > 10 else 0) for before, after in widths[:-1])
    assert widths[-1][0] == widths[-1][1]  # the network's outputs stay


def test_a_residual_network() -> None:
    model = _traced(_Residual)
    result = simplify(model)
    assert "BatchNormalization" not in ops(result)
    _same(model, result)
    after = shapes(result)
    assert after["blocks.0.conv1.weight"][0] == after["blocks.0.conv2.weight"][1]
    assert after["blocks.0.conv2.weight"][0] == after["stem.0.weight"][0]
    assert after["blocks.1.conv2.weight"][0] == after["blocks.1.shortcut.0.weight"][0] == after["fc.weight"][1]


def test_nothing_of_this_machine_is_left_in_the_file() -> None:
    result = simplify(_traced(_lenet))
    assert not any(node.metadata_props or node.doc_string for node in result.model.graph.node)
    assert b".py" not in result.model.SerializeToString()
