"""Duels: when they end and what they say."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_hosts import FakeHost

from edgeticket.measure import duel
from edgeticket.measure.duel import AGAIN, BASELINE, CANDIDATE, Duel, Plan
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.process import Process
from edgeticket.measure.protocol import Arm, BlocksAnswer, BlocksRequest, TimedBlock
from edgeticket.measure.stats import look_plan

ARM = Arm("model.onnx")


def answer(ratio: float, seed: int = 0, faults: int = 0, spread: float = 0.01) -> BlocksAnswer:
    """What a worker would say of a candidate slower by `ratio`."""
    rng = np.random.default_rng(seed)
    shifts = {CANDIDATE: math.log1p(ratio), BASELINE: 0.0, AGAIN: 0.0}
    noise = {name: spread * rng.standard_normal() for name in shifts}
    ms = {name: math.exp(shift + noise[name]) for name, shift in shifts.items()}
    blocks = tuple(TimedBlock(ms, "CPU shared" if number < faults else None) for number in range(15))
    return BlocksAnswer(blocks, pinned=(1,), not_counted="no")


def played(ratio: float, plan: Plan | None = None, **options: Any) -> Duel:
    seeds = itertools.count()
    host = FakeHost(lambda *_: answer(ratio, next(seeds), **options))
    return duel.run(ARM, ARM, "feed.npz", plan or Plan(), host=host)


def test_it_stops_at_the_first_look_that_decides() -> None:
    for ratio, verdict in ((0.0, "pass"), (0.1, "regression")):
        done = played(ratio)
        assert (done.verdict, done.stopped, len(done.processes)) == (verdict, "the verdict is certain", 12)


def test_it_goes_on_to_the_last_look_and_says_what_it_could_resolve() -> None:
    done = played(0.05, spread=0.3)
    assert done.verdict == "inconclusive"
    assert len(done.processes) == look_plan()[-1].processes
    assert "the most that are taken" in done.stopped
    assert done.judgement is not None
    assert done.judgement.resolvable > 0.05


def test_the_time_ends_it() -> None:
    done = played(0.05, Plan(seconds=1e-9))
    assert done.stopped == "the 0.0 s allowed were over"
    assert done.verdict == "inconclusive"


def test_disturbed_blocks_are_dropped_for_all_arms_and_disturbed_processes_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Process.of(answer(0.0, faults=5), 1.0)
    assert kept.usable
    assert {len(kept.kept(arm)) for arm in (CANDIDATE, BASELINE, AGAIN)} == {10}
    assert not Process.of(answer(0.0, faults=11), 1.0).usable
    clock = itertools.count()  # a second passes each time that it is read
    monkeypatch.setattr(duel, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    done = played(0.0, Plan(seconds=60), faults=11)
    assert done.processes
    assert done.used == []
    assert done.verdict == "inconclusive"
    assert done.dropped() == {"CPU shared": 11 * len(done.processes)}
    assert "too disturbed to count" in duel.used_summary(done)[0]


def test_a_limit_is_judged_by_itself_or_beside_the_comparison() -> None:
    assert played(0.0, Plan(tolerance=None, limit_ms=2.0)).limit_verdict == "pass"
    assert played(0.0, Plan(tolerance=None, limit_ms=0.5)).limit_verdict == "regression"
    both = played(0.0, Plan(limit_ms=1.0), spread=0.02)
    assert both.verdict == "pass"
    assert both.limit_verdict == "inconclusive"  # the limit is the true median: nobody can tell
    assert len(both.processes) > 12


def test_a_comparison_that_is_decided_stays_so_while_the_limit_is_open() -> None:
    """Later processes tell the contrary: the verdict and its bounds are those of the look at which it fell."""
    seeds = itertools.count()

    def turning(*_: object) -> BlocksAnswer:
        seed = next(seeds)
        return answer(0.0 if seed < 12 else 0.5, seed, spread=0.002)

    done = duel.run(ARM, ARM, "feed.npz", Plan(limit_ms=1.0), host=FakeHost(turning))
    assert len(done.processes) > 12
    assert done.judgement is not None
    assert (done.verdict, done.judgement.processes) == ("pass", 12)
    assert done.judgement.high < 0.05


def test_a_limit_that_is_decided_stays_so_while_the_comparison_is_open() -> None:
    seeds = itertools.count()

    def turning(*_: object) -> BlocksAnswer:
        seed = next(seeds)
        return answer(0.035, seed, spread=0.1) if seed < 12 else answer(0.035 + seed, seed, spread=0.1)

    done = duel.run(ARM, ARM, "feed.npz", Plan(limit_ms=1.3), host=FakeHost(turning))
    assert done.limit_verdict == "pass"
    assert done.limit_bounds_ms is not None
    assert done.limit_bounds_ms[2] < 1.3


def test_a_look_that_could_have_no_bounds_is_not_taken() -> None:
    """An error shared by very many gates leaves the first looks less than 12 processes can prove."""
    plan = Plan(error=0.005 / 40)
    assert look_plan(plan.error)[0].k == 0
    seen: list[float] = []

    def watch(state: Duel) -> None:
        if state.judgement is not None:
            seen.extend((state.judgement.low, state.judgement.high, state.judgement.resolvable))

    seeds = itertools.count()
    duel.run(ARM, ARM, "feed.npz", plan, watch, host=FakeHost(lambda *_: answer(0.0, next(seeds))))
    assert seen
    assert all(math.isfinite(value) for value in seen)


def test_without_a_baseline_the_candidate_runs_alone() -> None:
    asked: list[BlocksRequest] = []

    def ask(request: BlocksRequest, _: float) -> BlocksAnswer:
        asked.append(request)
        return answer(0.0, len(asked))

    duel.run(ARM, None, "feed.npz", Plan(tolerance=None, limit_ms=2.0), host=FakeHost(ask))
    assert {tuple(each.arms) for each in asked} == {(CANDIDATE,)}


@pytest.mark.parametrize(("threads", "counted"), [(1, [True, False]), (2, [False, False])])
def test_instructions_are_counted_once_and_at_one_thread_only(threads: int, counted: list[bool]) -> None:
    """The kernel counts the calling thread: at two, the other's share would be missing."""
    asked: list[bool] = []

    def ask(request: BlocksRequest, _: float) -> BlocksAnswer:
        asked.append(request.instructions)
        return answer(0.0, len(asked))

    duel.run(ARM, ARM, "feed.npz", Plan(threads=threads), host=FakeHost(ask))
    assert asked[:2] == counted


def test_a_process_gets_no_more_than_the_time_that_is_left() -> None:
    limits: list[float] = []

    def ask(_: object, limit_s: float) -> BlocksAnswer:
        limits.append(limit_s)
        if len(limits) == 3:
            raise NoAnswerError("hung", "no answer", CANDIDATE)
        return answer(0.0, len(limits))

    done = duel.run(ARM, ARM, "feed.npz", Plan(seconds=10, process_s=30), host=FakeHost(ask))
    assert limits[0] == 30  # nothing is known yet
    assert all(limit <= 10 for limit in limits[1:])
    assert done.stopped == "the 10.0 s allowed were over while a process ran"
    assert done.failures == []


def test_what_hangs_twice_may_be_slow_and_the_way_out_is_named() -> None:
    def ask(*_: object) -> BlocksAnswer:
        raise NoAnswerError("hung", "no answer from the candidate", CANDIDATE)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), host=FakeHost(ask))
    assert done.failed_arm is None
    assert "from the candidate" in done.stopped
    assert "--process-seconds" in done.stopped


def test_sharing_the_error_makes_a_verdict_later_never_earlier() -> None:
    alone, shared = (played(0.0, Plan(error=0.005 / parts)) for parts in (1, 4))
    assert len(alone.processes) < len(shared.processes)


def test_ctrl_c_keeps_what_was_measured() -> None:
    seeds = iter(range(100))

    def interrupted(*_: object) -> BlocksAnswer:
        seed = next(seeds)
        if seed == 14:
            raise KeyboardInterrupt
        return answer(0.05, seed, spread=0.3)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), host=FakeHost(interrupted))
    assert done.interrupted
    assert len(done.processes) == 14
    assert done.judgement is not None
    assert done.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("kind", "arm", "verdict", "asked"),
    [
        ("model", CANDIDATE, "regression", 3),
        ("model", BASELINE, "inconclusive", 3),
        ("model", AGAIN, "inconclusive", 3),
        ("hung", None, "inconclusive", 4),
        ("killed", None, "inconclusive", 5),
        ("failed", None, "inconclusive", 5),
    ],
)
def test_what_a_failure_comes_to(kind: str, arm: str | None, verdict: str, asked: int) -> None:
    count = 0

    def failing(*_: object) -> BlocksAnswer:
        nonlocal count
        count += 1
        if count >= 3:
            raise NoAnswerError(kind, "it went wrong", arm)
        return answer(0.0, count)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), host=FakeHost(failing))
    assert (done.verdict, count) == (verdict, asked)
    assert "it went wrong" in done.stopped


def test_one_killed_process_is_told_and_replaced() -> None:
    count = 0

    def once(*_: object) -> BlocksAnswer:
        nonlocal count
        count += 1
        if count == 2:
            raise NoAnswerError("killed", "the process was killed by SIGKILL")
        return answer(0.0, count)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), host=FakeHost(once))
    assert done.verdict == "pass"
    assert duel.used_summary(done) == ["A process gave no answer: the process was killed by SIGKILL."]
