"""Profiles: measured side by side in fresh processes, with the method in words and failures as sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_hosts import LONG_S, FakeHost

from edgeticket.artifact import checks
from edgeticket.engine import EP_NAME
from edgeticket.measure import profile
from edgeticket.measure.protocol import BlocksAnswer, BlocksRequest, LoadAnswer, LoadRequest, TimedBlock

FEED: checks.Feed = {"x": np.ones((1, 64), np.float32)}


def test_a_model_that_cannot_be_run_is_reported_not_raised() -> None:
    found = profile.measure({"dense": b"\x08\x09 no model"}, FEED)
    assert found.measurements == ()
    assert any("latency at 1 thread:" in failure and "not measured" in failure for failure in found.failures)
    assert any("load time of dense" in failure for failure in found.failures)


def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(profile, "TIMEOUT_S", 0.01)
    found = profile.measure({"dense": model.read_bytes()}, FEED)
    assert found.measurements == ()
    assert all("no answer within" in failure for failure in found.failures)


def answered(request: BlocksRequest | LoadRequest, limit_s: float) -> BlocksAnswer | LoadAnswer:
    """One block of 2 ms on the CPU provider and 1 ms on another; loads take 3 ms, and nobody tells memory."""
    if isinstance(request, LoadRequest):
        return LoadAnswer(3.0, 4.0, None)
    assert (request.spinning, request.samples, request.reload, request.pin) == (True, True, True, False)
    assert limit_s < LONG_S
    samples = {name: (1.0 if arm.provider == EP_NAME else 2.0,) for name, arm in request.arms.items()}
    return BlocksAnswer((TimedBlock({name: ms for name, (ms,) in samples.items()}, None, samples),))


def test_answers_are_filed_by_model_and_provider() -> None:
    found = profile.measure({"dense": b"", "exported": b""}, FEED, sparse=("exported",), host=FakeHost(answered))
    assert found.failures == ()
    cases = (("dense", "cpu", 2.0), ("exported", "cpu", 2.0), ("exported", "sparse", 1.0))
    for model, provider, ms in cases:
        latency, load = (found.get(what, model, 1, provider) for what in ("latency", "load"))
        assert latency is not None
        assert load is not None
        assert (latency.samples, load.samples) == ((ms,), (3.0,) * profile.LOADS)
    assert found.get("latency", "dense", 1, "sparse") is None
    assert found.get("peak-memory", "dense") is None


def test_the_method_says_on_what_was_measured() -> None:
    eight = {"x": np.ones((8, 64), np.float32)}
    method = profile.measure({"dense": b""}, eight, loads=False, host=FakeHost(answered)).measurements[0].method
    assert method.endswith("input 'x' of 8×64")
    assert "batch 1" not in method
    assert f"until {profile.SLOT.ms:.0f} ms or {profile.SLOT.most} inferences" in method
