"""A model in a worker: loaded anew, run, timed, and slowed down on request."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.measure.protocol import Arm, Slot
from edgeticket.measure.session import failed, open_session, tell

MOST_CARRIED_NS = 2000.0  # from one spin to the next: a few turns of its loop


class TimedModel:
    """An arm in its worker: loaded anew and timed, slowed down on request by spinning inside the timed slot."""

    def __init__(self, name: str, arm: Arm, feed: checks.Feed, threads: int, spinning: bool) -> None:
        self.name, self.feed, self.runs = name, feed, 0
        self.slowdown = arm.slowdown
        self.realised: list[float] = []  # slow-down of each slot's median
        self._carried_ns = 0.0
        self.loads_ms: list[float] = []
        self.firsts_ms: list[float] = []
        self._open = (arm.path, arm.provider, threads, spinning)
        self._session: Any = None

    def load(self) -> None:
        """Open a new session in place of the old one, and run the first inference."""
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
        """Run one inference."""
        try:
            self._session.run(None, self.feed)
        except Exception as error:
            raise failed(self.name, f"in run {self.runs + 1}", error) from error
        self.runs += 1

    def slot(self, slot: Slot) -> list[float]:
        """Time the inferences of one slot in ms, after one that is discarded."""
        tell(self.name)
        self.run()
        run, feed, clock = self._session.run, self.feed, time.perf_counter_ns
        times: list[float] = []
        own_ns: list[int] = []
        runs, most, total, until = slot.runs, slot.most, 0, slot.ms * 1e6
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
