"""What ONNX Runtime makes of stored vectors, in numpy: the other way round of gaps.py and ranks.py."""

from __future__ import annotations

import numpy as np

from edgeticket.graph.storing.gaps import Array, Gaps, Packed, Positions
from edgeticket.graph.storing.ranks import Ranked


def from_gaps(stored: Gaps) -> Array:
    """The vector [size]."""
    vector = np.zeros(stored.size, stored.values.dtype)
    vector[np.cumsum(stored.gaps, dtype=np.int64)] = stored.values
    return vector


def from_packed(stored: Packed) -> Array:
    """The vector [size]."""
    vector = np.zeros(stored.size, stored.values.dtype)
    vector[_numbers(stored)[0]] = stored.values
    return vector


def ranks_of(stored: Packed) -> Positions:
    """The ranks [n] that stand in the stream."""
    assert stored.ranks != "none"
    return _numbers(stored)[1]


def _numbers(stored: Packed) -> tuple[Positions, Positions]:
    """positions [n] and ranks [n or 0]."""
    n, k = len(stored.values), stored.low_bits
    bits = np.unpackbits(stored.stream)
    unary = np.flatnonzero(bits[: stored.bitmap_bits])
    low = (1 << np.arange(k - 1, -1, -1)) @ bits[stored.bitmap_bits :].reshape(k, stored.lows).astype(np.int64)
    sums = (unary[: stored.lows] << k) - np.cumsum(low)
    if not n or stored.ranks == "none":
        return sums[:n], sums[:0]
    return sums[:n], np.diff(sums if stored.ranks == "same code" else unary)[n - 1 :]


def values_of(stored: Ranked, dtype: np.dtype[np.generic]) -> Array:
    """The values [n]."""
    factors = stored.table[-(-stored.ranks // stored.in_a_row)]
    if stored.format is None or stored.high is None:
        return factors
    y = stored.high.astype(np.float32) * np.float32(1 << stored.format.below)
    if stored.low is not None:
        y = y + stored.low.astype(np.float32)
    elif stored.in_a_row > 1:
        y = y + (stored.ranks % stored.in_a_row).astype(np.float32)
    middle = np.float32(stored.format.middle)
    signed = y - middle
    numbers: Array = (factors.astype(np.float32) * (signed + np.sign(signed) * middle)).astype(dtype)
    return numbers
