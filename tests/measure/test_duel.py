"""Duels: when they end and what they say; and real processes that fail, hang and are killed."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import broken_models
import numpy as np
import pytest

from edgeticket.measure import duel, process, worker
from edgeticket.measure.duel import AGAIN, BASELINE, CANDIDATE, Arm, Duel, Plan
from edgeticket.measure.latency import write_feed
from edgeticket.measure.process import NoAnswerError, ask

ARM = Arm("model.onnx")


def answer(ratio: float, seed: int = 0, faults: int = 0, spread: float = 0.01) -> dict[str, Any]:
    """What a worker would say of a candidate slower by `ratio`."""
    rng = np.random.default_rng(seed)
    shifts = {CANDIDATE: math.log1p(ratio), BASELINE: 0.0, AGAIN: 0.0}
    noise = {name: spread * rng.standard_normal() for name in shifts}
    blocks = [
        {
            "ms": {name: math.exp(shift + noise[name]) for name, shift in shifts.items()},
            "fault": "CPU shared" if number < faults else None,
        }
        for number in range(15)
    ]
    return {"blocks": blocks, "pinned": [1], "slowdown": {}, "instructions": {}, "not_counted": "no"}


def played(ratio: float, plan: Plan | None = None, **options: Any) -> Duel:
    seeds = itertools.count()
    return duel.run(ARM, ARM, "feed.npz", plan or Plan(), ask=lambda *_: answer(ratio, next(seeds), **options))


def test_it_stops_at_the_first_look_that_decides() -> None:
    for ratio, verdict in ((0.0, "pass"), (0.1, "regression")):
        done = played(ratio)
        assert (done.verdict, done.stopped, len(done.processes)) == (verdict, "the verdict is certain", 12)


def test_it_goes_on_to_the_last_look_and_says_what_it_could_resolve() -> None:
    done = played(0.05, spread=0.3)
    assert done.verdict == "inconclusive"
    assert len(done.processes) == duel.look_plan()[-1].processes
    assert "the most that are taken" in done.stopped
    assert done.judgement is not None
    assert done.judgement.resolvable > 0.05


def test_the_time_ends_it() -> None:
    done = played(0.05, Plan(seconds=1e-9))
    assert done.stopped == "the 0.0 s allowed were over"
    assert done.verdict == "inconclusive"


def test_disturbed_blocks_are_dropped_for_all_arms_and_disturbed_processes_do_not_count() -> None:
    kept = duel.Process.of(answer(0.0, faults=5), 1.0)
    assert kept.usable
    assert {len(kept.kept(arm)) for arm in (CANDIDATE, BASELINE, AGAIN)} == {10}
    assert not duel.Process.of(answer(0.0, faults=11), 1.0).usable
    done = played(0.0, Plan(seconds=0.2), faults=11)
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

    def turning(*_: object) -> dict[str, Any]:
        seed = next(seeds)
        return answer(0.0 if seed < 12 else 0.5, seed, spread=0.002)

    done = duel.run(ARM, ARM, "feed.npz", Plan(limit_ms=1.0), ask=turning)
    assert len(done.processes) > 12
    assert done.judgement is not None
    assert (done.verdict, done.judgement.processes) == ("pass", 12)
    assert done.judgement.high < 0.05


def test_a_limit_that_is_decided_stays_so_while_the_comparison_is_open() -> None:
    seeds = itertools.count()

    def turning(*_: object) -> dict[str, Any]:
        seed = next(seeds)
        return answer(0.035, seed, spread=0.1) if seed < 12 else answer(0.035 + seed, seed, spread=0.1)

    done = duel.run(ARM, ARM, "feed.npz", Plan(limit_ms=1.3), ask=turning)
    assert done.limit_verdict == "pass"
    assert done.limit_bounds_ms is not None
    assert done.limit_bounds_ms[2] < 1.3


def test_a_look_that_could_have_no_bounds_is_not_taken() -> None:
    """An error shared by very many gates leaves the first looks less than 12 processes can prove."""
    plan = Plan(error=0.005 / 40)
    assert duel.look_plan(plan.error)[0].k == 0
    seen: list[float] = []

    def watch(state: Duel) -> None:
        if state.judgement is not None:
            seen.extend((state.judgement.low, state.judgement.high, state.judgement.resolvable))

    seeds = itertools.count()
    duel.run(ARM, ARM, "feed.npz", plan, watch, ask=lambda *_: answer(0.0, next(seeds)))
    assert seen
    assert all(math.isfinite(value) for value in seen)


def test_without_a_baseline_the_candidate_runs_alone() -> None:
    asked: list[dict[str, Any]] = []

    def ask(request: Mapping[str, Any], _: float) -> dict[str, Any]:
        asked.append(dict(request))
        return answer(0.0, len(asked))

    duel.run(ARM, None, "feed.npz", Plan(tolerance=None, limit_ms=2.0), ask=ask)
    assert {tuple(each["arms"]) for each in asked} == {(CANDIDATE,)}


@pytest.mark.parametrize(("threads", "counted"), [(1, [True, False]), (2, [False, False])])
def test_instructions_are_counted_once_and_at_one_thread_only(threads: int, counted: list[bool]) -> None:
    """The kernel counts the calling thread: at two, the other's share would be missing."""
    asked: list[bool] = []

    def ask(request: Mapping[str, Any], _: float) -> dict[str, Any]:
        asked.append(request["instructions"])
        return answer(0.0, len(asked))

    duel.run(ARM, ARM, "feed.npz", Plan(threads=threads), ask=ask)
    assert asked[:2] == counted


def test_a_process_gets_no_more_than_the_time_that_is_left() -> None:
    limits: list[float] = []

    def ask(_: object, limit_s: float) -> dict[str, Any]:
        limits.append(limit_s)
        if len(limits) == 3:
            raise NoAnswerError("hung", "no answer", CANDIDATE)
        return answer(0.0, len(limits))

    done = duel.run(ARM, ARM, "feed.npz", Plan(seconds=10, process_s=30), ask=ask)
    assert limits[0] == 30  # nothing is known yet
    assert all(limit <= 10 for limit in limits[1:])
    assert done.stopped == "the 10.0 s allowed were over while a process ran"
    assert done.failures == []


def test_what_hangs_twice_may_be_slow_and_the_way_out_is_named() -> None:
    def ask(*_: object) -> dict[str, Any]:
        raise NoAnswerError("hung", "no answer from the candidate", CANDIDATE)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), ask=ask)
    assert done.failed_arm is None
    assert "from the candidate" in done.stopped
    assert "--process-seconds" in done.stopped


def test_sharing_the_error_makes_a_verdict_later_never_earlier() -> None:
    alone, shared = (played(0.0, Plan(error=0.005 / parts)) for parts in (1, 4))
    assert len(alone.processes) < len(shared.processes)


def test_ctrl_c_keeps_what_was_measured() -> None:
    seeds = iter(range(100))

    def interrupted(*_: object) -> dict[str, Any]:
        seed = next(seeds)
        if seed == 14:
            raise KeyboardInterrupt
        return answer(0.05, seed, spread=0.3)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), ask=interrupted)
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

    def failing(*_: object) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count >= 3:
            raise NoAnswerError(kind, "it went wrong", arm)
        return answer(0.0, count)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), ask=failing)
    assert (done.verdict, count) == (verdict, asked)
    assert "it went wrong" in done.stopped


def test_one_killed_process_is_told_and_replaced() -> None:
    count = 0

    def once(*_: object) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count == 2:
            raise NoAnswerError("killed", "the process was killed by SIGKILL")
        return answer(0.0, count)

    done = duel.run(ARM, ARM, "feed.npz", Plan(), ask=once)
    assert done.verdict == "pass"
    assert duel.used_summary(done) == ["A process gave no answer: the process was killed by SIGKILL."]


# --- Real processes ---

SHORT = {"blocks": 3, "slot": {"runs": 2, "ms": 0.1, "most": 3}}


@pytest.fixture
def feed(tmp_path: Path) -> str:
    return write_feed(tmp_path / "feed.npz", {"x": np.ones((1, 4), np.float32)})


def request(model: Path, feed: str, **changes: Any) -> dict[str, Any]:
    return duel.blocks_request({CANDIDATE: Arm(str(model))}, feed, 1, 0, **{**SHORT, **changes})


def test_a_real_duel_of_short_processes(tmp_path: Path, feed: str) -> None:
    def shortened(asked: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        return ask({**asked, **SHORT}, limit_s)

    arm = Arm(str(broken_models.good(tmp_path / "m.onnx")))
    done = duel.run(arm, arm, feed, Plan(seconds=1.5), ask=shortened)
    assert done.processes
    assert all(set(process.ms) == {CANDIDATE, BASELINE, AGAIN} for process in done.processes)
    assert done.failures == []


def test_a_model_that_fails_in_a_later_run_is_named_with_the_run(tmp_path: Path, feed: str) -> None:
    model = broken_models.fails_later(tmp_path / "m.onnx")
    with pytest.raises(NoAnswerError, match=r"failed in run \d+: .*indices element out of data bounds") as caught:
        ask(request(model, feed, slot={"runs": 200, "ms": 1.0, "most": None}), 60)
    assert (caught.value.kind, caught.value.arm) == ("model", CANDIDATE)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path, feed: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(NoAnswerError, match="failed when loaded"):
        ask(request(tmp_path / "m.onnx", feed), 60)


def children(of: int) -> set[int]:
    """Processes whose parent is `of`, zombies too."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == of:
            found.add(int(path.parent.name))
    return found


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux
def test_a_process_that_hangs_is_ended_and_reaped(tmp_path: Path, feed: str) -> None:
    before = children(os.getpid())
    with pytest.raises(
        NoAnswerError, match="no answer from the model 'candidate' within 2 s; the process was ended"
    ) as caught:
        ask(request(broken_models.hangs(tmp_path / "m.onnx"), feed), 2)
    assert (caught.value.kind, caught.value.arm) == ("hung", CANDIDATE)
    assert children(os.getpid()) <= before


def when_a_child_appears(act: Callable[[int], None]) -> threading.Thread:
    """Do something to the next child of this process, from a thread."""
    before, me = children(os.getpid()), os.getpid()

    def wait() -> None:
        for _ in range(1000):
            new = children(me) - before
            if new:
                act(new.pop())
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@linux
def test_a_process_that_is_killed_is_told(tmp_path: Path, feed: str) -> None:
    model = broken_models.hangs(tmp_path / "m.onnx")
    killer = when_a_child_appears(lambda child: os.kill(child, signal.SIGKILL))
    with pytest.raises(NoAnswerError, match=r"killed by SIGKILL.*; out of memory, if nobody killed it") as caught:
        ask(request(model, feed), 60)
    killer.join()
    assert caught.value.kind == "killed"


@linux
def test_a_worker_goes_when_its_parent_is_killed(tmp_path: Path, feed: str) -> None:
    model = broken_models.hangs(tmp_path / "m.onnx")
    asked = json.dumps(request(model, feed))
    script = f"import json; from edgeticket.measure.process import ask; ask(json.loads({asked!r}), 60)"
    parent = subprocess.Popen([sys.executable, "-c", script])
    found: set[int] = set()
    for _ in range(1000):
        found = children(parent.pid)
        if found and all("worker" in Path(f"/proc/{c}/cmdline").read_text() for c in found):
            break
        time.sleep(0.01)
    time.sleep(1.0)  # the worker has asked the kernel by then
    parent.kill()
    parent.wait()
    (child,) = found
    for _ in range(500):
        path = Path(f"/proc/{child}/stat")
        if not path.exists() or path.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the worker lives on")


def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", ("/no/such/python",))
    with pytest.raises(NoAnswerError, match="no process could be started"):
        ask({}, 1)


def test_a_process_that_says_nonsense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", "raise SystemExit('out of sorts')"))
    with pytest.raises(NoAnswerError, match=r"ended with 1 \(out of sorts\)"):
        ask({}, 30)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_it_is_pinned_where_that_is_allowed_and_says_where_not(
    tmp_path: Path, feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = broken_models.good(tmp_path / "m.onnx")
    cpus = duel.cpus_for(1)
    assert ask(request(model, feed), 60)["pinned"] == cpus

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    answered = worker.blocks(request(model, feed))
    assert answered["pinned"] is None
    done = Duel(Plan(), processes=[duel.Process.of(answered, 1.0)])
    assert "could not be pinned" in " ".join(duel.used_summary(done))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_core_is_enough(tmp_path: Path, feed: str) -> None:
    asked = json.dumps(request(broken_models.good(tmp_path / "m.onnx"), feed) | {"cpus": None})
    script = (
        "import json, os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
        "from edgeticket.measure import duel\nfrom edgeticket.measure.process import ask\n"
        f"print(duel.cpus_for(1), len(ask(json.loads({asked!r}) | {{'cpus': duel.cpus_for(1)}}, 60)['blocks']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"[{max(os.sched_getaffinity(0))}]", "3"]
