"""Hosts for tests: answers that are made up, this machine with other requests, and processes whose time is over."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from edgeticket.measure.hosts.local import LOCAL, Local, RunningModels
from edgeticket.measure.protocol import Answer, BlocksRequest, LoadRequest, Request

LONG_S = 300.0  # a hang of the test itself
Made = TypeVar("Made")


@dataclass(frozen=True)
class FakeHost:
    """Timing (blocks and loads) is answered by `reply(request, limit_s)`, all else by `others`."""

    reply: Callable[[Any, float], Any]
    others: Callable[[Any, float], Any] = LOCAL.ask

    def ask(self, request: Request[Answer], limit_s: float) -> Any:
        timing = isinstance(request, BlocksRequest | LoadRequest)
        return self.reply(request, limit_s) if timing else self.others(request, limit_s)


@dataclass(frozen=True)
class WhenTold(Local):
    """This machine, where something is done to a process as soon as the model of this name begins to run in it.

    `act` gets the process; without one the time is over at that moment, however long that took. Nothing else ends it.
    """

    arm: str = "candidate"
    act: Callable[[subprocess.Popen[bytes]], None] | None = None

    def wait(
        self, process: subprocess.Popen[bytes], data: bytes, told: RunningModels, limit_s: float
    ) -> tuple[bytes, bytes]:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()
        process.stdin = None
        begin = time.monotonic()
        while told.last() != self.arm:
            assert process.poll() is None, "it ended before that"
            assert time.monotonic() - begin < LONG_S
            time.sleep(0.01)
        if self.act is None:
            raise subprocess.TimeoutExpired(process.args, limit_s)
        self.act(process)
        return process.communicate(timeout=LONG_S)


def in_a_thread(work: Callable[..., Made], *given: Any) -> Made:
    """Do a worker's work here, on a thread of its own: a session leaves denormals flushed on the thread it is of."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *given).result()


def send(number: int) -> Callable[[subprocess.Popen[bytes]], None]:
    """Send a signal to the process."""
    return lambda process: os.kill(process.pid, number)
