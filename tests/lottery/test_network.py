"""What is prunable, in which order and at which rate; and how weights move."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from tiny_task import convnet, mlp, rich, tiny
from torch import Tensor, nn

from edgeticket.errors import TaskError
from edgeticket.lottery.network import (
    derived_seed,
    digest,
    load_weights,
    make_network,
    multiplications,
    prunable_layers,
    weights_of,
)
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks import TASKS
from edgeticket.ticket.pruning import PrunableLayer

ROW = torch.zeros(2, 6)


def layers(network: nn.Module, example: Tensor = ROW, task: Task = tiny, **changes: Any) -> list[PrunableLayer]:
    return prunable_layers(dataclasses.replace(task, **changes), network, example)


def test_the_output_layer_has_half_the_rate_unless_said_otherwise() -> None:
    found = layers(mlp(), rates={"linear": 0.2})
    assert [(layer.name, layer.kind, layer.rate) for layer in found] == [
        ("0.weight", "linear", 0.2),
        ("2.weight", "linear", 0.2),
        ("4.weight", "output", 0.1),
    ]
    assert found[0].shape == (8, 6)
    assert found[0].size == 48
    assert layers(mlp(), rates={"linear": 0.2, "output": 0.0})[-1].rate == 0.0


def test_biases_and_batch_norm_are_never_prunable() -> None:
    found = layers(convnet(), torch.zeros(2, 2, 6, 6), rates={"conv": 0.3, "linear": 0.2})
    assert [(layer.name, layer.kind, layer.rate) for layer in found] == [
        ("0.weight", "conv", 0.3),
        ("6.weight", "linear", 0.2),
        ("8.weight", "output", 0.1),
    ]


class Backwards(nn.Module):
    """Layers declared in another order than they run; one runs twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.never = nn.Linear(6, 6), nn.Linear(6, 6)
        self.middle, self.first = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.middle(torch.relu(self.first(x)))))  # type: ignore[no-any-return]


def test_layers_come_in_the_order_they_run() -> None:
    assert [layer.name for layer in layers(Backwards())] == ["first.weight", "middle.weight", "last.weight"]


def test_a_module_that_runs_again_at_the_end_is_the_output_layer() -> None:
    shared = nn.Linear(6, 6)
    found = layers(nn.Sequential(shared, nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), shared))
    assert [(layer.name, layer.kind) for layer in found] == [("0.weight", "output"), ("2.weight", "linear")]


def test_a_weight_that_two_modules_share_is_one_layer() -> None:
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    network[2].weight = network[0].weight  # type: ignore[union-attr]
    assert [layer.name for layer in layers(network)] == ["0.weight", "4.weight"]


def test_a_single_layer_and_a_bare_module() -> None:
    assert [(layer.name, layer.kind) for layer in layers(nn.Linear(6, 3))] == [("weight", "output")]


def test_patterns_keep_weights() -> None:
    assert [layer.rate for layer in layers(mlp(), keep=("0.*",))] == [0.0, 0.2, 0.1]
    with pytest.raises(TaskError, match="leave nothing to prune"):
        layers(mlp(), keep=("*",))
    with pytest.raises(TaskError, match="leave nothing to prune"):
        layers(mlp(), rates={"conv": 0.2})


def test_the_paper_prunes_conv_layers_alone_in_resnet() -> None:
    task = TASKS["resnet20-cifar10"]
    found = prunable_layers(task, make_network(task, 0), torch.zeros(2, 3, 32, 32))
    assert sum(layer.rate > 0 for layer in found) == 19
    assert [layer.name for layer in found if layer.rate == 0] == [
        "blocks.3.downsample.0.weight",
        "blocks.6.downsample.0.weight",
        "fc.weight",
    ]


def test_a_network_that_does_not_run_or_holds_nothing_is_a_sentence() -> None:
    with pytest.raises(TaskError, match=re.escape("does not run on inputs of shape [2, 5]: RuntimeError")):
        layers(mlp(), torch.zeros(2, 5))
    with pytest.raises(TaskError, match="no Linear or Conv layer ran"):
        layers(nn.Sequential(nn.Flatten()))


def test_a_weight_computed_from_others_is_not_prunable() -> None:
    network = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), nn.Linear(6, 3))
    assert [layer.name for layer in layers(network)] == ["1.weight"]


def test_hooks_are_gone_afterwards() -> None:
    network = mlp()
    layers(network)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_is_a_function_of_its_seed() -> None:
    one, two, other = (make_network(tiny, seed) for seed in (1, 1, 2))
    assert digest(weights_of(one)) == digest(weights_of(two)) != digest(weights_of(other))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [(lambda: 3, "model() returned int, not a torch.nn.Module"), (lambda: 1 / 0, "could not be made: ZeroDivision")],
)
def test_a_model_that_is_none_is_a_sentence(model: Any, sentence: str) -> None:
    with pytest.raises(TaskError) as caught:
        make_network(dataclasses.replace(tiny, model=model), 0)
    assert sentence in str(caught.value)


def test_seeds_differ_by_purpose_and_fit_every_generator() -> None:
    seeds = {derived_seed(seed, *labels) for seed in (0, 1, -5) for labels in ((), ("a",), ("a", 1), ("a", 11))}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_weights_and_buffers_move_there_and_back_in_place() -> None:
    network = make_network(rich, 0)
    before = weights_of(network)
    assert {"1.running_mean", "1.num_batches_tracked", "8.bias"} <= before.keys()
    assert before["1.num_batches_tracked"].shape == ()
    places = {name: value.data_ptr() for name, value in network.state_dict().items()}
    network.train()
    network(torch.randn(4, 2, 6, 6))
    assert int(network.state_dict()["1.num_batches_tracked"]) == 1
    assert int(before["1.num_batches_tracked"]) == 0, "a copy"
    load_weights(network, before)
    assert digest(weights_of(network)) == digest(before)
    assert {name: value.data_ptr() for name, value in network.state_dict().items()} == places


def test_the_digest_sees_names_shapes_and_bits() -> None:
    base = {"a": np.zeros(4, np.float32)}
    digests = [
        digest(arrays)
        for arrays in (
            base,
            {"b": base["a"]},
            {"a": base["a"].reshape(2, 2)},
            {"a": base["a"].astype(np.int32)},
            {"a": -base["a"]},
        )
    ]
    assert len(set(digests)) == 5


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("lenet-mnist", (784,), 784 * 300 + 300 * 100 + 100 * 10),
        ("conv2-cifar10", (3, 32, 32), (3 + 64) * 64 * 9 * 32 * 32 + 64 * 16 * 16 * 256 + 256 * 256 + 256 * 10),
    ],
)
def test_multiplications_are_counted_for_one_example(name: str, shape: tuple[int, ...], expected: int) -> None:
    assert multiplications(TASKS[name].model(), torch.zeros(2, *shape)) == expected
