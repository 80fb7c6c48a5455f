"""What decides the numbers of a trial; goal.py has what may change later."""

from __future__ import annotations

import copy
import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import Any, TypeVar

from numpy.typing import NDArray
from torch import nn

from edgeticket.errors import InputError
from edgeticket.files import sha256
from edgeticket.lottery import criteria
from edgeticket.lottery.fingerprint import code_of_task
from edgeticket.lottery.network import digest
from edgeticket.lottery.task import Data, Task
from edgeticket.ticket.metrics import Metric
from edgeticket.version import __version__

Array = NDArray[Any]
Word = TypeVar("Word", bound=StrEnum)
# Fields of a task that decide nothing, or are compared in other ways: by the weights, the code and the data they give.
_NOT_DECIDING = frozenset({"name", "model", "data", "until", "description"})


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a trial, besides the task.

    `rewind` is 'init', 'lr' or an iteration. `threads` 0: the cores at hand where a batch is worth them, else 1.
    `criterion` is a name in criteria.CRITERIA.
    """

    seed: int = 0
    rewind: str = "init"
    one_shot: bool = False
    threads: int = 1
    device: str = "cpu"
    criterion: str = criteria.DEFAULT

    @property
    def rewind_iteration(self) -> int:
        """Return k of θk, or 0 where the rewind is to θ0 or of the learning rate only."""
        return int(self.rewind) if self.rewind.isdigit() else 0


def one_of(option: str, word: str, kind: type[Word]) -> Word:
    """The member of `kind` that `word` names.

    Raises:
        InputError: there is none.
    """
    try:
        return kind(word)
    except ValueError as error:
        raise InputError(f"{option} {word}: choose from {', '.join(kind)}") from error


def deciding(
    settings: Settings, task: Task, data: Data, theta0: Mapping[str, Array], network: nn.Module
) -> dict[str, Any]:
    """Everything that decides a trial's result bit by bit; compared when its folder is opened again."""
    values = {
        **_of_settings(settings),
        **_of_task(task),
        "initial weights (sha256)": digest(theta0),
        "data (sha256)": _data_digest(data),
        **code_of_task(task, network),
    }
    return _as_read_back(values)


def defaults(settings: Settings, task: Task, network: nn.Module) -> dict[str, Any]:
    """`deciding` for settings and a task whose optional fields are all at their defaults.

    An edgeticket that did not have a field yet behaved as the field's default does, so this is what a setting is that
    a record does not hold. Every field of Settings, and every field that Task gains, therefore has a default.
    """
    plain = copy.copy(task)
    for item in dataclasses.fields(task):
        if item.default is not dataclasses.MISSING:
            object.__setattr__(plain, item.name, item.default)
        elif item.default_factory is not dataclasses.MISSING:
            object.__setattr__(plain, item.name, item.default_factory())
    return _as_read_back({**_of_settings(type(settings)()), **_of_task(plain), **code_of_task(plain, network)})


def completed(recorded: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A record's settings, and the default of each that it does not hold.

    A mapping of the task (its rates, say) is one setting: where the record holds one entry of it, it holds them all.
    """
    present = {_field(key) for key in recorded}
    return {**{key: value for key, value in defaults.items() if _field(key) not in present}, **recorded}


def unknown(recorded: Mapping[str, Any], wanted: Mapping[str, Any], task: Task) -> list[str]:
    """Name the settings in a record that this edgeticket has no field for. A newer one wrote them."""
    known = {_field(key) for key in wanted} | {f"task.{item.name}" for item in dataclasses.fields(task)}
    return sorted(key for key in recorded if _field(key) not in known)


def _field(key: str) -> str:
    """The setting that a key of a record belongs to: 'task.rates.conv' -> 'task.rates'."""
    return ".".join(key.split(".")[:2]) if key.startswith("task.") else key


def _of_settings(settings: Settings) -> dict[str, Any]:
    return {f"--{name.replace('_', '-')}": value for name, value in dataclasses.asdict(settings).items()}


def _of_task(task: Task) -> dict[str, Any]:
    """Return every field of the task that decides a result; functions stand as their names."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(task):
        value = getattr(task, item.name)
        if item.name in _NOT_DECIDING:
            continue
        if isinstance(value, Mapping):
            values.update({f"task.{item.name}.{key}": value[key] for key in sorted(value)})
        else:
            plain = value is None or isinstance(value, bool | int | float | str | tuple)
            values[f"task.{item.name}"] = value if plain else _name_of(value)
    return values


def _as_read_back(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as JSON gives them back, with lists for tuples."""
    return dict(json.loads(json.dumps(values, default=str)))


def versions() -> dict[str, str]:
    """The packages that a result was made with."""
    names = ("torch", "numpy", "onnx", "onnxscript")
    return {"python": platform.python_version(), "edgeticket": __version__, **{n: version(n) for n in names}}


def _name_of(function: Any) -> str:
    if isinstance(function, Metric):
        return function.name
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _data_digest(data: Data) -> str:
    arrays: Mapping[str, Array] = {
        "train/inputs": data.train[0],
        "train/targets": data.train[1],
        "test/inputs": data.test[0],
        "test/targets": data.test[1],
        **({} if data.scale is None else {"scale": data.scale, "offset": data.offset}),
    }
    return sha256(digest(arrays).encode())
