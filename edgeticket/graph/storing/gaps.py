"""Sparse vectors as values and positions, in numpy: two ways, both undone by standard ONNX operators.

uint8 gaps
    position[i] = gap[0] + ... + gap[i]. A gap above 255 takes an entry on the way (a filler), whose value is the one
    that the vector has there anyway.
    8 bits an entry, and a value for each filler. Undone by Cast and CumSum.

packed (Golomb-Rice; R. F. Rice and J. R. Plaunt, IEEE Trans. Communication Technology 19, 1971)
    A gap takes steps[i] = ceil(gap[i] / 2**k) steps of 2**k, less a low part of k bits, so that positions need no
    fillers. Steps stand in unary: a bitmap whose i-th one is bit u[i] = steps[0] + ... + steps[i]; low parts stand
    behind it, side by side.
        position[i] = u[i] * 2**k - (low[0] + ... + low[i]).
    For random positions within a tenth of a bit of the entropy where the density is low; k = 0 is the plain bitmap.
    Undone by BitShift, Mod, TopK (which breaks ties by the lower index), MatMulInteger and CumSum.

What is stored is what differs from a base: 0 unless the caller gives the positions that are to be stored. Then the
vector comes back bit by bit, negative zeros, NaN and infinities among them, where the base has the other elements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Positions = NDArray[np.int64]

LARGEST_GAP = 255
MOST_LOW_BITS = 8  # the weights 128 ... 1 that join them are uint8
_CHUNK = 1 << 15  # gaps that are looked at at once


@dataclass(frozen=True)
class Gaps:
    """values [n] of the vector's type, gaps [n] uint8; n counts the fillers. `size` is the vector's length."""

    values: Array
    gaps: NDArray[np.uint8]
    size: int


@dataclass(frozen=True)
class Packed:
    """values [n] of the vector's type, and their positions in `stream`: bitmap, then n * low_bits low bits.

    Bits run from the highest of each byte to its lowest, a low part's highest bit first. What is left over to the
    next whole byte is zeros at the bitmap's end: bitmap_bits + n * low_bits = 8 * len(stream).
    """

    values: Array
    stream: NDArray[np.uint8]
    low_bits: int
    size: int

    @property
    def bitmap_bits(self) -> int:
        """The length of the unary part, its padding included."""
        return 8 * len(self.stream) - len(self.values) * self.low_bits


def to_gaps(vector: Array, positions: Positions | None = None) -> Gaps:
    """A vector [size] as values and uint8 gaps. `positions`, rising, are those to store: else where it is not 0."""
    over_zeros = positions is None
    if positions is None:
        positions = np.flatnonzero(vector)
    gaps = np.diff(positions, prepend=0)
    fillers = np.maximum(gaps - 1, 0) // LARGEST_GAP  # before each entry; a gap of exactly 255 needs none
    ends = np.cumsum(fillers + 1) - 1
    length = int(ends[-1]) + 1 if len(ends) else 0
    stored_gaps = np.full(length, LARGEST_GAP, np.uint8)
    stored_gaps[ends] = gaps - fillers * LARGEST_GAP
    values = vector[np.cumsum(stored_gaps, dtype=np.int64)]
    if over_zeros:
        values[np.setdiff1d(np.arange(length), ends)] = 0  # no negative zero
    return Gaps(values, stored_gaps, vector.size)


def from_gaps(stored: Gaps, base: Array | None = None) -> Array:
    """The vector [size], over `base` or zeros."""
    vector = np.zeros(stored.size, stored.values.dtype) if base is None else base.copy()
    vector[np.cumsum(stored.gaps, dtype=np.int64)] = stored.values
    return vector


def gaps_entries(positions: Positions) -> int:
    """How many entries `to_gaps` would store, fillers included."""
    return len(positions) + int(np.sum(np.maximum(np.diff(positions, prepend=0) - 1, 0) // LARGEST_GAP))


def to_packed(vector: Array, low_bits: int | None = None, positions: Positions | None = None) -> Packed:
    """A vector [size] as values and packed positions, with the number of low bits that takes the fewest bytes.

    `positions`, rising, are those to store: else where the vector is not 0.

    Raises:
        ValueError: `low_bits` is not within 0 ... 8.
    """
    if positions is None:
        positions = np.flatnonzero(vector)
    if low_bits is None:
        low_bits, _ = shortest(positions)
    if not 0 <= low_bits <= MOST_LOW_BITS:
        raise ValueError(f"low_bits is {low_bits}, not within 0 ... {MOST_LOW_BITS}")
    gaps = np.diff(positions, prepend=0)
    steps = _steps(gaps, low_bits)
    low = (steps << low_bits) - gaps
    bits = np.zeros(8 * packed_bytes(positions, low_bits), np.uint8)
    bits[np.cumsum(steps)] = 1
    shifts = np.arange(low_bits - 1, -1, -1)
    bits[len(bits) - len(gaps) * low_bits :] = ((low[:, None] >> shifts) & 1).reshape(-1)
    return Packed(vector[positions], np.packbits(bits), low_bits, vector.size)


def from_packed(stored: Packed, base: Array | None = None) -> Array:
    """The vector [size], over `base` or zeros."""
    n, k = len(stored.values), stored.low_bits
    bits = np.unpackbits(stored.stream)
    unary = np.flatnonzero(bits[: stored.bitmap_bits])
    low = bits[stored.bitmap_bits :].reshape(n, k).astype(np.int64) @ (1 << np.arange(k - 1, -1, -1))
    vector = np.zeros(stored.size, stored.values.dtype) if base is None else base.copy()
    vector[(unary << k) - np.cumsum(low)] = stored.values
    return vector


def packed_bytes(positions: Positions, low_bits: int) -> int:
    """The length of the stream of `to_packed`."""
    return _bytes_of(np.diff(positions, prepend=0), low_bits)


def shortest(positions: Positions) -> tuple[int, int]:
    """The number of low bits for the shortest stream, the smaller of equals, and the bytes of that stream."""
    if not len(positions):
        return 0, 0
    choices = np.arange(MOST_LOW_BITS + 1)
    steps = np.zeros(len(choices), np.int64)
    gaps = positions.copy()
    gaps[1:] -= positions[:-1]
    for start in range(0, len(gaps), _CHUNK):
        steps += _steps(gaps[start : start + _CHUNK], choices[:, None]).sum(axis=1)
    sizes = -(-(steps + 1 + len(gaps) * choices) // 8)
    low_bits = int(np.argmin(sizes))
    return low_bits, int(sizes[low_bits])


def _bytes_of(gaps: Positions, low_bits: int) -> int:
    if len(gaps) == 0:
        return 0
    last = int(_steps(gaps, low_bits).sum())
    return -(-(last + 1 + len(gaps) * low_bits) // 8)


def _steps(gaps: Positions, low_bits: int | Positions) -> Positions:
    """ceil(gap / 2**low_bits), at least 1 but for a first gap of 0."""
    return -(-gaps >> low_bits)
