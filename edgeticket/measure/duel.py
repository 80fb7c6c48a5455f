"""Candidate, baseline, and the baseline once more, interleaved in fresh processes until the verdict is certain.

The unit of replication is a process: address layout favours one arm in all of a process, and more inferences never
average that out. Within one, all models are loaded anew before each block, as far as time allows, since where weights
come to lie moves a small model's latency by more than what is looked for. Sessions are made and arms run in random
order, so that under no change every difference is as likely to have the other sign (Bulej et al., Duet benchmarking,
ICPE 2020).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from edgeticket import text
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.process import Process
from edgeticket.measure.protocol import Arm, BlocksRequest
from edgeticket.measure.stats import ERROR, Look, look_plan, median_bounds
from edgeticket.measure.verdict import INCONCLUSIVE, REGRESSION, Judgement, judge, judge_limit

CANDIDATE, BASELINE, AGAIN = "candidate", "baseline", "baseline again"
MOST_FAILURES, MOST_HUNG = 3, 2
SLOW_HINT = "; a model that is slow and does not hang needs a longer --process-seconds"


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
    most: int | None = None  # processes; None: as many as the looks take

    def looks(self) -> tuple[Look, ...]:
        """Say when a verdict may fall: looks whose share of the error is too small for any bound are not taken."""
        return tuple(look for look in look_plan(self.error) if look.k)


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
        """Give ln(candidate / baseline), one a process."""
        return [process.log_ratio(CANDIDATE, BASELINE) for process in self.used]

    def controls(self) -> list[float]:
        """Give ln(baseline again / baseline), one a process."""
        return [process.log_ratio(AGAIN, BASELINE) for process in self.used]

    def latency_ms(self, arm: str) -> list[float]:
        """Give the latency of an arm in ms, one a process."""
        return [process.latency_ms(arm) for process in self.used]

    def dropped(self) -> dict[str, int]:
        """Count the blocks that were dropped, by reason."""
        return dict(Counter(fault for process in self.processes for fault in process.faults if fault))

    def dropped_share(self) -> float:
        """Give the share of all blocks that were dropped."""
        blocks = sum(len(process.faults) for process in self.processes)
        return sum(self.dropped().values()) / blocks if blocks else 0.0

    @property
    def verdict(self) -> str:
        """The verdict of the comparison; a candidate that cannot be run is a regression."""
        if self.failed_arm == CANDIDATE:
            return REGRESSION
        if self.failed_arm is not None or self.judgement is None or self.interrupted:
            return INCONCLUSIVE
        return self.judgement.verdict

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that ran, candidate first."""
        found = {name for process in self.processes for name in process.ms}
        return tuple(name for name in (CANDIDATE, BASELINE, AGAIN) if name in found)

    def look(self) -> Look | None:
        """Give the look to be taken now, if one is due."""
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
        """Whether every question asked has its answer."""
        return (self.plan.tolerance is None or self._compared) and (self.plan.limit_ms is None or self._limited)

    @property
    def _compared(self) -> bool:
        return self.judgement is not None and self.judgement.verdict != INCONCLUSIVE

    @property
    def _limited(self) -> bool:
        return self.limit_verdict not in (None, INCONCLUSIVE)


def run(
    candidate: Arm,
    baseline: Arm | None,
    feed: str,
    plan: Plan,
    watch: Callable[[Duel], None] = lambda _: None,
    host: Host = LOCAL,
) -> Duel:
    """Measure until the verdict is certain, the looks or the time are over, or nothing more can be measured.

    Nothing is raised for what happens to a process or a model: it is told in the result. Ctrl-C ends the measuring and
    leaves `interrupted`. `watch` is called after every process. `feed` is the path of an npz (see feed.py). Without a
    baseline, for a plan without a tolerance, the candidate runs alone.
    """
    arms = {CANDIDATE: candidate} | ({BASELINE: baseline, AGAIN: baseline} if baseline is not None else {})
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
            first = not duel.processes  # nothing is known yet of how long one takes: it is given all of its time
            limit_s = plan.process_s if first else min(plan.process_s, left)
            counted = first and plan.threads == 1  # the counter sees the calling thread alone
            request = BlocksRequest(arms, feed, plan.threads, chance.getrandbits(32), instructions=counted)
            try:
                answer = host.ask(request, limit_s)
            except NoAnswerError as error:
                if error.kind == "hung" and limit_s < plan.process_s:
                    duel.stopped = f"the {text.duration(plan.seconds)} allowed were over while a process ran"
                else:
                    _failed(duel, error)
                continue
            duel.processes.append(Process.of(answer, time.monotonic() - started))
            if len(duel.processes) == plan.most:
                duel.stopped = "no more was asked for"
            look = duel.look() if duel.processes[-1].usable else None
            if look is not None:
                duel.judge_now(look)
                if duel.certain:
                    asked = plan.tolerance is not None or plan.limit_ms is not None
                    duel.stopped = "the verdict is certain" if asked else "no verdict was asked for"
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
        hint = SLOW_HINT if error.kind == "hung" else ""
        duel.stopped = f"{len(duel.failures)} processes gave no answer; of the last: {error}{hint}"


def used_summary(duel: Duel) -> list[str]:
    """Say in sentences what was left out."""
    said = []
    unused = len(duel.processes) - len(duel.used)
    if unused:
        said.append(f"{unused} of {len(duel.processes)} processes were too disturbed to count.")
    if any(process.pinned is None for process in duel.processes):
        said.append("The processes could not be pinned to a CPU, so they may move; the bounds include that.")
    return said + [f"A process gave no answer: {failure}." for failure in duel.failures]
