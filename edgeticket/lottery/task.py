"""Task: everything `find` must know about a network, as plain values and callables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeticket.errors import DataError, TaskError
from edgeticket.ticket.metrics import METRICS, Metric

Array = NDArray[Any]


@dataclass(frozen=True)
class Data:
    """Training and test set in memory.

    Inputs are [n, ...] as the network sees them, float32 or integers; or uint8 with `scale` and `offset`
    (scalars or one value per channel), and then the network sees `float32(inputs) * scale + offset`.
    Targets are [n, ...] as loss and metric expect them. numpy arrays or tensors.

    Raises:
        DataError: lengths or shapes do not fit.
    """

    train: tuple[Any, Any]
    test: tuple[Any, Any]
    scale: Any = None
    offset: Any = None
    preprocessing: str = "as given by the task"

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            inputs, targets = (_array(value) for value in getattr(self, part))
            if len(inputs) != len(targets) or len(inputs) == 0:
                raise DataError(
                    f"{part} set: {len(inputs)} inputs but {len(targets)} targets; give one target an input"
                )
            object.__setattr__(self, part, (inputs, targets))
        if self.train[0].shape[1:] != self.test[0].shape[1:]:
            raise DataError(f"train inputs have shape {self.train[0].shape[1:]}, test inputs {self.test[0].shape[1:]}")
        for part in ("train", "test"):
            for array, first, what in zip(getattr(self, part), self.train, ("inputs", "targets"), strict=True):
                if array.dtype != first.dtype or array.dtype.kind not in "fiub":
                    raise DataError(
                        f"{part} {what} are {array.dtype} (train: {first.dtype}); give both sets numbers of one type"
                    )
        if (self.scale is None) != (self.offset is None):
            raise DataError("scale and offset go together: give both or neither")
        if self.scale is not None and self.train[0].dtype != np.uint8:
            raise DataError(f"scale and offset are for uint8 inputs; these are {self.train[0].dtype}")
        for name in ("scale", "offset"):
            if getattr(self, name) is not None:
                value = np.asarray(getattr(self, name), np.float32)
                object.__setattr__(self, name, value)
                if value.ndim > 1 or (value.ndim and (self.train[0].ndim < 2 or len(value) != self.train[0].shape[1])):
                    raise DataError(
                        f"{name} has shape {list(value.shape)}, inputs {list(self.train[0].shape)}: "
                        "give a number, or one value a channel (the second axis)"
                    )


def _array(value: Any) -> Array:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return np.require(array, requirements=["C", "W"])


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network, its data and how it is trained and pruned. Written by the user in about twenty lines.

    Args:
        model: makes the network with fresh weights from torch's random state.
        data: takes the folders to look in (those of `--data-dir`, then those of EDGETICKET_DATA) and returns the Data.
        loss: loss(outputs, targets) -> scalar tensor.
        metric: a name in `edgeticket.ticket.metrics.METRICS`, or a Metric of your own (numpy arrays in, a number out).
        optimizer: called with the parameters, lr and `optimizer_args`.
        schedule: factor of the learning rate at an iteration, on top of `warmup` and `milestones`.
        validation: how many training examples are held out.
        rates: share of the remaining weights pruned a round, by kind: 'conv', 'linear', 'output' (the last layer).
        scope: 'layer' prunes each layer by its rate, 'global' all of them as one pool.
        keep: patterns (fnmatch) of weight names that are never pruned.
        augment: augment(inputs, generator) -> inputs, on whole batches; all randomness from the generator.
        until: the density at which `find` stops by default.

    Raises:
        TaskError: a value is of the wrong type or out of its range.
    """

    name: str
    model: Callable[[], nn.Module]
    data: Callable[[Sequence[Path]], Data]
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy
    metric: str | Metric = "accuracy"
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    optimizer_args: Mapping[str, float] = field(default_factory=dict)
    lr: float
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    schedule: Callable[[int], float] | None = None
    iterations: int
    batch_size: int
    eval_every: int = 100
    validation: int
    rates: Mapping[str, float] = field(default_factory=lambda: {"conv": 0.2, "linear": 0.2, "output": 0.1})
    scope: str = "layer"
    keep: tuple[str, ...] = ()
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    until: float = 0.02
    description: str = ""

    def __post_init__(self) -> None:
        def need(condition: bool, name: str, rule: str) -> None:
            if not condition:
                raise TaskError(f"task {self.name!r}: {name} is {getattr(self, name)!r}; it must be {rule}")

        need(isinstance(self.name, str) and bool(self.name), "name", "a text")
        for name in ("model", "data", "loss", "optimizer"):
            need(callable(getattr(self, name)), name, "callable")
        for name in ("schedule", "augment"):
            need(getattr(self, name) is None or callable(getattr(self, name)), name, "callable, or None")
        for name in ("optimizer_args", "rates"):
            need(isinstance(getattr(self, name), Mapping), name, "a mapping from names to numbers")
        for name, kind, rule in (("milestones", int, "iterations, as (20_000, 25_000)"), ("keep", str, "patterns")):
            value = getattr(self, name)
            need(
                isinstance(value, tuple | list) and all(isinstance(item, kind) for item in value),
                name,
                f"a tuple of {rule}",
            )
            object.__setattr__(self, name, tuple(value))
        for name in ("iterations", "batch_size", "eval_every", "validation"):
            need(_is_number(getattr(self, name), int) and getattr(self, name) > 0, name, "a whole number above 0")
        need(_is_number(self.warmup, int) and self.warmup >= 0, "warmup", "a whole number of iterations")
        for name in ("lr", "gamma"):
            need(_is_number(getattr(self, name)) and 0 < getattr(self, name) < math.inf, name, "a number above 0")
        need(_is_number(self.until) and 0 < self.until <= 1, "until", "a density between 0 and 1")
        need(self.scope in ("layer", "global"), "scope", "'layer' or 'global'")
        need(
            isinstance(self.metric, Metric) or self.metric in METRICS,
            "metric",
            f"a Metric or one of {', '.join(METRICS)}",
        )
        need(set(self.rates) <= {"conv", "linear", "output"}, "rates", "a mapping from conv, linear, output to a share")
        need(
            all(_is_number(r) and 0 <= r < 1 for r in self.rates.values()),
            "rates",
            "shares from 0 up to, not including, 1",
        )
        used = {rate for rate in self.rates.values() if rate > 0}
        need(self.scope == "layer" or len(used) <= 1, "rates", "one rate for all where the scope is global")

    @property
    def metric_of(self) -> Metric:
        """Return the metric; a name is looked up in METRICS."""
        return self.metric if isinstance(self.metric, Metric) else METRICS[self.metric]

    def lr_at(self, iteration: int) -> float:
        """The learning rate of one iteration: linear warm-up, steps at the milestones, the schedule's factor."""
        lr = self.lr
        if iteration < self.warmup:
            lr *= (iteration + 1) / self.warmup
        lr *= self.gamma ** sum(iteration >= milestone for milestone in self.milestones)
        return lr if self.schedule is None else lr * self.schedule(iteration)

    @property
    def lr_is_constant(self) -> bool:
        """Whether every iteration has the same learning rate."""
        return not self.warmup and not self.milestones and self.schedule is None

    def numbers(self) -> dict[str, Any]:
        """Every number of the task, by the name `--set` reaches it with."""
        plain: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                plain.update({f"{item.name}.{key}": value[key] for key in sorted(value)})
            elif isinstance(value, tuple):
                plain[item.name] = list(value)
            elif _is_number(value):
                plain[item.name] = value
        return plain

    def with_numbers(self, changes: Mapping[str, float]) -> Task:
        """A copy with some numbers changed: {'lr': 0.01, 'rates.conv': 0.1}.

        Raises:
            TaskError: the task has no such number, or it must be whole.
        """
        known: dict[str, Any] = {}
        for name, value in self.numbers().items():
            listed = isinstance(value, list) and all(_is_number(item) for item in value)
            known.update({f"{name}.{place}": item for place, item in enumerate(value)} if listed else {name: value})
        updates: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise TaskError(f"--set {name}: task {self.name!r} has no such number; it has {', '.join(known)}")
            if isinstance(known[name], int) and not isinstance(known[name], bool):
                if not float(value).is_integer():
                    raise TaskError(f"--set {name}={value}: it must be a whole number")
                value = int(value)
            head, _, key = name.partition(".")
            before = updates.get(head, getattr(self, head))
            if isinstance(before, Mapping):
                updates[head] = {**before, key: value}
            elif key:
                updates[head] = tuple(value if place == int(key) else item for place, item in enumerate(before))
            else:
                updates[head] = value
        return dataclasses.replace(self, **updates)


def _is_number(value: object, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def parse_settings(pairs: Iterable[str]) -> dict[str, float]:
    """['lr=0.01', 'iterations=500'] -> numbers.

    Raises:
        TaskError: a pair is not NAME=NUMBER.
    """
    parsed: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            parsed[name.strip()] = float(text)
        except ValueError as error:
            raise TaskError(f"--set {pair}: write NAME=NUMBER, for example --set lr=0.01") from error
    return parsed
