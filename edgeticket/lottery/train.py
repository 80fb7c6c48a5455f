"""Training under a mask, resumable at any iteration and bit-identical when resumed.

Nothing random is carried along: the batch of iteration i, its augmentation and its learning rate are functions of
(seed, i). What is carried (weights, optimiser, torch's random state for dropout, the best point) is the Snapshot.

The mask is kept by zeroing the gradient of every pruned weight before the optimiser's step: weight, gradient and
moments are then 0, and an element-wise optimiser moves 0 to 0. Optimisers that are not known to do so (Adamax adds
its epsilon to a moment) have weights and moments zeroed after each step as well. `snapshot.check_zeros` proves it after
every training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeticket.errors import TrainingError
from edgeticket.lottery import optimizer as optimizers
from edgeticket.lottery.batches import Batches, Tensors
from edgeticket.lottery.network import derived_seed, load_weights, weights_of
from edgeticket.lottery.snapshot import Snapshot, check_zeros, parameters_of
from edgeticket.lottery.task import Task
from edgeticket.ticket.mask import Mask

Array = NDArray[Any]
_EVALUATION_BATCH = 500
_FIRST_CHUNK = 8  # iterations
_CHUNK_SECONDS = 0.25
_CHECKPOINT_SHARE = 0.02  # of the time goes into writing checkpoints, at most


@dataclass(frozen=True)
class Evaluation:
    """Loss and metric over one set."""

    loss: float
    metric: float


Progress = Callable[[int, float | None], None]
Checkpoint = Callable[[Snapshot], None]


class Trainer:
    """One network and its data; trains it again and again under different masks and from different weights."""

    def __init__(self, task: Task, network: nn.Module, data: Tensors, device: torch.device) -> None:
        self.task, self.network, self.data, self.device = task, network.to(device), data, device

    def start(self, weights: Mapping[str, Array], seed: int, iteration: int = 0) -> Snapshot:
        """Start afresh from `weights`, at `iteration` of the schedule and of the data order."""
        torch.manual_seed(derived_seed(seed, "torch"))
        return Snapshot(iteration, dict(weights), random_state=optimizers.random_state(self.device))

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
            TrainingError: the loss is not finite, or a pruned weight is not 0 at the end.
        """
        training = _Training(self, snapshot, mask, seed, checkpoint, checkpoint_seconds)
        final = training.run(self.task.iterations if stop is None else stop, progress)
        check_zeros(mask, final, parameters_of(self.network))
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
        """Load other weights, then evaluate."""
        load_weights(self.network, weights)
        return self.evaluate(part)

    def _masked(self, mask: Mask) -> list[tuple[nn.Parameter, Tensor]]:
        """Return the parameters that have a pruned weight, each with its mask as numbers on the device."""
        named = dict(self.network.named_parameters())
        return [
            (named[name], torch.from_numpy(array.astype(np.float32)).to(self.device, named[name].dtype))
            for name, array in mask.items()
            if not array.all()
        ]


class _Training:
    """One training under way: its optimiser and its mask, and what it has recorded so far.

    Iterations run in chunks of about a quarter of a second. Between two chunks the loss is read from the device, the
    network is evaluated where that is due, and a checkpoint is written.
    """

    def __init__(
        self,
        trainer: Trainer,
        snapshot: Snapshot,
        mask: Mask,
        seed: int,
        checkpoint: Checkpoint,
        checkpoint_seconds: float,
    ) -> None:
        task, network, device = trainer.task, trainer.network, trainer.device
        self._trainer, self._task, self._network, self._device, self._seed = trainer, task, network, device, seed
        self._parameters = list(network.parameters())
        self._optimizer = task.optimizer(self._parameters, lr=task.lr, **dict(task.optimizer_args))
        self._shares = [group["lr"] / task.lr for group in self._optimizer.param_groups]  # a layer may have its own
        self._masked = trainer._masked(mask)
        load_weights(network, snapshot.weights)
        optimizers.load_arrays(self._optimizer, self._parameters, snapshot.optimizer)
        optimizers.zero(self._masked, self._optimizer)
        optimizers.set_random_state(snapshot.random_state, device)
        self._reset = type(self._optimizer) not in optimizers.ELEMENTWISE  # a subclass may do anything
        self._batches = Batches(len(trainer.data.train[0]), task.batch_size, seed)
        self._generator = torch.Generator(device=device)
        self._constant = task.lr_is_constant
        self._iteration, self._curve, self._best = snapshot.iteration, list(snapshot.curve), snapshot.best
        self._checkpoint, self._checkpoint_seconds = checkpoint, checkpoint_seconds
        self._seconds, self._began, self._chunk = snapshot.seconds, time.perf_counter(), _FIRST_CHUNK
        self._saved = self._began

    def run(self, stop: int, progress: Progress) -> Snapshot:
        """Train to iteration `stop`."""
        self._network.train()
        while self._iteration < stop:
            loss = self._run_chunk(stop)
            self._evaluate_if_due()
            progress(self._iteration, loss)
            if self._iteration < stop:
                self._checkpoint_if_due()
        return self._snapshot()

    def _run_chunk(self, stop: int) -> float:
        """Run some iterations, not beyond `stop` nor the next evaluation, and return their mean loss."""
        every, first, began = self._task.eval_every, self._iteration, time.perf_counter()
        end = min(stop, first + self._chunk, (first // every + 1) * every)
        total = torch.zeros((), device=self._device)
        for iteration in range(first, end):
            total += self._step(iteration)
        self._iteration = end
        loss = total.item() / (end - first)
        if not math.isfinite(loss):
            raise TrainingError(
                f"task {self._task.name!r}: the training loss is {loss} near iteration {end}. "
                f"Lower the learning rate (--set lr={self._task.lr / 3:g}) or warm it up (--set warmup=N)"
            )
        seconds = max(time.perf_counter() - began, 1e-6)
        self._chunk = max(1, min(1000, round((end - first) * _CHUNK_SECONDS / seconds)))
        return loss

    def _step(self, iteration: int) -> Tensor:
        """Run one iteration and return its loss, a scalar on the device."""
        task, optimizer = self._task, self._optimizer
        if not self._constant:
            lr = task.lr_at(iteration)
            for group, share in zip(optimizer.param_groups, self._shares, strict=True):
                group["lr"] = lr * share
        inputs, targets = self._trainer.data.train
        index = self._batches(iteration, self._device)
        batch = inputs.index_select(0, index)
        if task.augment is not None:
            self._generator.manual_seed(derived_seed(self._seed, "augment", iteration))
            batch = task.augment(batch, self._generator)
        loss = task.loss(self._network(batch), targets.index_select(0, index))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter, keep in self._masked:
            if parameter.grad is not None:
                parameter.grad.mul_(keep)
        optimizer.step()
        if self._reset:
            optimizers.zero(self._masked, optimizer)
        return loss.detach()

    def _evaluate_if_due(self) -> None:
        """Every `eval_every` iterations and at the end, add a point to the curve and keep the best weights so far."""
        if self._iteration % self._task.eval_every and self._iteration != self._task.iterations:
            return
        point = self._trainer.evaluate(self._trainer.data.validation)
        if not self._best or point.loss < min(loss for _, loss, _ in self._curve):
            self._best = weights_of(self._network)
        self._curve.append((self._iteration, point.loss, point.metric))

    def _checkpoint_if_due(self) -> None:
        """Write a checkpoint where the last one is long ago. The slower the disk, the longer it is until the next."""
        now = time.perf_counter()
        if now - self._saved <= self._checkpoint_seconds:
            return
        self._checkpoint(self._snapshot())
        self._saved = time.perf_counter()
        if self._checkpoint_seconds > 0:
            self._checkpoint_seconds = max(self._checkpoint_seconds, (self._saved - now) / _CHECKPOINT_SHARE)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            self._iteration,
            weights_of(self._network),
            optimizers.arrays_of(self._optimizer, self._parameters),
            optimizers.random_state(self._device),
            list(self._curve),
            self._best,
            self._seconds + time.perf_counter() - self._began,
        )
