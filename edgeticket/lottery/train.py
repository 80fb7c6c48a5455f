"""Training under a mask, resumable at any iteration and bit-identical when resumed.

Nothing random is carried along: the batch of iteration i, its augmentation and its learning rate are functions of
(seed, i). What is carried (weights, optimiser, torch's random state for dropout, the best point) is the Snapshot.

The mask is kept by zeroing the gradient of every pruned weight before the optimiser's step: weight, gradient and
moments are then 0, and an element-wise optimiser moves 0 to 0. Optimisers that are not known to do so (Adamax adds
its epsilon to a moment) have weights and moments zeroed after each step as well. `check_zeros` proves it after every
training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeticket.errors import TrainingError
from edgeticket.lottery.network import derived_seed, load_weights, weights_of
from edgeticket.lottery.task import Data, Task
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.store import scaled

Array = NDArray[Any]
_ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
)
_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Tensors:
    """The data on the device, split: training, validation (held out of the training set), test."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


@dataclass
class Snapshot:
    """Where a training stands, before iteration `iteration` runs. Arrays are numpy copies, safe to write to disk."""

    iteration: int
    weights: dict[str, Array]
    optimizer: dict[str, Array] = field(default_factory=dict)  # '<parameter index>/<state name>'
    random_state: Array | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # iteration, validation loss, metric
    best: dict[str, Array] = field(default_factory=dict)  # the weights at the smallest validation loss
    seconds: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """Loss and metric over one set."""

    loss: float
    metric: float


Progress = Callable[[int, float | None], None]
Checkpoint = Callable[[Snapshot], None]


def split(data: Data, task: Task, seed: int, device: torch.device) -> Tensors:
    """Hold out `task.validation` random training examples (the same in every round of a seed).

    Raises:
        TrainingError: nothing would be left to train on.
    """
    size = len(data.train[0])
    if task.validation + task.batch_size > size:
        raise TrainingError(
            f"task {task.name!r}: {size} training examples can not give {task.validation} for validation "
            f"and a batch of {task.batch_size}; lower one with --set"
        )
    order = np.random.Generator(np.random.Philox(derived_seed(seed, "split"))).permutation(size)

    def tensors(part: tuple[Array, Array], index: Array | None) -> tuple[Tensor, Tensor]:
        inputs, targets = (array if index is None else array[index] for array in part)
        return torch.from_numpy(network_inputs(data, inputs)).to(device), torch.from_numpy(targets).to(device)

    return Tensors(
        train=tensors(data.train, np.sort(order[task.validation :])),
        validation=tensors(data.train, np.sort(order[: task.validation])),
        test=tensors(data.test, None),
    )


def network_inputs(data: Data, inputs: Array) -> Array:
    """What the network sees: `float32(inputs) * scale + offset`, or the inputs themselves."""
    return inputs if data.scale is None else scaled(inputs, data.scale, data.offset)


class Batches:
    """The order of the examples: a permutation an epoch, a function of (seed, epoch); a partial batch is dropped."""

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self._size, self._batch, self._seed = size, batch_size, seed
        self._per_epoch = size // batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, iteration: int, device: torch.device) -> Tensor:
        """The indices of one iteration's batch, [batch]."""
        epoch, position = divmod(iteration, self._per_epoch)
        if epoch != self._epoch:
            rng = np.random.Generator(np.random.Philox(derived_seed(self._seed, "order", epoch)))
            self._epoch, self._order = epoch, torch.from_numpy(rng.permutation(self._size)).to(device)
        return self._order[position * self._batch : (position + 1) * self._batch]


class Trainer:
    """One network and its data; trains it again and again under different masks and from different weights."""

    def __init__(self, task: Task, network: nn.Module, data: Tensors, device: torch.device) -> None:
        self.task, self.network, self.data, self.device = task, network.to(device), data, device

    def start(self, weights: Mapping[str, Array], seed: int, iteration: int = 0) -> Snapshot:
        """A fresh start from `weights`, at `iteration` of the schedule and of the data order."""
        torch.manual_seed(derived_seed(seed, "torch"))
        return Snapshot(iteration, dict(weights), random_state=_random_state(self.device))

    def train(
        self,
        snapshot: Snapshot,
        mask: Mask,
        seed: int,
        *,
        stop: int | None = None,
        progress: Progress = lambda _iteration, _loss: None,
        checkpoint: Checkpoint = lambda _snapshot: None,
        checkpoint_seconds: float = 20.0,
    ) -> Snapshot:
        """Train from `snapshot` to iteration `stop` (default: to the end) and return where it then stands.

        Args:
            checkpoint_seconds: how long `checkpoint` is not called again; 0 calls it every few iterations.

        Raises:
            TrainingError: the loss is not finite.
        """
        task, network, device = self.task, self.network, self.device
        stop = task.iterations if stop is None else stop
        parameters = list(network.parameters())
        optimizer = task.optimizer(parameters, lr=task.lr, **dict(task.optimizer_args))
        shares = [group["lr"] / task.lr for group in optimizer.param_groups]  # an optimiser may give layers their own
        masked = self._masked(mask)
        load_weights(network, snapshot.weights)
        _load_optimizer(optimizer, parameters, snapshot.optimizer)
        _zero(masked, optimizer)
        _set_random_state(snapshot.random_state, device)
        batches = Batches(len(self.data.train[0]), task.batch_size, seed)
        reset = type(optimizer) not in _ELEMENTWISE  # a subclass may do anything
        inputs, targets = self.data.train
        loss_function, augment, constant = task.loss, task.augment, task.lr_is_constant
        generator = torch.Generator(device=device)
        iteration, curve, best = snapshot.iteration, list(snapshot.curve), snapshot.best
        began = saved = time.perf_counter()
        pace = 8
        network.train()
        while iteration < stop:
            chunk_began = time.perf_counter()
            chunk_end = min(stop, iteration + pace, (iteration // task.eval_every + 1) * task.eval_every)
            total = torch.zeros((), device=device)
            first = iteration
            for i in range(iteration, chunk_end):
                if not constant:
                    lr = task.lr_at(i)
                    for group, share in zip(optimizer.param_groups, shares, strict=True):
                        group["lr"] = lr * share
                index = batches(i, device)
                batch = inputs.index_select(0, index)
                if augment is not None:
                    generator.manual_seed(derived_seed(seed, "augment", i))
                    batch = augment(batch, generator)
                loss = loss_function(network(batch), targets.index_select(0, index))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                for parameter, keep in masked:
                    if parameter.grad is not None:
                        parameter.grad.mul_(keep)
                optimizer.step()
                if reset:
                    _zero(masked, optimizer)
                total += loss.detach()
            iteration = chunk_end
            mean_loss = total.item() / (chunk_end - first)
            if not math.isfinite(mean_loss):
                raise TrainingError(
                    f"task {task.name!r}: the training loss is {mean_loss} near iteration {iteration}. "
                    f"Lower the learning rate (--set lr={task.lr / 3:g}) or warm it up (--set warmup=N)"
                )
            pace = max(1, min(1000, round((chunk_end - first) * 0.25 / max(time.perf_counter() - chunk_began, 1e-6))))
            if iteration % task.eval_every == 0 or iteration == task.iterations:
                point = self.evaluate(self.data.validation)
                if not best or point.loss < min(loss for _, loss, _ in curve):
                    best = weights_of(network)
                curve.append((iteration, point.loss, point.metric))
            progress(iteration, mean_loss)
            now = time.perf_counter()
            if now - saved > checkpoint_seconds and iteration < stop:
                checkpoint(
                    self._snapshot(iteration, optimizer, parameters, curve, best, snapshot.seconds + now - began)
                )
                saved = time.perf_counter()
                if checkpoint_seconds > 0:  # writing takes 2 % of the time at most
                    checkpoint_seconds = max(checkpoint_seconds, 50 * (saved - now))
        seconds = snapshot.seconds + time.perf_counter() - began
        final = self._snapshot(iteration, optimizer, parameters, curve, best, seconds)
        check_zeros(mask, final, parameters_of(network))
        return final

    def evaluate(self, part: tuple[Tensor, Tensor]) -> Evaluation:
        """Loss and metric over one set, in batches, in evaluation mode; the network is left in training mode.

        Raises:
            TrainingError: the loss or the metric is not finite.
        """
        self.network.eval()
        outputs, losses = [], []
        with torch.no_grad():
            for x, y in zip(*(torch.split(tensor, _EVALUATION_BATCH) for tensor in part), strict=True):
                output = self.network(x.clone())  # a network may work in place
                losses.append(self.task.loss(output, y).item() * len(x))
                outputs.append(output.cpu().numpy())
        self.network.train()
        loss = math.fsum(losses) / len(part[0])
        if not math.isfinite(loss):
            raise TrainingError(f"task {self.task.name!r}: the validation loss is {loss}; lower the learning rate")
        metric = self.task.metric_of(np.concatenate(outputs), part[1].cpu().numpy())
        if not math.isfinite(metric):
            raise TrainingError(f"task {self.task.name!r}: the metric {self.task.metric_of.name!r} is {metric}")
        return Evaluation(loss, metric)

    def evaluate_weights(self, weights: Mapping[str, Array], part: tuple[Tensor, Tensor]) -> Evaluation:
        """As `evaluate`, with other weights."""
        load_weights(self.network, weights)
        return self.evaluate(part)

    def _masked(self, mask: Mask) -> list[tuple[nn.Parameter, Tensor]]:
        """The parameters with a pruned weight, each with its mask as numbers on the device."""
        named = dict(self.network.named_parameters())
        return [
            (named[name], torch.from_numpy(array.astype(np.float32)).to(self.device, named[name].dtype))
            for name, array in mask.items()
            if not array.all()
        ]

    def _snapshot(
        self,
        iteration: int,
        optimizer: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        curve: list[tuple[int, float, float]],
        best: dict[str, Array],
        seconds: float,
    ) -> Snapshot:
        weights, moments = weights_of(self.network), _optimizer_arrays(optimizer, parameters)
        return Snapshot(iteration, weights, moments, _random_state(self.device), list(curve), best, seconds)


def parameters_of(network: nn.Module) -> list[str]:
    """Names of the parameters in the order the optimiser numbers them."""
    return [name for name, _ in network.named_parameters()]


def check_zeros(mask: Mask, snapshot: Snapshot, names: list[str]) -> None:
    """The invariant: weights (at the end and at the best point) and moments are exactly 0 wherever the mask is 0.

    Raises:
        TrainingError: they are not: the optimiser or the network revives pruned weights.
    """
    for name, array in mask.items():
        pruned = ~array
        suspects: dict[str, Array] = {"weights": snapshot.weights[name]}
        if name in snapshot.best:
            suspects["weights at early stopping"] = snapshot.best[name]
        for key, moments in snapshot.optimizer.items():
            number, _, state = key.partition("/")
            if names[int(number)] == name and moments.shape == array.shape:
                suspects[f"optimiser state {state!r}"] = moments
        for what, values in suspects.items():
            if count := int(np.count_nonzero(values[pruned])):
                raise TrainingError(
                    f"{name}: {count} pruned entries of its {what} are not 0 after training: "
                    "something outside the optimiser changes the weights; a ticket would not be one"
                )


def _zero(masked: list[tuple[nn.Parameter, Tensor]], optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        for parameter, keep in masked:
            parameter.mul_(keep)
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.mul_(keep)


def _optimizer_arrays(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for number, parameter in enumerate(parameters):
        for name, value in sorted(optimizer.state.get(parameter, {}).items()):
            if isinstance(value, Tensor):
                arrays[f"{number}/{name}"] = value.detach().cpu().numpy().copy()
            elif value is not None:
                arrays[f"{number}/{name}="] = np.array(value)  # '=': a plain number, not a tensor
    return arrays


def _load_optimizer(
    optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], arrays: Mapping[str, Array]
) -> None:
    # torch keeps the step count beside the parameter where the step runs there as a whole, else on the CPU
    whole = any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
    for key, array in arrays.items():
        number, _, name = key.partition("/")
        parameter = parameters[int(number)]
        if name.endswith("="):
            optimizer.state[parameter][name[:-1]] = array.item()
            continue
        value = torch.from_numpy(array.copy())
        if name != "step" and value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        optimizer.state[parameter][name] = value if name == "step" and not whole else value.to(parameter.device)


def _random_state(device: torch.device) -> Array:
    state = torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)
    return state.numpy().copy()


def _set_random_state(state: Array | None, device: torch.device) -> None:
    if state is None:
        return
    if device.type == "cpu":
        torch.set_rng_state(torch.from_numpy(state.copy()))
    else:
        torch.cuda.set_rng_state(torch.from_numpy(state.copy()), device)
