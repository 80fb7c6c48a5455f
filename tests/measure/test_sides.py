"""The exported model beside every form of the dense one: the fastest form is "dense", and one file is measured once."""

from __future__ import annotations

import numpy as np
import pytest
from fake_hosts import FakeHost

from edgeticket.engine import EP_NAME
from edgeticket.measure import sides
from edgeticket.measure.measurement import speed
from edgeticket.measure.protocol import BlocksAnswer, BlocksRequest, LoadAnswer, LoadRequest, TimedBlock

FEED = {"x": np.ones((1, 4), np.float32)}
SPEEDS = {"dense": 3.0, "dense, fixed": 2.0, "exported": 4.0}


def answered(request: BlocksRequest | LoadRequest, limit_s: float) -> BlocksAnswer | LoadAnswer:
    """Eight blocks in which each model takes its time, drifting; the engine takes half of it."""
    if isinstance(request, LoadRequest):
        [name] = request.arms
        return LoadAnswer(SPEEDS[name.split(" on ")[0]], 1.0, 100)
    blocks = []
    for number in range(8):
        ms = {
            name: SPEEDS[name.split(" on ")[0]] * (0.5 if arm.provider == EP_NAME else 1) * (1 + number)
            for name, arm in request.arms.items()
        }
        blocks.append(TimedBlock(ms, None, {name: (each,) for name, each in ms.items()}))
    return BlocksAnswer(tuple(blocks))


def measured(exported: bytes) -> sides.Sides:
    return sides.measure({"passes": b"a", "fixed": b"b"}, exported, FEED, sparse=True, host=FakeHost(answered))


def test_the_fastest_form_is_dense() -> None:
    found = measured(b"c")
    assert found.best == "fixed"
    assert found.forms == {"passes": 13.5, "fixed": 9.0}
    dense, here = found.profile.get("latency", "dense"), found.profile.get("latency", "exported")
    engine = found.profile.get("latency", "exported", 1, "sparse")
    assert dense is not None
    assert here is not None
    assert engine is not None
    assert {m.model for m in found.profile.measurements} == {"dense", "exported"}
    ratio = speed(here, dense)  # the drift is in both and leaves the ratio alone
    assert (ratio.low, ratio.estimate, ratio.high) == (0.5, 0.5, 0.5)
    assert ratio.seen
    assert speed(engine, dense).estimate == 1


def test_one_file_is_measured_once_and_its_ratio_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPEEDS, "dense", 1.0)
    found = measured(b"a")
    assert found.best == "passes"
    for what in ("latency", "load", "first-inference", "peak-memory"):
        dense, here = found.profile.get(what, "dense"), found.profile.get(what, "exported")
        assert dense is not None
        assert here is not None
        assert dense.samples == here.samples
        assert speed(here, dense).same
    assert found.profile.get("latency", "exported", 1, "sparse") is not None


def test_a_faster_form_still_counts_where_the_file_is_one_of_the_others() -> None:
    found = measured(b"a")
    dense, here = found.profile.get("latency", "dense"), found.profile.get("latency", "exported")
    assert dense is not None
    assert here is not None
    assert found.best == "fixed"
    assert not speed(here, dense).same
    assert speed(here, dense).estimate < 1
