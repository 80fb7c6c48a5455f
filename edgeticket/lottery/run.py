"""A run: one trial in this process, or several side by side in processes of their own; one folder, one lock.

RUN/trial-0, trial-1, ...   each a ticket (edgeticket/ticket/store.py)
RUN/rounds.png              accuracy and early stopping over density
RUN/.lock                   held by the process that works here; the system lets it go when that process dies
"""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import filelock
import torch

from edgeticket import errors
from edgeticket.errors import EdgeticketError, FolderError, InputError, TaskError
from edgeticket.lottery.load import load_task
from edgeticket.lottery.settings import CONTROLS, Goal, Settings
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.trial import Lottery
from edgeticket.lottery.watcher import Silent, Watcher
from edgeticket.ticket import store
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.record import Control, Record, Round

_OURS = {".lock", "rounds.png", "artifact"}


@dataclass(frozen=True)
class Request:
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


def check(request: Request, task: Task) -> None:
    """What a command line can get wrong, before anything is written.

    Raises:
        InputError: a value is out of its range.
    """
    rewind, goal = request.settings.rewind, request.goal
    if rewind not in ("init", "lr") and not (
        rewind.isascii() and rewind.isdigit() and 0 < int(rewind) < task.iterations
    ):
        raise InputError(f"--rewind {rewind}: give init, lr, or an iteration between 1 and {task.iterations - 1}")
    if request.trials < 1 or (request.threads is not None and request.threads < 1):
        raise InputError(f"--trials {request.trials} --threads {request.threads}: both count from 1")
    if goal.rounds is not None and goal.rounds < 0:
        raise InputError(f"--rounds {goal.rounds}: give 0 (dense only) or more")
    if goal.until is not None and not 0 < goal.until <= 1:
        raise InputError(f"--until {goal.until}: give a density above 0 and up to 1 (100 %)")
    if goal.tolerance is not None and not 0 <= goal.tolerance < math.inf:
        raise InputError(f"--tolerance {goal.tolerance}: give points, 0 or more")
    if goal.at not in ("early-stop", "end"):
        raise InputError(f"--at {goal.at}: choose from early-stop, end")
    if goal.control_trials < 1 or min(goal.control_rounds or (0,)) < 0:
        raise InputError(
            f"--control-trials {goal.control_trials} --control-rounds {goal.control_rounds}: "
            "trials count from 1, rounds from 0"
        )
    if goal.keep_test is not None and goal.keep_test < 1:
        raise InputError(f"--keep-test {goal.keep_test}: keep at least 1 example")
    if unknown := set(goal.controls) - set(CONTROLS):
        raise InputError(f"--control {', '.join(sorted(unknown))}: choose from {', '.join(CONTROLS)}")
    if request.settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this PyTorch sees no GPU; use --device cpu, or install a CUDA build of torch")


def resolve(request: Request) -> Request:
    """Fill in what depends on this machine or on what the folder already holds: the device and the threads."""
    settings = request.settings
    if settings.device == "auto":
        settings = replace(settings, device="cuda" if torch.cuda.is_available() else "cpu")
    threads = request.threads
    if threads is None:
        there = store.trials(request.folder)
        threads = int(store.read_record(there[0]).settings["--threads"]) if there else 0  # 0: by the work, see Lottery
    return replace(request, settings=replace(settings, threads=threads))


def _share(request: Request) -> int:
    """The cores that each trial may take."""
    return max(1, _cores() // min(request.trials, _cores()))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lanes(request: Request, threads: int) -> int:
    """How many trials run side by side."""
    return max(1, min(request.trials, _cores() // (threads or _share(request))))


def refuse_foreign(folder: Path) -> None:
    """Never write into a folder that holds something else.

    Raises:
        FolderError: it does.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderError(f"{folder}: is a file; choose another --out")
    if not folder.exists():
        return
    if (folder / store.RECORD).exists():
        raise FolderError(f"{folder}: is one trial of a run; name the run's folder: --out {folder.parent}")
    if store.trials(folder):
        return  # ours: what else the user keeps in it is the user's
    names = sorted(path.name for path in folder.iterdir())
    foreign = [
        n
        for n in names
        if n not in _OURS and not (n.startswith("trial-") and n[6:].isdigit()) and not n.startswith(".tmp-")
    ]
    if foreign:
        raise FolderError(f"{folder}: holds something else ({foreign[0]}); choose another --out")


def find(request: Request, watcher: Callable[[int], Watcher]) -> list[Record]:
    """Find the tickets; returns each trial's Record. `watcher(trial)` is told what happens.

    Raises:
        EdgeticketError: see the tree; finished rounds are kept whatever happens.
    """
    task = request.task()
    check(request, task)
    refuse_foreign(request.folder)
    request = resolve(request)
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.StorageError(
            f"{request.folder}: can not be made ({error.strerror}); choose another --out"
        ) from error
    count = max(request.trials, len(store.trials(request.folder)))
    if count > 1 and isinstance(request.reference, Task):
        raise InputError(
            "several trials run in processes of their own: name the task as 'file.py:name' or 'module:name'"
        )
    lock = filelock.FileLock(request.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise FolderError(
            f"{request.folder}: another edgeticket find works in this folder; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        raise errors.StorageError(
            f"{request.folder}: can not be locked ({error.strerror or error}); free some space or choose another --out"
        ) from error
    try:
        if count == 1:
            return [_trial(request, task, 0, watcher(0)).run()]
        return _side_by_side(request, count, watcher)
    finally:
        lock.release()
        _leave_nothing(request.folder)


def _leave_nothing(folder: Path) -> None:
    """A search that was refused before its first file leaves no folder behind."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            folder.rmdir()


def _trial(request: Request, task: Task, number: int, watcher: Watcher) -> Lottery:
    """Trial `number`: its own folder and its own seed."""
    settings = replace(request.settings, seed=request.settings.seed + number)
    try:
        data = task.data(request.data_dirs)
    except EdgeticketError:
        raise
    except Exception as error:
        raise TaskError(f"task {task.name!r}: its data could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(data, Data):
        raise TaskError(f"task {task.name!r}: data() returned {type(data).__name__}, not an edgeticket.Data")
    folder = request.folder / f"trial-{number}"
    return Lottery(task, data, folder, settings, request.goal, watcher, _share(request))


def forecast(request: Request, iterations: int = 60) -> tuple[Lottery, float]:
    """Seconds a whole training would take, from a few iterations and one validation; nothing is written."""
    task = request.task()
    check(request, task)
    refuse_foreign(request.folder)
    request = resolve(request)
    short = _trial(request, task, 0, Silent())
    trainer, seed = short.trainer, 0
    trainer.evaluate(trainer.data.validation)
    began = time.perf_counter()
    trainer.evaluate(trainer.data.validation)
    evaluation = time.perf_counter() - began
    mask = Mask.ones({layer.name: layer.shape for layer in short.layers})
    iterations = min(iterations, task.iterations)
    warm = trainer.train(trainer.start(short.theta0, seed), mask, seed, stop=min(5, iterations))
    began = time.perf_counter()
    trainer.train(warm, mask, seed, stop=min(warm.iteration + iterations, task.iterations))
    pace = (time.perf_counter() - began) / max(1, min(iterations, task.iterations - warm.iteration))
    return short, task.iterations * pace + task.iterations / task.eval_every * evaluation


# -- several trials --------------------------------------------------------------------------------------------------

Event = tuple[int, str, tuple[Any, ...]]


class _Forward:
    """A Watcher in a child: sends every event to the parent, iterations at most five times a second."""

    def __init__(self, number: int, events: Queue[Event]) -> None:
        self._number, self._events, self._sent = number, events, 0.0

    def _send(self, name: str, *values: Any) -> None:
        self._events.put((self._number, name, values))

    def plan(self, trainings: int, done: int) -> None:
        self._send("plan", trainings, done)

    def training(self, label: str, density: float, start: int, stop: int) -> None:
        self._send("training", label, density, start, stop)

    def iteration(self, iteration: int, loss: float | None) -> None:
        if time.monotonic() - self._sent > 0.2:
            self._sent = time.monotonic()
            self._send("iteration", iteration, loss)

    def finished_round(self, record: Record, result: Round) -> None:
        self._send("finished_round", record, result)

    def finished_control(self, record: Record, result: Control) -> None:
        self._send("finished_control", record, result)

    def note(self, sentence: str) -> None:
        self._send("note", sentence)


def _child(request: Request, number: int, events: Queue[Event], parent: int) -> None:
    """One trial in a process of its own; it ends when its parent does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        record = _trial(request, request.task(), number, _Forward(number, events)).run()
        events.put((number, "done", (record,)))
    except EdgeticketError as error:
        events.put((number, "failed", (type(error).__name__, str(error))))
    except KeyboardInterrupt:
        pass


def _side_by_side(request: Request, count: int, watcher: Callable[[int], Watcher]) -> list[Record]:
    context = multiprocessing.get_context("spawn")
    events: Queue[Event] = context.Queue()
    width = lanes(replace(request, trials=count), request.settings.threads)
    waiting = list(range(count))
    running: dict[int, BaseProcess] = {}
    watchers = {number: watcher(number) for number in range(count)}
    records: dict[int, Record] = {}
    failure: EdgeticketError | None = None
    try:
        while (waiting and failure is None) or running:
            while waiting and len(running) < width and failure is None:
                number = waiting.pop(0)
                process = context.Process(target=_child, args=(request, number, events, os.getpid()), daemon=True)
                process.start()
                running[number] = process
            for number, name, values in _drain(events):
                if name == "done":
                    records[number] = values[0]
                elif name == "failed":
                    failure = failure or getattr(errors, values[0], InputError)(f"trial {number}: {values[1]}")
                else:
                    getattr(watchers[number], name)(*values)
            for number, child in list(running.items()):
                if not child.is_alive() and events.empty():
                    child.join()
                    del running[number]
                    if number not in records and failure is None:
                        failure = InputError(
                            f"trial {number}: its process died (exit code {child.exitcode}; out of memory?). "
                            "The same command goes on where it was"
                        )
    finally:
        for child in running.values():
            child.terminate()
            child.join()
    if failure is not None:
        raise failure
    return [records[number] for number in range(count)]


def _drain(events: Queue[Event]) -> Sequence[Event]:
    """All events at hand, waiting a moment for the first."""
    found: list[Event] = []
    try:
        found.append(events.get(timeout=0.2))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found
