"""Tasks that train in a moment, for the tests, and as the task file of their command lines."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgeticket.lottery.task import Data, Task


def blobs(_folders: Sequence[Path] = ()) -> Data:
    """Three noisy clusters in 6 dimensions, as bytes."""
    rng = np.random.Generator(np.random.Philox(7))
    centres = rng.integers(40, 216, (3, 6))
    labels = rng.integers(0, 3, 400)
    inputs = np.clip(centres[labels] + rng.normal(0, 25, (400, 6)), 0, 255).astype(np.uint8)
    return Data((inputs[:300], labels[:300]), (inputs[300:], labels[300:]), scale=1 / 128, offset=-1.0)


def images(_folders: Sequence[Path] = ()) -> Data:
    """Images of 2x6x6 whose brighter half is the class."""
    rng = np.random.Generator(np.random.Philox(8))
    labels = rng.integers(0, 2, 300)
    inputs = rng.normal(0, 0.5, (300, 2, 6, 6)).astype(np.float32)
    inputs[labels == 1, :, :3] += 1
    return Data((inputs[:220], labels[:220]), (inputs[220:], labels[220:]))


def mlp() -> nn.Module:
    """6-8-8-3."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def convnet() -> nn.Module:
    """A convolution with batch-norm, dropout, a linear layer."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(36, 8),
        nn.ReLU(),
        nn.Linear(8, 2),
    )


def noise(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Augmentation; TINY_SLEEP makes a training last long enough to be killed in the middle."""
    time.sleep(float(os.environ.get("TINY_SLEEP", "0")))
    return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)


def cosine(iteration: int) -> float:
    """A schedule."""
    return 0.55 + 0.45 * float(np.cos(iteration / 20))


tiny = Task(
    name="tiny",
    model=mlp,
    data=blobs,
    lr=0.02,
    iterations=30,
    batch_size=20,
    eval_every=10,
    validation=60,
    until=0.5,
)

rich = Task(
    name="rich",
    model=convnet,
    data=images,
    optimizer=torch.optim.SGD,
    optimizer_args={"momentum": 0.9, "weight_decay": 1e-2},
    lr=0.05,
    warmup=5,
    milestones=(25,),
    schedule=cosine,
    iterations=40,
    batch_size=20,
    eval_every=8,
    validation=40,
    augment=noise,
    until=0.5,
)

diverging = Task(
    name="diverging",
    model=mlp,
    data=blobs,
    optimizer=torch.optim.SGD,
    lr=1e30,
    iterations=30,
    batch_size=20,
    eval_every=10,
    validation=60,
)

not_a_task = 3


def failing() -> Task:
    """A factory that fails."""
    raise RuntimeError("no such dataset version")
