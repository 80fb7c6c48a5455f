"""The paper's ResNet-18 for CIFAR-10: 20 layers of 16, 32 and 64 channels (He et al. 2016; Frankle & Carbin 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeticket.lottery.data import cifar10
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks.augment import flip_and_crop
from edgeticket.lottery.tasks.init import glorot


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is a 1x1 convolution where the width changes."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet20(nn.Module):
    """A 3x3 stem, three groups of three blocks, global average pooling, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks, channels = [], 16
        for width in (16, 32, 64):
            for position in range(3):
                blocks.append(Block(channels, width, 2 if position == 0 and width != 16 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


RESNET20 = Task(
    name="resnet20-cifar10",
    description="ResNet-20 on CIFAR-10 (the paper's ResNet-18), rate 0.03 with 20K of warm-up",
    model=lambda: glorot(ResNet20()),
    data=cifar10,
    optimizer=torch.optim.SGD,
    optimizer_args={"momentum": 0.9, "weight_decay": 1e-4},
    lr=0.03,
    warmup=20_000,
    milestones=(20_000, 25_000),
    iterations=30_000,
    batch_size=128,
    validation=5_000,
    rates={"conv": 0.2},
    scope="global",
    keep=("*downsample*",),
    augment=flip_and_crop,
    until=0.118,
)
