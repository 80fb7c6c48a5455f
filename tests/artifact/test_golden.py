"""What becomes a golden input, and what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sample_artifacts

from edgeticket.artifact import golden
from edgeticket.ticket import store


def test_denormals_are_no_golden_inputs() -> None:
    tiny = np.float32(1e-40)
    feeds = [
        {"x": np.array([1, tiny, -tiny], np.float32)},
        {"x": np.full(3, tiny)},
        {"x": np.zeros(3, np.float32)},
        {"x": np.arange(3)},
    ]
    kept = [feed["x"].tolist() for feed in golden.inputs_from_feeds(feeds)]
    assert kept == [[1, 0, 0], [0, 0, 0], [0, 1, 2]]
    assert feeds[0]["x"][1] == tiny


@pytest.mark.parametrize(("dtype", "denormal"), [(np.float16, 1e-6), (np.float32, 1e-39), (np.float64, 1e-310)])
def test_what_counts_as_denormal_follows_the_type(dtype: type, denormal: float) -> None:
    normal = np.finfo(dtype).smallest_normal
    array = np.array([denormal, normal, -normal, 0, np.inf], dtype)
    found = golden.flushed(array)
    assert found.dtype == array.dtype
    assert found.tolist() == [0, normal, -normal, 0, np.inf]


def test_golden_inputs_of_a_ticket_are_spread_and_flushed(tmp_path: Path) -> None:
    ticket = store.read_ticket(sample_artifacts.ticket(tmp_path / "t"))
    ticket.test.inputs[:, 0] = 1e-40
    [feed] = golden.inputs_from_ticket(ticket, "x", 64)
    assert feed["x"].shape == (16, 64)
    assert not feed["x"][:, 0].any()
    assert np.array_equal(feed["x"][-1, 1:], ticket.test.inputs[-1, 1:])


def test_what_does_not_fit_is_left_out() -> None:
    feeds = [{"x": np.ones(count, np.float32)} for count in (300, 100, 200, 50)]
    assert [len(feed["x"]) for feed in golden.inputs_from_feeds(feeds, 4 * 450)] == [300, 100, 50]
