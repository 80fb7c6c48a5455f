"""The dense graph, traced before training: names, form, nothing of this machine, and the network's own numbers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_task import convnet, mlp
from torch import Tensor, nn

from edgeticket import runtime
from edgeticket.errors import TaskError
from edgeticket.lottery import trace
from edgeticket.lottery.network import make_network, prunable_layers, weights_of
from edgeticket.lottery.tasks import TASKS

SHAPES = {"lenet-mnist": (784,), "lenet-digits": (64,)}


def run(graph: bytes, network: nn.Module, inputs: Tensor) -> np.ndarray:
    """The graph on ONNX Runtime, with the network's weights."""
    feeds = {name: value for name, value in weights_of(network).items() if name in trace.parameter_names(graph)}
    return np.asarray(runtime.cpu_session(graph).run(None, {trace.INPUT: inputs.numpy(), **feeds})[0])


def check_equal(graph: bytes, network: nn.Module, inputs: Tensor) -> None:
    """Within the error that float32 itself makes here, measured against float64 (8 times torch's own, as the order
    of a sum may differ, plus a rounding of the largest output)."""
    network.eval()
    with torch.no_grad():
        single = network(inputs).numpy()
        double = network.double()(inputs.double()).numpy()
        network.float()
    tolerance = 8 * np.abs(single - double).max() + np.finfo(np.float32).eps * np.abs(double).max()
    outputs = run(graph, network, inputs)
    assert outputs.shape == double.shape
    assert np.abs(outputs - double).max() <= tolerance


@pytest.mark.parametrize("name", TASKS)
def test_every_builtin_network_traces(name: str) -> None:
    task = TASKS[name]
    network = make_network(task, 3)
    shape = SHAPES.get(name, (3, 32, 32))
    torch.manual_seed(0)
    example = torch.randn(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = trace.trace(network, example, name)
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)

    assert [value.name for value in model.graph.output] == ["output"]
    assert model.graph.input[0].name == "input"
    for value in (model.graph.input[0], model.graph.output[0]):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert trace.output_shape(graph) == [10]

    named = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.input[1:]}
    weights = weights_of(network)
    assert all(list(weights[key].shape) == shape for key, shape in named.items())
    assert named.keys() == {key for key in weights if not key.endswith("num_batches_tracked")}
    assert {layer.name for layer in prunable_layers(task, network, example)} <= trace.parameter_names(graph)
    assert not {tensor.name for tensor in model.graph.initializer} & weights.keys()
    assert len(graph) < 200_000, "no second copy of the weights"

    assert all(18 <= opset.version <= 20 for opset in model.opset_import if opset.domain == "")
    assert model.ir_version <= 10
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        assert any(node.op_type == "BatchNormalization" for node in model.graph.node), "folded: names are lost"

    places = {
        str(Path.home()),
        str(Path.cwd()),
        sys.prefix,
        sys.base_prefix,
        "site-packages",
        ".py",
        "torch/nn",
        "/tmp",
    }
    for place in places - {"/"}:
        assert place.encode() not in graph, place

    for batch in (1, 3):
        check_equal(graph, network, torch.randn(batch, *shape))


def test_the_same_network_gives_the_same_bytes() -> None:
    graphs = [trace.trace(make_network(TASKS["lenet-digits"], seed), torch.zeros(2, 64), "t") for seed in (0, 1)]
    assert graphs[0] == graphs[1], "the graph does not depend on the weights' values"


def test_dropout_and_batch_norm_are_traced_as_in_evaluation() -> None:
    torch.manual_seed(0)
    network = convnet()
    network.train()
    for _ in range(3):
        network(torch.randn(8, 2, 6, 6))
    graph = trace.trace(network, torch.randn(2, 2, 6, 6), "t")
    check_equal(graph, network, torch.randn(5, 2, 6, 6))


class Forward(nn.Module):
    """A Linear layer and something after it."""

    def __init__(self, then: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.then = then

    def forward(self, x: Tensor) -> object:
        return self.then(self.fc(x))


@pytest.mark.parametrize(
    ("then", "sentence"),
    [
        (lambda y: y if y.sum() > 0 else -y, "can not be traced to ONNX"),
        (lambda y: y * y.sum().item() if y.max().item() > 3 else y, "can not be traced to ONNX"),
        (lambda y: (y, y + 1), "1 inputs and 2 outputs"),
        (lambda y: y.reshape(2, 3, 2), "batch"),
        (lambda y: y.sum(), "return one row an example"),
    ],
)
def test_what_can_not_be_exported_is_refused_in_a_sentence(
    then: Callable[[Tensor], object], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TaskError) as caught:
        trace.trace(Forward(then), torch.randn(2, 6), "mine")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("task 'mine': ")
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().out == ""


def test_branches_inside_the_graph_name_no_machine_either() -> None:
    network = Forward(lambda y: torch.cond(y.sum() > 0, lambda z: z + 1, lambda z: z - 1, (y,)))
    graph = trace.trace(network, torch.randn(2, 6), "mine")
    assert b".py" not in graph
    assert str(Path.cwd()).encode() not in graph
    for sign in (1.0, -1.0):
        check_equal(graph, network, sign * torch.ones(2, 6))


def test_a_shared_weight_is_one_input() -> None:
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    network[2].weight = network[0].weight  # type: ignore[union-attr]
    graph = trace.trace(network, torch.randn(2, 6), "t")
    assert {"0.weight", "4.weight"} <= trace.parameter_names(graph)
    assert "2.weight" not in trace.parameter_names(graph)
    check_equal(graph, network, torch.randn(3, 6))


def test_a_buffer_outside_the_state_dict_stays_a_constant() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 3)
            self.register_buffer("mean", torch.arange(6.0), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x - self.mean)  # type: ignore[no-any-return]

    network = Centred()
    graph = trace.trace(network, torch.randn(2, 6), "t")
    assert trace.parameter_names(graph) == {"fc.weight", "fc.bias"}
    check_equal(graph, network, torch.randn(3, 6))


def test_whether_it_trains_is_left_to_the_trainer() -> None:
    network = mlp()
    before = weights_of(network)
    trace.trace(network, torch.randn(2, 6), "t")
    assert all(np.array_equal(before[name], value) for name, value in weights_of(network).items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_ctrl_c_amid_the_imports_of_torch_is_no_error_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: object) -> onnx.ModelProto:
        try:
            raise KeyboardInterrupt
        except torch.nothing.here:  # as torch._dynamo.exc was, before it was imported
            raise

    monkeypatch.setattr(trace, "_export", export)
    with pytest.raises(KeyboardInterrupt):
        trace.trace(make_network(mlp, 0), torch.zeros(2, 1), "task")
