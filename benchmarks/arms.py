"""Sessions that take turns: all are alive in one process, and are timed in the same way, in blocks, in random order.

A machine changes its pace over seconds, so only blocks of one round are compared: a ratio is the median over rounds of
ratios within a round, with its confidence interval from order statistics (no distribution assumed).
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from machine import others_run

from edgeticket.engine import EP_NAME, entries

CPU = "CPUExecutionProvider"
# What runs before a block is not counted, for so long and so often at least, at any number of threads: caches fill.
# Until 2026-11-28 a session of one thread had 2.5 ms, one inference of a large network, and the other sessions may have
# driven its weights out of the caches (bench_rival.py measures what that is worth).
WARM_S, FEWEST = 30e-3, 3
POLL_S, LONGEST_S = 2e-3, 2.0
RECORD = "session.record_ep_graph_assignment_info"  # from ONNX Runtime 1.24


def open_session(model: bytes | str, threads: int, ours: Mapping[str, str] | None = None) -> ort.InferenceSession:
    """A session with `threads`; `ours` are the options of the sparse engine, None asks for the CPU provider alone."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry(RECORD, "1")
    providers = [CPU]
    if ours is not None:
        for key, value in entries({"threads": str(threads), **ours}).items():
            options.add_session_config_entry(key, value)
        providers = [EP_NAME, CPU]
    session = ort.InferenceSession(model, options, providers=providers)
    session.disable_fallback()
    return session


def assigned(session: ort.InferenceSession) -> int:
    """How many nodes of the graph the sparse engine was given."""
    parts = session.get_provider_graph_assignment_info()
    return sum(len(part.get_nodes()) for part in parts if part.ep_name == EP_NAME)


class Arm:
    """One session and its feed. `bound` runs through IO binding, as a device would; else through `run()`."""

    def __init__(self, session: ort.InferenceSession, feed: Mapping[str, np.ndarray], *, bound: bool = True) -> None:
        self.session, self.feed, self.bound = session, dict(feed), bound
        self.outputs = [output.name for output in session.get_outputs()]
        self.binding = session.io_binding()
        for name, array in self.feed.items():
            self.binding.bind_cpu_input(name, array)
        for name in self.outputs:
            self.binding.bind_output(name)
        self.run(1)
        self.seconds = self.run(1)  # of one inference, roughly

    def run(self, count: int) -> float:
        """Seconds that `count` inferences in a row take."""
        if self.bound:
            call, binding = self.session.run_with_iobinding, self.binding
            began = time.perf_counter()
            for _ in range(count):
                call(binding)
            return time.perf_counter() - began
        call_run, outputs, feed = self.session.run, self.outputs, self.feed
        began = time.perf_counter()
        for _ in range(count):
            call_run(outputs, feed)
        return time.perf_counter() - began

    def block(self, seconds: float) -> float:
        """Seconds an inference, the mean over a block of `seconds`, after a few inferences that are not counted."""
        unseen = max(FEWEST, math.ceil(WARM_S / self.seconds))
        count = max(FEWEST, round(seconds * unseen / self.run(unseen)))
        self.seconds = self.run(count) / count
        return self.seconds


def quiet() -> None:
    """Wait until no other thread of this process runs or wants to, for at most two seconds.

    The threads of a session go on spinning when its run is over, for 20 to 40 ms of processor time (ONNX Runtime 1.31,
    measured), and would take the cores of the session that comes next: with a dozen sessions of two threads in turns,
    ResNet-20 took 1.3 to 3 ms where it takes 0.4 alone.
    """
    until = time.monotonic() + LONGEST_S
    while others_run() and time.monotonic() < until:
        time.sleep(POLL_S)


def take_turns(
    arms: Mapping[str, Arm], rounds: int, block_s: float, seed: int = 0, *, apart: bool = True
) -> dict[str, list[float]]:
    """{name: seconds an inference in each round}; every arm has one block a round, in an order drawn for the round.

    `apart`: a block begins when the threads of the session before rest.
    """
    rng = random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in rng.sample(sorted(arms), len(arms)):
            if apart:
                quiet()
            times[name].append(arms[name].block(block_s))
    return times


@dataclass(frozen=True)
class Interval:
    """A median with the bounds of its confidence interval."""

    median: float
    low: float
    high: float


def quartiles(values: Sequence[float]) -> Interval:
    low, middle, high = statistics.quantiles(values, n=4)
    return Interval(middle, low, high)


def paired(numerator: Sequence[float], denominator: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median of numerator / denominator over the rounds, and its confidence interval."""
    return median_interval([a / b for a, b in zip(numerator, denominator, strict=True)], confidence)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median and the order statistics that hold it with `confidence` (binomial, at least so much).

    >>> median_interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 7.0])
    Interval(median=4.0, low=1.0, high=7.0)
    """
    ordered, n = sorted(values), len(values)
    skip, below = 0, 0.5**n  # `below`: the chance that the median lies below the value number `skip`
    while skip + 1 <= (n - 1) // 2 and 2 * (below + math.comb(n, skip + 1) * 0.5**n) <= 1 - confidence:
        skip += 1
        below += math.comb(n, skip) * 0.5**n
    return Interval(statistics.median(ordered), ordered[skip], ordered[n - 1 - skip])


def raw_us(times: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """What was timed, round by round, in µs with five digits: kept beside every table that is made of it."""
    return {name: [float(f"{1e6 * each:.5g}") for each in taken] for name, taken in times.items()}


def as_json(value: Interval, scale: float = 1.0) -> dict[str, Any]:
    return {key: round(number * scale, 6) for key, number in vars(value).items()}
