"""Several trials side by side, each in a process of its own that tells its parent what happens."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from typing import Any

from edgeticket.errors import EdgeticketError, InputError
from edgeticket.lottery.request import FindRequest, lanes, lottery_of
from edgeticket.lottery.watcher import Watcher
from edgeticket.ticket.record import Control, Record, Round


@dataclass(frozen=True)
class _Event:
    """A call of the trial's Watcher."""

    method: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Done:
    """The trial is finished."""

    record: Record


@dataclass(frozen=True)
class _Failed:
    """The trial ended with an error of ours."""

    error: EdgeticketError


Message = tuple[int, _Event | _Done | _Failed]


class _Forward:
    """The Watcher in a child. It sends every event to the parent, iterations at most five times a second."""

    def __init__(self, number: int, events: Queue[Message]) -> None:
        self._number, self._events, self._sent = number, events, 0.0

    def _send(self, name: str, *values: Any) -> None:
        self._events.put((self._number, _Event(name, values)))

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


def _child(request: FindRequest, number: int, events: Queue[Message], parent: int) -> None:
    """One trial in a process of its own; it ends when its parent does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        record = lottery_of(request, request.task(), number, _Forward(number, events)).run()
        events.put((number, _Done(record)))
    except EdgeticketError as error:
        events.put((number, _Failed(error)))
    except KeyboardInterrupt:
        pass


def side_by_side(request: FindRequest, count: int, watcher: Callable[[int], Watcher]) -> list[Record]:
    """Run `count` trials, as many at a time as there are cores for; the first that fails lets the others end.

    Raises:
        EdgeticketError: a trial's own error, with the trial's number.
        InputError: a trial's process died.
    """
    context = multiprocessing.get_context("spawn")
    events: Queue[Message] = context.Queue()
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
            for number, event in _drain(events):
                match event:
                    case _Done(record):
                        records[number] = record
                    case _Failed(error):
                        failure = failure or type(error)(f"trial {number}: {error}")
                    case _Event(method, values):
                        getattr(watchers[number], method)(*values)
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


def _drain(events: Queue[Message]) -> Sequence[Message]:
    """Return all events at hand; wait a moment for the first."""
    found: list[Message] = []
    try:
        found.append(events.get(timeout=0.2))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found
