"""The built-in tasks by name: the default and the paper's six (Frankle & Carbin 2019, figure 2)."""

from __future__ import annotations

from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks.conv import CONV2, CONV4, CONV6
from edgeticket.lottery.tasks.lenet import LENET_DIGITS, LENET_MNIST
from edgeticket.lottery.tasks.resnet import RESNET20
from edgeticket.lottery.tasks.vgg import VGG19

TASKS: dict[str, Task] = {task.name: task for task in (LENET_DIGITS, LENET_MNIST, CONV2, CONV4, CONV6, RESNET20, VGG19)}
