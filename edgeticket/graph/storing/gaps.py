"""Sparse vectors as values and positions, in numpy: two ways, both undone by standard ONNX operators.

uint8 gaps
    position[i] = gap[0] + ... + gap[i]. A gap above 255 takes an entry on the way (a filler), whose value is the one
    that the vector has there anyway.
    8 bits an entry, and a value for each filler. Undone by Cast and CumSum.

packed (Golomb-Rice; R. F. Rice and J. R. Plaunt, IEEE Trans. Communication Technology 19, 1971)
    A gap takes steps[i] = ceil(gap[i] / 2**k) steps of 2**k, less a low part of k bits, so that positions need no
    fillers. Steps stand in unary: a bitmap whose i-th one is bit u[i] = steps[0] + ... + steps[i]; low parts stand
    behind it, first the highest bits of all, then the next: ONNX Runtime joins these 20 times faster than bits that
    stand side by side.
        position[i] = u[i] * 2**k - (low[0] + ... + low[i]).
    For random positions within a tenth of a bit of the entropy where the density is low; k = 0 is the plain bitmap.
    Undone by BitShift, Mod, TopK (which breaks ties by the lower index), MatMulInteger and CumSum.
    A small number for each entry, its rank (ranks.py), may stand in the same stream behind the gaps, in the same code
    or in unary alone.

What is stored is what differs from a base: 0 unless the caller gives the positions that are to be stored. Then the
vector comes back bit by bit, negative zeros, NaN and infinities among them, where the base has the other elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Positions = NDArray[np.int64]
Ranks = Literal["none", "unary", "same code"]

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
    """values [n] of the vector's type, and their positions in `stream`: bitmap, then low_bits planes of low bits.

    Bits run from the highest of each byte to its lowest, the plane of the highest low bits first. What is left over to
    the next whole byte is zeros at the bitmap's end: bitmap_bits + lows * low_bits = 8 * len(stream).
    """

    values: Array
    stream: NDArray[np.uint8]
    low_bits: int
    size: int
    ranks: Ranks = "none"

    @property
    def lows(self) -> int:
        """How many numbers have a low part: the gaps, and the ranks that are in the same code."""
        return len(self.values) * (2 if self.ranks == "same code" else 1)

    @property
    def bitmap_bits(self) -> int:
        """The length of the unary part, its padding included."""
        return 8 * len(self.stream) - self.lows * self.low_bits


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


def to_packed(vector: Array, low_bits: int | None = None, positions: Positions | None = None) -> Packed:
    """A vector [size] as values and packed positions, with the number of low bits that takes the fewest bytes.

    `positions`, rising, are those to store: else where the vector is not 0.

    Raises:
        ValueError: `low_bits` is not within 0 ... 8.
    """
    if low_bits is not None and not 0 <= low_bits <= MOST_LOW_BITS:
        raise ValueError(f"low_bits is {low_bits}, not within 0 ... {MOST_LOW_BITS}")
    if positions is None:
        positions = np.flatnonzero(vector)
    return _packed(vector[positions], np.diff(positions, prepend=0), None, vector.size, low_bits)


def with_ranks(stored: Packed, positions: Positions, ranks: Positions) -> Packed:
    """The same entries, whose `positions` are known, with a rank [n] for each, at least 1, in the stream."""
    return _packed(stored.values, np.diff(positions, prepend=0), ranks, stored.size, None)


def _packed(values: Array, gaps: Positions, ranks: Positions | None, size: int, low_bits: int | None) -> Packed:
    low_bits, form = _form(gaps, ranks, low_bits)
    numbers = np.concatenate([gaps, ranks]) if ranks is not None and form == "same code" else gaps
    steps = _steps(numbers, low_bits)
    low = (steps << low_bits) - numbers
    if ranks is not None and form == "unary":
        steps = np.concatenate([steps, ranks])
    ends = np.cumsum(steps)
    bits = np.zeros(-(-(int(ends[-1]) + 1 + low.size * low_bits) // 8) * 8 if len(gaps) else 0, np.uint8)
    bits[ends] = 1
    shifts = np.arange(low_bits - 1, -1, -1)
    bits[len(bits) - low.size * low_bits :] = ((low >> shifts[:, None]) & 1).reshape(-1)
    return Packed(values, np.packbits(bits), low_bits, size, form)


def _form(gaps: Positions, ranks: Positions | None, low_bits: int | None) -> tuple[int, Ranks]:
    """The number of low bits, and the form of the ranks, for the shortest stream."""
    choices = range(MOST_LOW_BITS + 1) if low_bits is None else [low_bits]
    sizes: dict[tuple[int, Ranks], int] = {}
    for k, size in zip(choices, _bits_of(gaps, choices), strict=True):
        if ranks is None:
            sizes[k, "none"] = size
            continue
        sizes[k, "unary"] = size + int(ranks.sum())
        if k:
            sizes[k, "same code"] = size + _bits_of(ranks, [k])[0]
    return min(sizes, key=sizes.__getitem__)


def shortest(positions: Positions) -> tuple[int, int]:
    """The number of low bits for the shortest stream, the smaller of equals, and the bytes of that stream."""
    if not len(positions):
        return 0, 0
    gaps = positions.copy()
    gaps[1:] -= positions[:-1]
    sizes = [-(-(bits + 1) // 8) for bits in _bits_of(gaps, range(MOST_LOW_BITS + 1))]
    return sizes.index(min(sizes)), min(sizes)


def _bits_of(numbers: Positions, choices: Sequence[int]) -> list[int]:
    """The bits of gaps or ranks for each number of low bits, without the padding at the end."""
    low_bits = np.array(choices, np.int64)
    steps = np.zeros(len(low_bits), np.int64)
    for start in range(0, len(numbers), _CHUNK):
        steps += _steps(numbers[start : start + _CHUNK], low_bits[:, None]).sum(axis=1)
    return [int(bits) for bits in steps + len(numbers) * low_bits]


def _steps(gaps: Positions, low_bits: int | Positions) -> Positions:
    """ceil(gap / 2**low_bits), at least 1 but for a first gap of 0."""
    return -(-gaps >> low_bits)
