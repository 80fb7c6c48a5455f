"""Candidate, baseline, and the baseline once more, interleaved in fresh processes until the verdict is certain.

The unit of replication is a process: address layout favours one arm in all of a process, and more inferences never
average that out. Within one, all models are loaded anew before each block, as far as time allows, since where weights
come to lie moves a small model's latency by more than what is looked for. Sessions are made and arms run in random
order, so that under no change every difference is as likely to have the other sign (Bulej et al., Duet benchmarking,
ICPE 2020).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from edgeticket import text
from edgeticket.measure.process import NoAnswerError, ask
from edgeticket.measure.state import AGAIN, BASELINE, CANDIDATE, Arm, Duel, Plan, Process
from edgeticket.measure.stats import look_plan

__all__ = [
    "AGAIN", "BASELINE", "CANDIDATE", "SLOW_HINT", "Arm", "Duel", "Plan", "Process", "blocks_request", "cpus_for",
    "look_plan", "run", "used_summary",
]  # fmt: skip

BLOCKS, SLOT = 15, {"runs": 5, "ms": 20.0, "most": None}
WORKER_S = 6.0  # after which a worker begins no further block: models beyond 20 ms get fewer blocks
MOST_FAILURES, MOST_HUNG = 3, 2
SLOW_HINT = "; a model that is slow and does not hang needs a longer --process-seconds"


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
    baseline: Arm | None,
    feed: str,
    plan: Plan,
    watch: Callable[[Duel], None] = lambda _: None,
    ask: Callable[[Mapping[str, Any], float], dict[str, Any]] = ask,
) -> Duel:
    """Measure until the verdict is certain, the looks or the time are over, or nothing more can be measured.

    Nothing is raised for what happens to a process or a model: it is told in the result. Ctrl-C ends the measuring and
    leaves `interrupted`. `watch` is called after every process. `feed` is the path of an npz (see worker). Without a
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
            request = blocks_request(arms, feed, plan.threads, chance.getrandbits(32), instructions=counted)
            try:
                answer = ask(request, limit_s)
            except NoAnswerError as error:
                if error.kind == "hung" and limit_s < plan.process_s:
                    duel.stopped = f"the {text.duration(plan.seconds)} allowed were over while a process ran"
                else:
                    _failed(duel, error)
                continue
            duel.processes.append(Process.of(answer, time.monotonic() - started))
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
    """Sentences on what was left out."""
    said = []
    unused = len(duel.processes) - len(duel.used)
    if unused:
        said.append(f"{unused} of {len(duel.processes)} processes were too disturbed to count.")
    if any(process.pinned is None for process in duel.processes):
        said.append("The processes could not be pinned to a CPU, so they may move; the bounds include that.")
    return said + [f"A process gave no answer: {failure}." for failure in duel.failures]
