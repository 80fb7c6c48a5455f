"""Measuring in fresh processes: what is answered, in what order things are timed, and what a failure becomes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_artifacts

from edgeticket.measure import checks, latency, worker

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


def ask(request: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(latency.COMMAND, input=json.dumps(request), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_worker_times_every_model_in_every_block(model: Path, feed: str) -> None:
    models = {"dense": str(model), "exported": str(model)}
    answer = ask({"kind": "latency", "models": models, "feed": feed, "threads": 1, "seed": 1, "limit_s": 0.0})
    assert set(answer["samples_ms"]) == set(models)
    for blocks in answer["samples_ms"].values():
        assert len(blocks) == 3  # the time is over at once, and three blocks are made all the same
        assert all(worker.SLOT_RUNS <= len(block) <= worker.SLOT_MOST for block in blocks)
        assert all(sample > 0 for block in blocks for sample in block)


def test_the_models_take_turns_in_random_order(model: Path, feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(checks, "session", lambda path, threads: Path(path).stem)

    def slot(running: str, _: checks.Feed) -> list[float]:
        turns.append(running)
        return [1.0]

    monkeypatch.setattr(worker, "_slot", slot)
    models = {"a": "a.onnx", "b": "b.onnx"}
    worker.latency({"models": models, "feed": feed, "threads": 1, "seed": 0, "limit_s": 60.0})
    pairs = [tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert len(pairs) == worker.BLOCKS
    assert set(pairs) == {("a", "b"), ("b", "a")}


def test_a_worker_loads_one_model_in_an_idle_runtime(model: Path, feed: str) -> None:
    answer = ask({"kind": "load", "model": str(model), "feed": feed, "threads": 1})
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
    assert ask({"kind": "load", "model": str(model), "feed": feed, "threads": 1})["load_ms"] > 0


def test_the_method_says_on_what_was_measured(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_ask", lambda *_: {"samples_ms": {"dense": [[1.0]]}})
    monkeypatch.setattr(latency, "_loads", lambda *_: [])
    method = latency.measure({"dense": b""}, {"x": np.ones((8, 64), np.float32)}).measurements[0].method
    assert method.endswith("input 'x' of 8×64")
    assert "batch 1" not in method
    assert f"until {worker.SLOT_MS:.0f} ms or {worker.SLOT_MOST} inferences" in method
