"""A search as one value: what was asked for, the checks of it, and the trials that it stands for."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path

import torch

from edgeticket.arguments import MOST_THREADS, require_whole
from edgeticket.errors import EdgeticketError, InputError, TaskError
from edgeticket.lottery.criteria import CRITERIA
from edgeticket.lottery.data import folders
from edgeticket.lottery.goal import Goal, tolerance_of
from edgeticket.lottery.load import load_task
from edgeticket.lottery.settings import Settings
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.trial import Lottery
from edgeticket.lottery.watcher import Watcher
from edgeticket.ticket import store

DEVICES = ("auto", "cpu", "cuda")
SEEDS = (-(2**62), 2**62)  # each trial adds its number, and torch takes 64 bits


@dataclass(frozen=True)
class FindRequest:
    """What `edgeticket find` was asked for. `threads` None: all cores shared by the trials, or what the folder has."""

    reference: str | Task
    folder: Path
    changes: dict[str, float]
    data_dirs: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    threads: int | None = None
    trials: int = 1
    goal: Goal = field(default_factory=Goal)

    def task(self) -> Task:
        """The task, with `--set` applied."""
        return load_task(self.reference).with_numbers(self.changes)


def check(request: FindRequest, task: Task) -> None:
    """What a command line can get wrong, before anything is written.

    Raises:
        InputError: a value is out of its range.
    """
    rewind, goal = request.settings.rewind, request.goal
    _require_numbers(request)
    if rewind not in ("init", "lr") and not (
        rewind.isascii() and rewind.isdigit() and 0 < int(rewind) < task.iterations
    ):
        raise InputError(f"--rewind {rewind}: give init, lr, or an iteration between 1 and {task.iterations - 1}")
    if request.trials < 1 or (request.threads is not None and request.threads < 1):
        raise InputError(f"--trials {request.trials} --threads {request.threads}: both count from 1")
    if goal.rounds is not None and goal.rounds < 0:
        raise InputError(f"--rounds {goal.rounds}: give 0 (dense only) or more")
    if goal.until is not None and not 0 < goal.until <= 1:
        raise InputError(f"--until {goal.until}: give a density above 0 and up to 1, as 3.6% or 0.036")
    if goal.tolerance is not None and not 0 <= goal.tolerance < math.inf:
        raise InputError(f"--tolerance {goal.tolerance}: give points, 0 or more")
    tolerance_of(goal, task)
    if goal.control_trials < 1 or min(goal.control_rounds or (0,)) < 0:
        raise InputError(
            f"--control-trials {goal.control_trials} --control-rounds {goal.control_rounds}: "
            "trials count from 1, rounds from 0"
        )
    if goal.keep_test is not None and goal.keep_test < 1:
        raise InputError(f"--keep-test {goal.keep_test}: keep at least 1 example")
    if request.settings.criterion not in CRITERIA:
        raise InputError(f"--criterion {request.settings.criterion}: choose from {', '.join(CRITERIA)}")
    if request.settings.device not in DEVICES:
        raise InputError(f"--device {request.settings.device}: choose from {', '.join(DEVICES)}")
    if request.settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this PyTorch sees no GPU; use --device cpu, or install a CUDA build of torch")


def _require_numbers(request: FindRequest) -> None:
    """Refuse what is no number at all, and numbers that PyTorch does not take.

    Raises:
        InputError: there is such a one.
    """
    goal = request.goal
    whole = {
        "--trials": request.trials,
        "--rounds": goal.rounds,
        "--control-trials": goal.control_trials,
        "--keep-test": goal.keep_test,
    }
    for name, value in whole.items():
        if value is not None:
            require_whole(name, value)
    for number in goal.control_rounds or ():
        require_whole("--control-rounds", number)
    for name, share in (("--until", goal.until), ("--tolerance", goal.tolerance)):
        if share is not None and not isinstance(share, Real):
            raise InputError(f"{name} {share!r}: give a number")
    if request.threads is not None:
        require_whole("--threads", request.threads, most=MOST_THREADS)
    require_whole("--seed", request.settings.seed, *SEEDS)


def resolve(request: FindRequest) -> FindRequest:
    """Fill in what depends on this machine or on what the folder already holds: the device and the threads."""
    settings = request.settings
    if settings.device == "auto":
        settings = replace(settings, device="cuda" if torch.cuda.is_available() else "cpu")
    threads = request.threads
    if threads is None:
        there = store.trials(request.folder)
        recorded = store.read_record(there[0]).settings.get("--threads", Settings.threads) if there else 0
        threads = int(recorded)  # 0: by the work, see prepare
    return replace(request, settings=replace(settings, threads=threads))


def _share(request: FindRequest) -> int:
    """Return how many cores each trial may take."""
    return max(1, _cores() // min(request.trials, _cores()))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lanes(request: FindRequest, threads: int) -> int:
    """Return how many trials run side by side."""
    return max(1, min(request.trials, _cores() // (threads or _share(request))))


def lottery_of(request: FindRequest, task: Task, number: int, watcher: Watcher) -> Lottery:
    """Make trial `number`, with a folder and a seed of its own."""
    settings = replace(request.settings, seed=request.settings.seed + number)
    try:
        data = task.data(folders(request.data_dirs))
    except EdgeticketError:
        raise
    except Exception as error:
        raise TaskError(f"task {task.name!r}: its data could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(data, Data):
        raise TaskError(f"task {task.name!r}: data() returned {type(data).__name__}, not an edgeticket.Data")
    folder = request.folder / f"trial-{number}"
    return Lottery(task, data, folder, settings, request.goal, watcher, _share(request))
