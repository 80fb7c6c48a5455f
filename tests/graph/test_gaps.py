"""gaps.py: what is packed comes back, bit by bit, and takes the bytes it was promised to take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from unpacked import from_gaps, from_packed

from edgeticket.graph.storing import gaps
from edgeticket.graph.storing.gaps import Array


def _without_negative_zero(vector: Array) -> Array:
    return np.where(vector == 0, np.zeros_like(vector), vector)


def _same_bits(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@st.composite
def vectors(draw: st.DrawFn) -> Array:
    """Vectors with runs of zeros of any length, over the types that rest on disk."""
    dtype = draw(st.sampled_from([np.float32, np.float16, np.int8]))
    size = draw(st.one_of(st.integers(0, 40), st.integers(0, 3000)))
    vector = np.zeros(size, dtype)
    if size:
        for position in draw(st.lists(st.integers(0, size - 1), max_size=30)):
            vector[position] = draw(hnp.from_dtype(np.dtype(dtype)))
    return vector


@given(vectors())
def test_gaps_round_trip(vector: Array) -> None:
    stored = gaps.to_gaps(vector)
    assert _same_bits(from_gaps(stored), _without_negative_zero(vector))
    apart = np.diff(np.flatnonzero(vector), prepend=0)
    assert len(stored.gaps) == len(stored.values) == sum(max(1, math.ceil(gap / 255)) for gap in apart)


@given(vectors(), st.one_of(st.none(), st.integers(0, gaps.MOST_LOW_BITS)))
def test_packed_round_trip(vector: Array, low_bits: int | None) -> None:
    stored = gaps.to_packed(vector, low_bits)
    assert _same_bits(from_packed(stored), _without_negative_zero(vector))
    steps = [math.ceil(gap / 2**stored.low_bits) for gap in np.diff(np.flatnonzero(vector), prepend=0)]
    bits = sum(steps) + 1 + len(steps) * stored.low_bits
    assert len(stored.stream) == (math.ceil(bits / 8) if steps else 0)
    assert stored.bitmap_bits >= 0


@given(vectors())
def test_the_best_number_of_low_bits_is_the_best(vector: Array) -> None:
    best = len(gaps.to_packed(vector).stream)
    assert best == min(len(gaps.to_packed(vector, k).stream) for k in range(gaps.MOST_LOW_BITS + 1))


@pytest.mark.parametrize(
    ("position", "expected"),
    [(0, [0]), (1, [1]), (254, [254]), (255, [255]), (256, [255, 1]), (510, [255, 255]), (511, [255, 255, 1])],
)
def test_a_gap_above_255_takes_fillers(position: int, expected: list[int]) -> None:
    vector = np.zeros(600, np.float32)
    vector[position] = 3
    stored = gaps.to_gaps(vector)
    assert stored.gaps.tolist() == expected
    assert stored.values.tolist() == [0] * (len(expected) - 1) + [3]


@pytest.mark.parametrize("size", [0, 1, 300])
def test_nothing_but_zeros_takes_nothing(size: int) -> None:
    vector = np.zeros(size, np.float32)
    assert len(gaps.to_gaps(vector).gaps) == 0
    assert len(gaps.to_packed(vector).stream) == 0
    assert from_gaps(gaps.to_gaps(vector)).tolist() == vector.tolist()
    assert from_packed(gaps.to_packed(vector)).tolist() == vector.tolist()


def test_no_zeros_is_a_bitmap_of_ones() -> None:
    vector = np.arange(1, 17, dtype=np.float32)
    stored = gaps.to_packed(vector)
    assert (stored.low_bits, stored.stream.tolist()) == (0, [255, 255])


def test_negative_zero_is_flushed_and_nan_kept() -> None:
    vector = np.array([-0.0, 1.0, np.nan, -np.inf, -0.0], np.float32)
    for back in (from_gaps(gaps.to_gaps(vector)), from_packed(gaps.to_packed(vector))):
        assert back.tobytes() == np.array([0.0, 1.0, np.nan, -np.inf, 0.0], np.float32).tobytes()


def test_low_bits_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="low_bits is 9"):
        gaps.to_packed(np.ones(3, np.float32), 9)


@pytest.mark.parametrize("density", [0.005, 0.01, 0.035, 0.1, 0.2])
def test_packed_positions_are_near_the_entropy(density: float) -> None:
    size = 200_000
    vector = np.zeros(size, np.float32)
    vector[np.random.default_rng(0).permutation(size)[: int(density * size)]] = 1
    n = np.count_nonzero(vector)
    entropy_bits = (math.lgamma(size + 1) - math.lgamma(n + 1) - math.lgamma(size - n + 1)) / math.log(2)
    assert entropy_bits <= 8 * len(gaps.to_packed(vector).stream) <= entropy_bits + 0.2 * n
