"""The data of a training. They are split, moved to the device, and ordered by the seed and the iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeticket.errors import TrainingError
from edgeticket.lottery.network import derived_seed
from edgeticket.lottery.task import Data, Task
from edgeticket.ticket.store import scaled

Array = NDArray[Any]


@dataclass(frozen=True)
class Tensors:
    """The data on the device, split: training, validation (held out of the training set), test."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


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
    """Return what the network sees: `float32(inputs) * scale + offset`, or the inputs where the data have no scale."""
    return inputs if data.scale is None else scaled(inputs, data.scale, data.offset)


class Batches:
    """The order of the examples. Each epoch has a permutation that (seed, epoch) decides; partial batches drop."""

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self._size, self._batch, self._seed = size, batch_size, seed
        self._per_epoch = size // batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, iteration: int, device: torch.device) -> Tensor:
        """Return the indices of one iteration's batch, [batch]."""
        epoch, position = divmod(iteration, self._per_epoch)
        if epoch != self._epoch:
            rng = np.random.Generator(np.random.Philox(derived_seed(self._seed, "order", epoch)))
            self._epoch, self._order = epoch, torch.from_numpy(rng.permutation(self._size)).to(device)
        return self._order[position * self._batch : (position + 1) * self._batch]
