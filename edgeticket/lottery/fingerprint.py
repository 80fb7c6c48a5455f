"""What a task's own code computes, as a hash: an edited task must not go on in the folder of the old one.

Code is compared as compiled, so comments and formatting may change. What a function reads from elsewhere (globals,
other modules) is not followed. Compiled code differs between Python versions: compare it within one version only.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

from torch import nn

from edgeticket.lottery.task import Task
from edgeticket.ticket.metrics import Metric


def code_of_task(task: Task, network: nn.Module) -> dict[str, str]:
    """Return a hash for each part of the task that is code, and for the modules that the user wrote."""
    metric = task.metric_of
    parts: dict[str, Iterable[Any]] = {
        "loss": [task.loss],
        "metric": [metric.function, metric.higher_is_better] if isinstance(task.metric, Metric) else [],
        "optimizer": [task.optimizer],
        "augment": [task.augment],
        "schedule": [] if task.schedule is None else [task.schedule, [task.lr_at(i) for i in range(task.iterations)]],
        "network": [repr(network), *_forwards(network)],
    }
    return {f"code of {name} (sha256)": _digest(values) for name, values in parts.items()}


def _forwards(network: nn.Module) -> list[Callable[..., Any]]:
    """Return the forward of each class of module that is not torch's own."""
    kinds = {type(module) for module in network.modules()}
    own = [kind for kind in kinds if not kind.__module__.startswith("torch.")]
    return [kind.forward for kind in sorted(own, key=lambda kind: kind.__qualname__)]


def _digest(values: Iterable[Any]) -> str:
    state = hashlib.sha256()
    for value in values:
        for part in _parts(value):
            state.update(part.encode())
            state.update(b"\0")
    return state.hexdigest()


def _parts(value: Any) -> list[str]:
    """Return texts that change when the callable's code, defaults or plain captured values change."""
    if isinstance(value, functools.partial):
        return ["partial", *_parts(value.func), repr(value.args), repr(sorted(value.keywords.items()))]
    code = getattr(value, "__code__", None)
    if isinstance(code, CodeType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        kept = [repr(cell) for cell in cells if isinstance(cell, int | float | str | bool | tuple)]
        return [*_code(code), repr(value.__defaults__), *kept]
    if isinstance(value, type) or not callable(value):
        return [value.__qualname__ if isinstance(value, type) else repr(value)]
    name = getattr(value, "__qualname__", None)
    return [name] if name else [type(value).__qualname__, *_parts(type(value).__call__)]


def _code(code: CodeType) -> list[str]:
    constants = [_code(item) if isinstance(item, CodeType) else [_constant(item)] for item in code.co_consts]
    inner = [part for parts in constants for part in parts]
    return [code.co_code.hex(), *code.co_names, *code.co_varnames, *inner]


def _constant(item: Any) -> str:
    """Return a constant as text. The members of a set are sorted, for they have no order of their own."""
    return repr(sorted(map(repr, item))) if isinstance(item, frozenset) else repr(item)
