"""Conv-2, Conv-4 and Conv-6 on CIFAR-10: small VGGs (Frankle & Carbin 2019, section 3 and figure 2)."""

from __future__ import annotations

from torch import nn

from edgeticket.lottery.data import cifar10
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks.init import glorot


def conv(*widths: int) -> nn.Module:
    """Pairs of 3x3 convolutions, each pair followed by 2x2 max-pooling; then fully connected 256, 256, 10."""
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    features = channels * (32 >> len(widths)) ** 2
    layers += [nn.Flatten(), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return glorot(nn.Sequential(*layers))


def _task(widths: tuple[int, ...], lr: float, iterations: int, conv_rate: float, until: float) -> Task:
    depth = 2 * len(widths)
    return Task(
        name=f"conv{depth}-cifar10",
        description=f"Conv-{depth} on CIFAR-10, the paper's settings",
        model=lambda: conv(*widths),
        data=cifar10,
        optimizer_args={"fused": True},
        lr=lr,
        iterations=iterations,
        batch_size=60,
        validation=5_000,
        rates={"conv": conv_rate, "linear": 0.2, "output": 0.1},
        until=until,
    )


CONV2 = _task((64,), 2e-4, 20_000, 0.10, 0.0193)
CONV4 = _task((64, 128), 3e-4, 25_000, 0.10, 0.0201)
CONV6 = _task((64, 128, 256), 3e-4, 30_000, 0.15, 0.02)
