"""A measurement is samples, never a bare float."""

from __future__ import annotations

import math

import pytest

from edgeticket.measure.measurement import Measurement, speed


def latency(*samples: float) -> Measurement:
    return Measurement("latency", "dense", 1, "ms", samples, "by hand", "host")


def test_percentiles_are_nearest_rank() -> None:
    measured = latency(*range(1, 201))
    assert (measured.median, measured.percentile(90), measured.percentile(99)) == (100.5, 180, 198)


def test_a_percentile_needs_a_sample_beyond_it() -> None:
    assert latency(*range(99)).percentile(99) is None
    assert latency(*range(100)).percentile(99) == 98
    assert latency(1.0, 2.0).percentile(50) == 1.0
    assert latency(1.0).percentile(50) is None


@pytest.mark.parametrize("samples", [(), (1.0, math.nan), (math.inf,)])
def test_no_measurement_without_finite_samples(samples: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="finite samples"):
        latency(*samples)


def test_a_ratio_comes_from_paired_blocks_and_says_whether_it_is_seen() -> None:
    def timed(*blocks: float) -> Measurement:
        return Measurement("latency", "dense", 1, "ms", blocks, "by hand", "host", "cpu", blocks)

    drifting = tuple(1.0 + 0.1 * number for number in range(10))
    twice = timed(*(2 * each for each in drifting))
    assert speed(timed(*drifting), twice).estimate == pytest.approx(2)
    assert speed(timed(*drifting), twice).seen
    noisy = timed(*(each * (1.01 if number % 2 else 0.99) for number, each in enumerate(drifting)))
    assert not speed(timed(*drifting), noisy).seen
    assert speed(timed(*drifting), timed(*drifting)).same
    few = speed(timed(1.0, 1.0), timed(2.0, 2.1))
    assert (few.low, few.high) == (0.0, math.inf)
    assert not few.seen
