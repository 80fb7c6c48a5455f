"""What a duel is asked and what it holds: arms, the plan, what each process measured, and the verdict from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgeticket.measure.arm import CPU_PROVIDER
from edgeticket.measure.stats import ERROR, Look, hodges_lehmann, look_plan, median_bounds
from edgeticket.measure.verdict import INCONCLUSIVE, REGRESSION, Judgement, judge, judge_limit

CANDIDATE, BASELINE, AGAIN = "candidate", "baseline", "baseline again"
FEWEST_BLOCKS, FEWEST_SHARE = 3, 1 / 3  # undisturbed, for a process to count
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
        """When a verdict may fall: looks whose share of the error is too small for any bound are not taken."""
        return tuple(look for look in look_plan(self.error) if look.k)


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

    @property
    def arms(self) -> tuple[str, ...]:
        """Of those that ran, the candidate first."""
        found = {name for process in self.processes for name in process.ms}
        return tuple(name for name in (CANDIDATE, BASELINE, AGAIN) if name in found)

    def look(self) -> Look | None:
        """The look to be taken now, if one is due."""
        return next((look for look in self.plan.looks() if look.processes == len(self.used)), None)

    def judge_now(self, look: Look) -> None:
        """Take a look. A question that has its answer keeps it while others are open: more looks cost more error."""
        if self.plan.tolerance is not None and not self._compared:
            self.judgement = judge(self.differences(), self.controls(), self.plan.tolerance, look)
        if self.plan.limit_ms is not None and not self._limited:
            self.limit_bounds_ms = median_bounds(self.latency_ms(CANDIDATE), look.level)
            low, _, high = self.limit_bounds_ms
            self.limit_verdict = judge_limit(low, high, self.plan.limit_ms)

    @property
    def certain(self) -> bool:
        """Every question asked has its answer."""
        return (self.plan.tolerance is None or self._compared) and (self.plan.limit_ms is None or self._limited)

    @property
    def _compared(self) -> bool:
        return self.judgement is not None and self.judgement.verdict != INCONCLUSIVE

    @property
    def _limited(self) -> bool:
        return self.limit_verdict not in (None, INCONCLUSIVE)
