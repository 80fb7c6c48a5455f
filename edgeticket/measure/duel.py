"""Candidate, baseline, and the baseline once more, interleaved in fresh processes until the verdict is certain.

The unit of replication is a process: address layout favours one arm in all of a process, and more inferences never
average that out. Within one, all models are loaded anew before each block, as far as time allows, since where weights
come to lie moves a small model's latency by more than what is looked for. Sessions are made and arms run in random
order, so that under no change every difference is as likely to have the other sign (Bulej et al., Duet benchmarking,
ICPE 2020).
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgeticket import text
from edgeticket.measure.process import NoAnswerError, ask
from edgeticket.measure.stats import ERROR, Look, hodges_lehmann, look_plan, median_bounds
from edgeticket.measure.verdict import INCONCLUSIVE, REGRESSION, Judgement, judge, judge_limit
from edgeticket.measure.worker import CPU_PROVIDER

CANDIDATE, BASELINE, AGAIN = "candidate", "baseline", "baseline again"
BLOCKS, SLOT = 15, {"runs": 5, "ms": 20.0, "most": None}
WORKER_S = 6.0  # after which a worker begins no further block: models beyond 20 ms get fewer blocks
FEWEST_BLOCKS, FEWEST_SHARE = 3, 1 / 3  # undisturbed, for a process to count
MOST_FAILURES, MOST_HUNG = 3, 2
DIGITS = 6  # significant, of every recorded millisecond


@dataclass(frozen=True)
class Arm:
    """A model file on a provider. `slowdown` spins for that share of its own time (self-test and evidence only)."""

    path: str
    provider: str = CPU_PROVIDER
    slowdown: float = 0.0

    def request(self) -> dict[str, Any]:
        """As the worker reads it."""
        return {"path": self.path, "provider": self.provider, "slowdown": self.slowdown}


@dataclass(frozen=True)
class Plan:
    """How to measure and what to decide. `tolerance` None: nothing is compared, only `limit_ms` is judged."""

    threads: int = 1
    tolerance: float | None = 0.05
    limit_ms: float | None = None
    seconds: float = 60.0
    process_s: float = 30.0
    seed: int = 0
    error: float = ERROR  # one-sided, this comparison's share

    def looks(self) -> tuple[Look, ...]:
        """When a verdict may fall."""
        return look_plan(self.error)


@dataclass(frozen=True)
class Process:
    """What one process measured: block medians in ms by arm, and why blocks were dropped (None: kept)."""

    ms: Mapping[str, tuple[float, ...]]
    faults: tuple[str | None, ...]
    seconds: float
    pinned: tuple[int, ...] | None
    slowdown: Mapping[str, float] = field(default_factory=dict)
    instructions: Mapping[str, int] = field(default_factory=dict)
    not_counted: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any], seconds: float) -> Process:
        """From a worker's answer."""
        names = answer["blocks"][0]["ms"]
        ms = {name: tuple(float(f"{block['ms'][name]:.{DIGITS}g}") for block in answer["blocks"]) for name in names}
        faults = tuple(block["fault"] for block in answer["blocks"])
        pinned = None if answer["pinned"] is None else tuple(answer["pinned"])
        counts = (answer["slowdown"], answer["instructions"], answer["not_counted"])
        return cls(ms, faults, seconds, pinned, *counts)

    def kept(self, arm: str) -> list[float]:
        """Medians of the undisturbed blocks."""
        return [ms for ms, fault in zip(self.ms[arm], self.faults, strict=True) if fault is None]

    @property
    def usable(self) -> bool:
        """Enough of it was undisturbed."""
        kept = sum(fault is None for fault in self.faults)
        return kept >= max(FEWEST_BLOCKS, FEWEST_SHARE * len(self.faults))

    def log_ratio(self, arm: str, to: str) -> float:
        """ln(arm / to): the Hodges-Lehmann estimate over blocks, in each of which the models lay elsewhere."""
        return hodges_lehmann([math.log(a / b) for a, b in zip(self.kept(arm), self.kept(to), strict=True)])

    def latency_ms(self, arm: str) -> float:
        """The median over blocks."""
        return median(self.kept(arm))


@dataclass
class Duel:
    """A comparison under way or done. `processes` are all that answered, `used` those that count."""

    plan: Plan
    processes: list[Process] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    judgement: Judgement | None = None  # of the last look that was reached
    limit_verdict: str | None = None
    limit_bounds_ms: tuple[float, float, float] | None = None
    failed_arm: str | None = None
    stopped: str = ""  # why it ended, a sentence
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def used(self) -> list[Process]:
        """The processes of which enough was undisturbed."""
        return [process for process in self.processes if process.usable]

    def differences(self) -> list[float]:
        """ln(candidate / baseline), one a process."""
        return [process.log_ratio(CANDIDATE, BASELINE) for process in self.used]

    def controls(self) -> list[float]:
        """ln(baseline again / baseline), one a process."""
        return [process.log_ratio(AGAIN, BASELINE) for process in self.used]

    def latency_ms(self, arm: str) -> list[float]:
        """One a process."""
        return [process.latency_ms(arm) for process in self.used]

    def dropped(self) -> dict[str, int]:
        """How many blocks were dropped, by reason."""
        return dict(Counter(fault for process in self.processes for fault in process.faults if fault))

    def dropped_share(self) -> float:
        """Of all blocks."""
        blocks = sum(len(process.faults) for process in self.processes)
        return sum(self.dropped().values()) / blocks if blocks else 0.0

    @property
    def verdict(self) -> str:
        """Of the comparison; a candidate that cannot be run is a regression."""
        if self.failed_arm == CANDIDATE:
            return REGRESSION
        if self.failed_arm is not None or self.judgement is None or self.interrupted:
            return INCONCLUSIVE
        return self.judgement.verdict

    def look(self) -> Look | None:
        """The look to be taken now, if one is due."""
        return next((look for look in self.plan.looks() if look.processes == len(self.used)), None)

    def judge_now(self, look: Look) -> None:
        """Take a look."""
        if self.plan.tolerance is not None:
            self.judgement = judge(self.differences(), self.controls(), self.plan.tolerance, look)
        if self.plan.limit_ms is not None:
            self.limit_bounds_ms = median_bounds(self.latency_ms(CANDIDATE), look.level)
            low, _, high = self.limit_bounds_ms
            self.limit_verdict = judge_limit(low, high, self.plan.limit_ms)

    @property
    def certain(self) -> bool:
        """Every question asked has its answer."""
        compared = self.plan.tolerance is None or (
            self.judgement is not None and self.judgement.verdict != INCONCLUSIVE
        )
        return compared and (self.plan.limit_ms is None or self.limit_verdict not in (None, INCONCLUSIVE))


def cpus_for(threads: int) -> list[int] | None:
    """The last CPUs this process may use, as many as threads; None where they cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))[-threads:]


def blocks_request(arms: Mapping[str, Arm], feed: str, threads: int, seed: int, **changes: Any) -> dict[str, Any]:
    """The worker's request, as a duel makes it; `changes` replace entries."""
    request = {
        "kind": "blocks",
        "arms": {name: arm.request() for name, arm in arms.items()},
        "feed": feed,
        "threads": threads,
        "seed": seed,
        "blocks": BLOCKS,
        "cpus": cpus_for(threads),
        "slot": SLOT,
        "spinning": False,
        "samples": False,
        "reload": True,
        "limit_s": WORKER_S,
        "instructions": False,
    }
    return request | changes


def run(
    candidate: Arm,
    baseline: Arm,
    feed: str,
    plan: Plan,
    watch: Callable[[Duel], None] = lambda _: None,
    ask: Callable[[Mapping[str, Any], float], dict[str, Any]] = ask,
) -> Duel:
    """Measure until the verdict is certain, the looks or the time are over, or nothing more can be measured.

    Nothing is raised for what happens to a process or a model: it is told in the result. Ctrl-C ends the measuring and
    leaves `interrupted`. `watch` is called after every process. `feed` is the path of an npz (see worker).
    """
    arms = {CANDIDATE: candidate, BASELINE: baseline, AGAIN: baseline}
    duel, chance, begin = Duel(plan), random.Random(plan.seed), time.monotonic()  # noqa: S311
    looks = plan.looks()
    try:
        while not duel.stopped:
            started = time.monotonic()
            left = plan.seconds - (started - begin)
            typical = median([process.seconds for process in duel.processes] or [0.0])
            if left <= typical:
                duel.stopped = f"the {text.duration(plan.seconds)} allowed were over"
                break
            first = not duel.processes
            request = blocks_request(arms, feed, plan.threads, chance.getrandbits(32), instructions=first)
            try:
                answer = ask(request, plan.process_s)
            except NoAnswerError as error:
                _failed(duel, error)
                continue
            duel.processes.append(Process.of(answer, time.monotonic() - started))
            look = duel.look() if duel.processes[-1].usable else None
            if look is not None:
                duel.judge_now(look)
                if duel.certain:
                    duel.stopped = "the verdict is certain"
                elif look == looks[-1]:
                    duel.stopped = f"{look.processes} processes are the most that are taken"
            duel.seconds = time.monotonic() - begin
            watch(duel)
    except KeyboardInterrupt:
        duel.interrupted, duel.stopped = True, "interrupted; what was measured is kept"
    duel.seconds = time.monotonic() - begin
    return duel


def _failed(duel: Duel, error: NoAnswerError) -> None:
    if error.kind == "model":
        duel.failed_arm = BASELINE if error.arm == AGAIN else error.arm
        duel.stopped = f"the {duel.failed_arm} {error}"
        return
    duel.failures.append(str(error))
    most = MOST_HUNG if error.kind == "hung" else MOST_FAILURES
    if len(duel.failures) >= most:
        duel.stopped = f"{len(duel.failures)} processes gave no answer; of the last: {error}"


def used_summary(duel: Duel) -> list[str]:
    """Sentences on what was left out."""
    said = []
    unused = len(duel.processes) - len(duel.used)
    if unused:
        said.append(f"{unused} of {len(duel.processes)} processes were too disturbed to count.")
    if any(process.pinned is None for process in duel.processes):
        said.append("The processes could not be pinned to a CPU, so they may move; the bounds include that.")
    return said + [f"A process gave no answer: {failure}." for failure in duel.failures]
