"""Measuring in fresh processes: what is answered, in what order things are timed, and what a failure becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_artifacts

from edgeticket.artifact import checks
from edgeticket.measure import duel, latency, worker
from edgeticket.measure.process import ask

FEED: checks.Feed = {"x": np.ones((1, 64), np.float32)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_artifacts.onnx_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("feed") / "feed.npz"
    arrays: dict[str, Any] = {"names": np.array(json.dumps(["x"])), "input.0": FEED["x"]}
    np.savez(path, **arrays)
    return str(path)


def blocks(model: Path, feed: str, **changes: Any) -> dict[str, Any]:
    """A request for two arms of the same model."""
    arms = {name: duel.Arm(str(model)) for name in ("dense", "exported")}
    return duel.blocks_request(arms, feed, 1, 1, **{"blocks": 2, "slot": {"runs": 3, "ms": 0.1, "most": 5}, **changes})


def test_a_worker_times_every_model_in_every_block(model: Path, feed: str) -> None:
    answer = ask(blocks(model, feed, blocks=9, limit_s=0.0, samples=True), 60)
    assert len(answer["blocks"]) == 3  # the time is over at once, and three blocks are made all the same
    for block in answer["blocks"]:
        assert set(block["samples_ms"]) == {"dense", "exported"}
        for name, samples in block["samples_ms"].items():
            assert 3 <= len(samples) <= 5
            assert min(samples) > 0
            assert block["ms"][name] == np.median(samples)


def test_a_slot_lasts_as_long_as_it_must(model: Path, feed: str) -> None:
    answer = ask(blocks(model, feed, blocks=1, slot={"runs": 5, "ms": 3.0, "most": None}, samples=True), 60)
    assert all(sum(samples) >= 3.0 for samples in answer["blocks"][0]["samples_ms"].values())


def test_models_are_loaded_anew_in_every_block_where_that_is_asked(model: Path, feed: str) -> None:
    slot = {"runs": 5, "ms": 20.0, "most": None}
    assert ask(blocks(model, feed, blocks=3, slot=slot, reload=True), 60)["placements"] == 3
    assert ask(blocks(model, feed, blocks=3, reload=False), 60)["placements"] == 1


def test_the_models_take_turns_in_random_order(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(worker.Arm, "load", lambda arm: arm.loads_ms.append(0.0) or arm.firsts_ms.append(0.0))
    monkeypatch.setattr(worker.Arm, "slot", lambda arm, *_: turns.append(arm.name) or [1.0])
    worker.blocks(blocks(Path("a.onnx"), feed, blocks=15, cpus=None))
    pairs = [tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert len(pairs) == 15
    assert set(pairs) == {("dense", "exported"), ("exported", "dense")}


def test_a_slow_down_is_spun_in_the_timed_slot_and_realised(model: Path, feed: str) -> None:
    request = blocks(model, feed, slot={"runs": 5, "ms": 5.0, "most": None})
    request["arms"]["dense"]["slowdown"] = 0.5
    (realised,) = ask(request, 60)["slowdown"].values()
    assert realised >= 0.4999  # more where the machine is busy


def test_a_spin_that_was_interrupted_saves_the_next_ones_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1_000_000, *range(0, 10_000_000, 100)])
    monkeypatch.setattr("edgeticket.measure.worker.time.perf_counter_ns", lambda: next(clock))
    arm = worker.Arm("a", {"path": "", "slowdown": 0.05}, {}, 1, spinning=False)
    assert arm._spin(0, 400_000) == 1_000_000  # 20 µs were wanted, and the CPU was away for 1 ms
    assert arm._spin(0, 400_000) == 18_000
    assert arm._spin(100, 400_000) == pytest.approx(20_100, abs=100)


def test_a_worker_loads_one_model_in_an_idle_runtime(model: Path, feed: str) -> None:
    answer = ask({"kind": "load", "arms": {"a": {"path": str(model)}}, "feed": feed, "threads": 1}, 60)
    assert answer["load_ms"] > 0
    assert answer["first_inference_ms"] > 0
    assert answer["peak_memory_bytes"] is None or answer["peak_memory_bytes"] >= 0


def test_a_model_that_cannot_be_run_is_reported_not_raised() -> None:
    bench = latency.measure({"dense": b"\x08\x09 no model"}, FEED)
    assert bench.measurements == ()
    assert any("latency at 1 thread:" in failure and "not measured" in failure for failure in bench.failures)
    assert any("load time of dense" in failure for failure in bench.failures)


def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(latency, "TIMEOUT_S", 0.01)
    bench = latency.measure({"dense": model.read_bytes()}, FEED)
    assert bench.measurements == ()
    assert all("no answer within" in failure for failure in bench.failures)


def test_the_host_is_named_the_same_every_time() -> None:
    first, second = checks.host(), checks.host()
    assert first == second
    assert first["cores"] >= 1
    assert len(first["fingerprint"]) == 12


def test_a_worker_imports_nothing_of_the_users(
    model: Path, feed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random.py", "edgeticket.py"):
        (tmp_path / name).write_text("raise SystemExit('the user's own')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # and it finds this package all the same
    assert ask({"kind": "load", "arms": {"a": {"path": str(model)}}, "feed": feed, "threads": 1}, 60)["load_ms"] > 0


def test_the_method_says_on_what_was_measured(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_asked", lambda *_: {"blocks": [{"samples_ms": {"dense": [1.0]}}]})
    monkeypatch.setattr(latency, "_loads", lambda *_: [])
    method = latency.measure({"dense": b""}, {"x": np.ones((8, 64), np.float32)}).measurements[0].method
    assert method.endswith("input 'x' of 8×64")
    assert "batch 1" not in method
    assert f"until {latency.SLOT['ms']:.0f} ms or {latency.SLOT['most']} inferences" in method
