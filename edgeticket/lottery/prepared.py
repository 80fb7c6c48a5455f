"""What a trial is made of before anything is trained: the network at θ0, its prunable layers and its traced graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from edgeticket.errors import TaskError
from edgeticket.lottery import trace
from edgeticket.lottery.batches import network_inputs
from edgeticket.lottery.network import (
    derived_seed,
    make_network,
    multiplications,
    prunable_layers,
    uncovered_weights,
    weights_of,
)
from edgeticket.lottery.settings import Settings
from edgeticket.lottery.task import Data, Task
from edgeticket.ticket.pruning import PrunableLayer

Array = NDArray[Any]
WORTH_THREADS = 10**9  # multiplications a batch: LeNet-300-100 has 16 million, Conv-2 2.6 billion


@dataclass(frozen=True)
class Prepared:
    """A task with its network made from a seed. `settings` say how many threads there are: never 0.

    `uncovered` are the names of weights that no mask covers, `graph` is the traced ONNX file.
    """

    task: Task
    data: Data
    settings: Settings
    network: nn.Module
    theta0: Mapping[str, Array]
    layers: list[PrunableLayer]
    uncovered: list[str]
    graph: bytes


def prepare(task: Task, data: Data, settings: Settings, cores: int) -> Prepared:
    """Make the network, look at its layers and trace it. Sets the number of torch's threads.

    Args:
        cores: how many of them a trial may take where `settings.threads` is 0 and a batch is worth more than one.

    Raises:
        TaskError: the network can not be made, run, pruned or traced.
    """
    network = make_network(task, derived_seed(settings.seed, "init"))
    theta0 = weights_of(network)
    example = torch.from_numpy(network_inputs(data, data.train[0][:2]).copy())  # a network may work in place
    layers = prunable_layers(task, network, example)
    if settings.threads == 0:
        worth = multiplications(network, example) * task.batch_size >= WORTH_THREADS
        settings = dataclasses.replace(settings, threads=cores if worth else 1)
    torch.set_num_threads(settings.threads)
    uncovered = uncovered_weights(network, layers)
    graph = trace.trace(network, example, task.name)
    read = trace.parameter_names(graph)
    if missing := [layer.name for layer in layers if layer.name not in read]:
        raise TaskError(
            f"task {task.name!r}: the traced graph does not read {', '.join(missing)} under its name, "
            "so its mask could not be exported; give the layer its weight as a plain parameter"
        )
    return Prepared(task, data, settings, network, theta0, layers, uncovered, graph)
