"""LeNet-300-100 on MNIST (the paper's settings), and a small sibling on scikit-learn's digits."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from edgeticket.lottery.data import digits, mnist
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks.init import glorot


def lenet(inputs: int) -> nn.Module:
    """Fully connected 300, 100, 10."""
    return glorot(
        nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(inputs, 300),
                relu1=nn.ReLU(),
                fc2=nn.Linear(300, 100),
                relu2=nn.ReLU(),
                fc3=nn.Linear(100, 10),
            )
        )
    )


LENET_MNIST = Task(
    name="lenet-mnist",
    description="LeNet-300-100 on MNIST, the paper's settings",
    model=lambda: lenet(784),
    data=mnist,
    optimizer_args={"fused": True},
    lr=1.2e-3,
    iterations=50_000,
    batch_size=60,
    validation=5_000,
    rates={"linear": 0.2, "output": 0.1},
    until=0.01,
)

LENET_DIGITS = Task(
    name="lenet-digits",
    description="LeNet-300-100 on scikit-learn's 8x8 digits: the first ticket, in a minute",
    model=lambda: lenet(64),
    data=digits,
    optimizer_args={"fused": True},
    lr=1.2e-3,
    iterations=2_000,
    batch_size=60,
    validation=300,
    rates={"linear": 0.2, "output": 0.1},
    until=0.035,
)
