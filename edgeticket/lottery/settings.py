"""What decides the numbers of a trial, and what may change later."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray
from torch import nn

from edgeticket.files import sha256
from edgeticket.lottery.fingerprint import code_of_task
from edgeticket.lottery.network import digest
from edgeticket.lottery.task import Data, Task
from edgeticket.version import __version__

Array = NDArray[Any]
CONTROLS = ("reinit", "random-mask")


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a trial, besides the task.

    `rewind` is 'init', 'lr' or an iteration. `threads` 0: the cores at hand where a batch is worth them, else 1.
    """

    seed: int = 0
    rewind: str = "init"
    one_shot: bool = False
    threads: int = 1
    device: str = "cpu"

    @property
    def rewind_iteration(self) -> int:
        """k of θk; 0 where the rewind is to θ0 or of the learning rate only."""
        return int(self.rewind) if self.rewind.isdigit() else 0


@dataclass(frozen=True)
class Goal:
    """What may be raised or changed later without training anything again."""

    rounds: int | None = None
    until: float | None = None
    tolerance: float | None = None  # 0.5 points, where the metric is in percent
    at: str = "early-stop"
    controls: tuple[str, ...] = ()
    control_trials: int = 3
    control_rounds: tuple[int, ...] | None = None
    keep_test: int | None = None


def deciding(
    settings: Settings, task: Task, data: Data, theta0: Mapping[str, Array], network: nn.Module
) -> dict[str, Any]:
    """Everything that decides a trial's result bit by bit; compared when its folder is opened again."""
    values = {
        **{f"--{name.replace('_', '-')}": value for name, value in dataclasses.asdict(settings).items()},
        **{f"task.{name}": value for name, value in task.numbers().items() if name != "until"},
        "task.scope": task.scope,
        "task.keep": list(task.keep),
        "task.loss": _name_of(task.loss),
        "task.optimizer": _name_of(task.optimizer),
        "task.augment": _name_of(task.augment),
        "task.schedule": _name_of(task.schedule),
        "task.metric": task.metric_of.name,
        "initial weights (sha256)": digest(theta0),
        "data (sha256)": _data_digest(data),
        **code_of_task(task, network),
    }
    return dict(json.loads(json.dumps(values, default=str)))  # as they are read back: no tuples


def versions() -> dict[str, str]:
    """The packages that a result was made with."""
    names = ("torch", "numpy", "onnx", "onnxscript")
    return {"python": platform.python_version(), "edgeticket": __version__, **{n: version(n) for n in names}}


def _name_of(function: Any) -> str | None:
    if function is None:
        return None
    return getattr(function, "__qualname__", type(function).__qualname__)


def _data_digest(data: Data) -> str:
    arrays: Mapping[str, Array] = {
        "train/inputs": data.train[0],
        "train/targets": data.train[1],
        "test/inputs": data.test[0],
        "test/targets": data.test[1],
        **({} if data.scale is None else {"scale": data.scale, "offset": data.offset}),
    }
    return sha256(digest(arrays).encode())
