"""The paper's VGG-19 for CIFAR-10: sixteen 3x3 convolutions with batch-norm, average pooling, ten classes."""

from __future__ import annotations

import torch
from torch import nn

from edgeticket.lottery.data import cifar10
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks.augment import flip_and_crop
from edgeticket.lottery.tasks.init import glorot

_WIDTHS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)
_EPOCH = 45_000 // 64


def vgg19() -> nn.Module:
    """2x64, 2x128, 4x256, 4x512, 4x512 with max-pooling between the groups; an average over the last 2x2 map."""
    layers: list[nn.Module] = []
    channels = 3
    for number, group in enumerate(_WIDTHS):
        for width in group:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        if number < len(_WIDTHS) - 1:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(channels, 10)]
    return glorot(nn.Sequential(*layers))


VGG19 = Task(
    name="vgg19-cifar10",
    description="VGG-19 on CIFAR-10, rate 0.1 with 10K of warm-up",
    model=vgg19,
    data=cifar10,
    optimizer=torch.optim.SGD,
    optimizer_args={"momentum": 0.9, "weight_decay": 1e-4},
    lr=0.1,
    warmup=10_000,
    milestones=(80 * _EPOCH, 120 * _EPOCH),
    iterations=112_000,
    batch_size=64,
    validation=5_000,
    rates={"conv": 0.2},
    scope="global",
    augment=flip_and_crop,
    until=0.015,
)
