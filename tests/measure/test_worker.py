"""What a worker does: what is answered, in what order things are timed, when models are loaded anew, and the spin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sample_artifacts
from fake_hosts import LONG_S, in_a_thread

from edgeticket.artifact import checks
from edgeticket.engine import CPU_PROVIDER
from edgeticket.measure import timed_model, worker
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm, BlocksRequest, LoadRequest, Slot
from edgeticket.measure.timed_model import TimedModel

FEED: checks.Feed = {"x": np.ones((1, 64), np.float32)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_artifacts.onnx_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_feed(tmp_path_factory.mktemp("feed") / "feed.npz", FEED)


def blocks(model: Path, feed: str, **changes: Any) -> BlocksRequest:
    """A request for two arms of the same model."""
    arms = {name: Arm(str(model)) for name in ("dense", "exported")}
    return BlocksRequest(arms, feed, 1, 1, **{"blocks": 2, "slot": Slot(3, 0.1, 5), **changes})


def test_a_worker_times_every_model_in_every_block(model: Path, feed: str) -> None:
    answer = LOCAL.ask(blocks(model, feed, blocks=9, limit_s=0.0, samples=True), LONG_S)
    assert len(answer.blocks) == 3  # the time is over at once, and three blocks are made all the same
    for block in answer.blocks:
        assert set(block.samples_ms) == {"dense", "exported"}
        for name, samples in block.samples_ms.items():
            assert 3 <= len(samples) <= 5
            assert min(samples) > 0
            assert block.ms[name] == np.median(samples)


def test_a_slot_lasts_as_long_as_it_must(model: Path, feed: str) -> None:
    answer = LOCAL.ask(blocks(model, feed, blocks=1, slot=Slot(5, 3.0), samples=True), LONG_S)
    assert all(sum(samples) >= 3.0 for samples in answer.blocks[0].samples_ms.values())


def test_samples_are_answered_only_where_they_are_asked_for(model: Path, feed: str) -> None:
    assert all(not block.samples_ms for block in LOCAL.ask(blocks(model, feed), LONG_S).blocks)


@pytest.mark.parametrize(("share", "placements"), [(np.inf, 3), (0.0, 1)])
def test_models_are_loaded_anew_in_every_block_where_time_allows(
    model: Path, feed: str, monkeypatch: pytest.MonkeyPatch, share: float, placements: int
) -> None:
    """Time allows all of it, or none; how long this machine takes to load decides nothing."""
    monkeypatch.setattr(worker, "LOAD_SHARE", share)
    answer = in_a_thread(worker.blocks, blocks(model, feed, blocks=3, pin=False, reload=True))
    assert answer.placements == placements


def test_models_are_loaded_once_where_anew_is_not_asked_for(model: Path, feed: str) -> None:
    assert LOCAL.ask(blocks(model, feed, blocks=3, reload=False), LONG_S).placements == 1


def test_the_models_take_turns_in_random_order(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(TimedModel, "load", lambda model: model.loads_ms.append(0.0) or model.firsts_ms.append(0.0))
    monkeypatch.setattr(TimedModel, "slot", lambda model, *_: turns.append(model.name) or [1.0])
    worker.blocks(blocks(Path("a.onnx"), feed, blocks=15, pin=False))
    pairs = [tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert len(pairs) == 15
    assert set(pairs) == {("dense", "exported"), ("exported", "dense")}


class Clock:
    """Time that passes by TICK_NS each time that it is read; an inference is seen to take OWN_NS."""

    TICK_NS, OWN_NS = 900, 100_900

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        self.now += self.TICK_NS
        return self.now

    def run(self, *_: object) -> None:
        self.now += self.OWN_NS - self.TICK_NS


def test_a_slow_down_is_spun_in_the_timed_slot_and_realised(monkeypatch: pytest.MonkeyPatch) -> None:
    """In all to within what one spin may carry; each spin ends with a tick of the clock."""
    clock = Clock()
    monkeypatch.setattr(timed_model, "time", clock)
    slowed, plain = (TimedModel("a", Arm("", slowdown=share), {}, 1, spinning=False) for share in (0.5, 0.0))
    for model in (slowed, plain):
        model._session = clock
    times_ns = [1e6 * ms for ms in slowed.slot(Slot(100, 0.0))]
    assert times_ns == pytest.approx([1.5 * clock.OWN_NS] * 100, abs=clock.TICK_NS)
    assert 0 <= sum(times_ns) - 1.5 * clock.OWN_NS * 100 <= timed_model.MOST_CARRIED_NS
    assert slowed.realised == pytest.approx([0.5], abs=clock.TICK_NS / clock.OWN_NS)
    assert plain.slot(Slot(100, 0.0)) == pytest.approx([clock.OWN_NS / 1e6] * 100)
    assert plain.realised == []


def test_a_worker_says_what_was_spun_of_the_arms_that_were_slowed_down(model: Path, feed: str) -> None:
    arms = {"dense": Arm(str(model), slowdown=0.5), "exported": Arm(str(model))}
    answer = LOCAL.ask(BlocksRequest(arms, feed, blocks=2, slot=Slot(5, 5.0)), LONG_S)
    assert list(answer.slowdown) == ["dense"]
    assert answer.slowdown["dense"] > 0


def test_a_spin_that_was_interrupted_saves_the_next_ones_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1_000_000, *range(0, 10_000_000, 100)])
    monkeypatch.setattr(timed_model, "time", SimpleNamespace(perf_counter_ns=lambda: next(clock)))
    arm = TimedModel("a", Arm("", slowdown=0.05), {}, 1, spinning=False)
    assert arm._spin(0, 400_000) == 1_000_000  # 20 µs were wanted, and the CPU was away for 1 ms
    assert arm._spin(0, 400_000) == 18_000
    assert arm._spin(100, 400_000) == pytest.approx(20_100, abs=100)


def test_a_worker_loads_one_model_in_an_idle_runtime(model: Path, feed: str) -> None:
    answer = LOCAL.ask(LoadRequest({"a": Arm(str(model))}, feed), LONG_S)
    assert answer.load_ms > 0
    assert answer.first_inference_ms > 0
    assert answer.peak_memory_bytes is None or answer.peak_memory_bytes >= 0


def test_a_worker_imports_nothing_of_the_users(
    model: Path, feed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random.py", "edgeticket.py"):
        (tmp_path / name).write_text("raise SystemExit('the user's own')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # and it finds this package all the same
    assert LOCAL.ask(LoadRequest({"a": Arm(str(model))}, feed), LONG_S).load_ms > 0


def test_the_host_is_named_the_same_every_time() -> None:
    first, second = checks.host(), checks.host()
    assert first == second
    assert first["cores"] >= 1
    assert len(first["fingerprint"]) == 12


def test_a_check_that_stands_alone_names_the_cpu_provider_alike() -> None:
    assert checks.CPU_PROVIDER == CPU_PROVIDER
