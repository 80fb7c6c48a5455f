"""A model in a worker: loaded, run, timed, slowed down on request; what it is fed; and word of which one runs now."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.engine import EP_NAME

CPU_PROVIDER = checks.CPU_PROVIDER
MOST_CARRIED_NS = 2000.0  # from one spin to the next: a few turns of its loop
# An ONNX model of one Identity (IR 8, opset 18): opened first, it leaves an idle runtime with nothing loaded.
EMPTY_MODEL = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201655a0f0a0178120a0a08"
    "080112040a020801620f0a0179120a0a08080112040a02080142040a001012"
)
_telling: list[int] = []  # the pipe to the parent, if there is one


def tell_through(descriptor: int | None) -> None:
    """From now on the names of running models go into this pipe, which the parent reads only when no answer comes."""
    if descriptor is not None:
        os.set_blocking(descriptor, False)
        _telling[:] = [descriptor]


def tell(name: str) -> None:
    """This model runs now."""
    for descriptor in _telling:
        with suppress(OSError):  # a full pipe: the parent knows an earlier name
            os.write(descriptor, f"{name}\n".encode())


def write_feed(path: Path, feed: checks.Feed) -> str:
    """The feed as a worker reads it. Returns the path."""
    arrays: dict[str, Any] = {f"input.{i}": array for i, array in enumerate(feed.values())}
    np.savez(path, names=np.array(json.dumps(list(feed))), **arrays)
    return str(path)


def read_feed(path: str) -> checks.Feed:
    """What write_feed wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        return {name: arrays[f"input.{i}"] for i, name in enumerate(names)}


class ModelFailedError(Exception):
    """A model could not be loaded or run."""

    def __init__(self, arm: str, sentence: str) -> None:
        super().__init__(sentence)
        self.arm = arm


def failed(arm: str, when: str, error: Exception) -> ModelFailedError:
    """The error of an arm. The runtime raises a family of its own, and every one of them means the same here."""
    return ModelFailedError(arm, f"failed {when}: {type(error).__name__}: {' '.join(str(error).split())}")


class Arm:
    """A model that can be loaded anew and timed, slowed down on request by spinning inside the timed slot."""

    def __init__(self, name: str, spec: Mapping[str, Any], feed: checks.Feed, threads: int, spinning: bool) -> None:
        self.name, self.feed, self.runs = name, feed, 0
        self.slowdown = float(spec.get("slowdown", 0.0))
        self.realised: list[float] = []  # slow-down of each slot's median
        self._carried_ns = 0.0
        self.loads_ms: list[float] = []
        self.firsts_ms: list[float] = []
        self._open = (str(spec["path"]), str(spec.get("provider", CPU_PROVIDER)), threads, spinning)
        self._session: Any = None

    def load(self) -> None:
        """A new session in place of the old one, and its first inference."""
        self._session = None
        tell(self.name)
        start = time.perf_counter_ns()
        try:
            self._session = open_session(*self._open)
        except Exception as error:
            raise failed(self.name, "when loaded", error) from error
        loaded = time.perf_counter_ns()
        self.run()
        self.loads_ms.append((loaded - start) / 1e6)
        self.firsts_ms.append((time.perf_counter_ns() - loaded) / 1e6)

    def unload(self) -> None:
        """Give the session's memory back."""
        self._session = None

    def run(self) -> None:
        """One inference."""
        try:
            self._session.run(None, self.feed)
        except Exception as error:
            raise failed(self.name, f"in run {self.runs + 1}", error) from error
        self.runs += 1

    def slot(self, runs: int, slot_ms: float, most: int | None) -> list[float]:
        """Milliseconds of each inference, `runs` of them or more until `slot_ms`, after one discarded."""
        tell(self.name)
        self.run()
        run, feed, clock = self._session.run, self.feed, time.perf_counter_ns
        times: list[float] = []
        own_ns: list[int] = []
        total, until = 0, slot_ms * 1e6
        try:
            while (most is None or len(times) < most) and (len(times) < runs or total < until):
                start = clock()
                run(None, feed)
                end = clock()
                if self.slowdown:
                    own_ns.append(end - start)
                    end = self._spin(end, end - start)
                times.append((end - start) / 1e6)
                total += end - start
        except Exception as error:
            raise failed(self.name, f"in run {self.runs + len(times) + 1}", error) from error
        self.runs += len(times)
        if own_ns:
            self.realised.append(float(np.median(times)) * 1e6 / float(np.median(own_ns)) - 1)
        return times

    def _spin(self, end: int, own: int) -> int:
        """Keep the CPU for a share of the model's own time; what one spin overshoots by a little, the next one saves.

        Only a little: one that was interrupted for long would save all spins of a block, and its median would be that
        of a model that is not slowed down.
        """
        wanted = self.slowdown * own - self._carried_ns
        now = end
        while now < end + wanted:
            now = time.perf_counter_ns()
        self._carried_ns = min(MOST_CARRIED_NS, now - end - wanted)
        return now


def open_session(path: str, provider: str, threads: int, spinning: bool) -> Any:
    """A session on a provider; denormals are zero on this thread from the first one on."""
    if provider != EP_NAME:
        return checks.session(path, threads, spinning=spinning, provider=provider)
    from edgeticket import runtime  # the plugin and its registration are there

    checks.session(EMPTY_MODEL, 1)  # the runtime's door makes sessions on a thread of its own
    runtime.register()  # raises where the plugin is missing; a session alone would fall back
    return runtime.session(path, threads=threads, spinning=spinning)
