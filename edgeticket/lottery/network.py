"""What is prunable in a network, and how its weights move between torch and numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeticket.errors import TaskError
from edgeticket.lottery.task import Task
from edgeticket.ticket.pruning import PrunableLayer

Array = NDArray[Any]
_KINDS: dict[type[nn.Module], str] = {
    nn.Linear: "linear",
    nn.Conv1d: "conv",
    nn.Conv2d: "conv",
    nn.Conv3d: "conv",
}


def derived_seed(seed: int, *labels: object) -> int:
    """Derive a 63-bit seed for one purpose, as a pure function of the run's seed and the purpose's labels."""
    text = "/".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def make_network(task: Task, seed: int) -> nn.Module:
    """The task's network with weights drawn from `seed`.

    Raises:
        TaskError: the task's `model` fails or returns something else.
    """
    torch.manual_seed(seed)
    try:
        network = task.model()
    except Exception as error:
        raise TaskError(f"task {task.name!r}: its model could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise TaskError(f"task {task.name!r}: model() returned {type(network).__name__}, not a torch.nn.Module")
    try:
        weights_of(network)
    except Exception as error:
        raise TaskError(
            f"task {task.name!r}: its network's weights can not be kept as arrays: {type(error).__name__}: {error}. "
            "Give lazy layers their sizes, and use float32"
        ) from error
    return network


def prunable_layers(task: Task, network: nn.Module, example: Tensor) -> list[PrunableLayer]:
    """Every Linear and Conv weight, in the order the network runs them; the last one run is the output layer.

    A weight that several modules share is one layer, under its first name.

    Raises:
        TaskError: the network does not run on `example` [n, ...], or holds no such weight.
    """
    order: dict[str, nn.Module] = {}
    last = ""
    parameters = {id(parameter): name for name, parameter in network.named_parameters()}
    names = {
        module: parameters[id(module.weight)]
        for module in network.modules()
        if isinstance(module, tuple(_KINDS)) and id(module.weight) in parameters  # not one that is computed from others
    }

    def note(module: nn.Module, _inputs: object, _output: object) -> None:
        nonlocal last
        last = names[module]
        order.setdefault(last, module)

    hooks = [module.register_forward_hook(note) for module in names]
    network.eval()
    try:
        with torch.no_grad():
            network(example)
    except Exception as error:
        raise TaskError(
            f"task {task.name!r}: its network does not run on inputs of shape {list(example.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if not order:
        raise TaskError(f"task {task.name!r}: no Linear or Conv layer ran: there is nothing to prune")
    layers = []
    for name, module in order.items():
        weight = module.get_parameter("weight")
        kind = next(kind for base, kind in _KINDS.items() if isinstance(module, base))
        rate = float(task.rates.get(kind, 0.0))
        if name == last:  # the output layer, at half its kind's rate unless the task says otherwise
            kind, rate = "output", float(task.rates.get("output", rate / 2))
        if any(fnmatch(name, pattern) for pattern in task.keep):
            rate = 0.0
        layers.append(PrunableLayer(name, kind, tuple(weight.shape), rate))
    if not any(layer.rate for layer in layers):
        raise TaskError(f"task {task.name!r}: rates {dict(task.rates)} and keep {task.keep} leave nothing to prune")
    return layers


def uncovered_weights(network: nn.Module, layers: list[PrunableLayer]) -> list[str]:
    """Name the parameters of two axes or more that are no layer's weight: embeddings, transposed convolutions, ..."""
    covered = {layer.name for layer in layers}
    return [name for name, value in network.named_parameters() if value.ndim >= 2 and name not in covered]


def multiplications(network: nn.Module, example: Tensor) -> int:
    """Count the multiplications of the Linear and Conv layers for one of `example` [n, ...]: a measure of work."""
    total = 0

    def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        total += output.numel() // len(example) * weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, tuple(_KINDS))]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def weights_of(network: nn.Module) -> dict[str, Array]:
    """Copy every parameter and buffer, by its name in the state dict."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def load_weights(network: nn.Module, weights: Mapping[str, Array]) -> None:
    """Copy weights into the network in place, so that memory and strides stay what they were."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.from_numpy(np.array(weights[name])).reshape(value.shape))


def digest(weights: Mapping[str, Array]) -> str:
    """Return a SHA-256 over names, types, shapes and bytes. It is equal where two networks have the same weights."""
    state = hashlib.sha256()
    for name in sorted(weights):
        state.update(f"{name}{weights[name].dtype}{weights[name].shape}".encode())
        state.update(np.ascontiguousarray(weights[name]).tobytes())
    return state.hexdigest()
