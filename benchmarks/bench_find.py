"""`make bench-find`: what an iteration of find costs beside a bare loop over the same network and optimiser.

Both train LeNet-300-100 on batches of 60 from memory (real MNIST where it is at hand, else random pixels: the speed is
the same), one thread, no validation. They take turns in short blocks, in alternating order, so that a machine that
changes its pace changes both; the ratio is the median over the pairs of blocks.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from edgeticket.errors import DataError
from edgeticket.lottery.batches import split
from edgeticket.lottery.data import mnist
from edgeticket.lottery.network import derived_seed, make_network, weights_of
from edgeticket.lottery.snapshot import Snapshot
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.tasks import TASKS
from edgeticket.lottery.train import Trainer
from edgeticket.ticket.mask import Mask

BLOCKS, ITERATIONS = 40, 200
DENSITY = 0.1


def load() -> tuple[Data, str]:
    """MNIST, or something of its shape."""
    try:
        return mnist([]), "MNIST"
    except DataError:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (60_000, 784), np.uint8)
        labels = rng.integers(0, 10, 60_000).astype(np.int64)
        data = Data((images, labels), (images[:1000], labels[:1000]), 1 / 255, 0.0)
        return data, "random pixels in MNIST's shape"


class Bare:
    """The shortest loop one would write by hand."""

    def __init__(self, task: Task, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.network = make_network(task, 0)
        self.optimizer = task.optimizer(self.network.parameters(), lr=task.lr, **dict(task.optimizer_args))
        self.inputs, self.targets, self.batch = inputs, targets, task.batch_size
        self.order = torch.randperm(len(inputs))

    def run(self, first: int, count: int) -> None:
        for i in range(first, first + count):
            at = i * self.batch % (len(self.inputs) - self.batch)
            index = self.order[at : at + self.batch]
            loss = torch.nn.functional.cross_entropy(self.network(self.inputs[index]), self.targets[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class Ours:
    """`find` itself: masks, order, bookkeeping, and entering and leaving a training."""

    def __init__(self, task: Task, trainer: Trainer, mask: Mask) -> None:
        self.trainer, self.mask = trainer, mask
        weights = weights_of(make_network(task, 0))
        for name, keep in mask.items():
            weights[name] *= keep
        self.at: Snapshot = trainer.start(weights, 0)

    def run(self, first: int, count: int) -> None:
        self.at = self.trainer.train(self.at, self.mask, 0, stop=first + count)


def main() -> None:
    torch.set_num_threads(1)
    data, source = load()
    # validation every 100 iterations is included in neither: it is put beyond the end here
    task = TASKS["lenet-mnist"].with_numbers({"iterations": 10_000_000, "eval_every": 10_000_000})
    tensors = split(data, task, 0, torch.device("cpu"))
    trainer = Trainer(task, make_network(task, derived_seed(0, "init")), tensors, torch.device("cpu"))
    rng = np.random.default_rng(0)
    mask = Mask(
        {
            name: rng.random(tuple(value.shape)) < DENSITY
            for name, value in trainer.network.state_dict().items()
            if value.ndim == 2
        }
    )
    loops = {"bare": Bare(task, *tensors.train), "find": Ours(task, trainer, mask)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for block in range(BLOCKS + 2):
        for name in sorted(loops, reverse=bool(block % 2)):
            began = time.perf_counter()
            loops[name].run(block * ITERATIONS, ITERATIONS)
            if block >= 2:  # the first two warm caches and allocators up
                times[name].append((time.perf_counter() - began) / ITERATIONS * 1e3)
    ratios = [mine / plain for mine, plain in zip(times["find"], times["bare"], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"LeNet-300-100, batch 60, one thread, {source}; {BLOCKS} blocks of {ITERATIONS} iterations each, in turns")
    bare, ours = (statistics.median(times[name]) for name in ("bare", "find"))
    print(f"bare loop        {bare:.3f} ms an iteration (median)")
    print(f"edgeticket find  {ours:.3f} ms an iteration (median), {DENSITY:.0%} of the weights left")
    print(f"ratio            {statistics.median(ratios):.3f} (quartiles {low:.3f} to {high:.3f}); the limit is 1.15")


if __name__ == "__main__":
    main()
