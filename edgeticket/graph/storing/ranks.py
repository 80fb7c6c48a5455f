"""Stored values of which a part takes few bits: their ranks by frequency, which rest in the stream of positions.

Weights that are left after pruning lie within a few powers of two, so that the eight bits of a float32's exponent say
two or three bits. And the codes of quantised weights are seldom as even as their eight bits allow.

exponents (float32, bfloat16)
    value = table[rank] * (2**23 + mantissa), where the table holds a power of two for each exponent, the most frequent
    first. Sign and mantissa rest as the 24 bits of y = 2**23 + mantissa, or 2**23 - 1 - mantissa for negative numbers,
    in bytes. All of it is exact in float32: f = y - (2**23 - 1/2) is not 0, and f + sign(f) * (2**23 - 1/2) is the
    signed integer. bfloat16 holds the upper 8 of the 24 bits, and the same holds with 2**7 for 2**23.
numbers (8-bit integers)
    value = table[rank]; the rank's code is that of the positions (gaps.py), or unary where few numbers are most of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgeticket.graph.storing.gaps import Positions
from edgeticket.graph.storing.writer import Writer

Array = NDArray[np.generic]

_BFLOAT16 = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
LEAST = 256  # values: fewer do not pay for the nodes
_LEAST_EXPONENT, _MOST_EXPONENT = 24, 254  # biased; the powers of two of the table are normal numbers down to here
_NODES_BYTES = {"exponents": 470, "numbers": 150}  # what the nodes and constants take beside the table


@dataclass(frozen=True)
class Ranked:
    """ranks [n], each at least 1, and what they index; sign and mantissa where it holds powers of two.

    `table` has an entry more in front, which no rank reads. `high` and `low` [n] are y's upper 8 bits and the 16 below
    (None for bfloat16).
    """

    ranks: Positions
    table: Array
    high: NDArray[np.uint8] | None = None
    low: NDArray[np.uint16] | None = None

    @property
    def size_bytes(self) -> int:
        """What all but the ranks takes, as nearly as it can be said without writing it."""
        nodes = _NODES_BYTES["numbers" if self.high is None else "exponents"]
        return nodes + sum(each.nbytes for each in (self.table, self.high, self.low) if each is not None)


def suits(dtype: np.dtype[np.generic], count: int) -> bool:
    """Whether `count` values of this type may be ranked at all."""
    return count >= LEAST and (dtype in (np.float32, np.int8, np.uint8) or dtype == _BFLOAT16)


def least_bytes(dtype: np.dtype[np.generic], count: int) -> int:
    """What `count` values of this type take at least: of ranked ones a bit for the rank, and what is not ranked."""
    if not suits(dtype, count):
        return count * dtype.itemsize
    return count // 8 if dtype.kind in "iu" else count * (dtype.itemsize - 1)


def ranked(values: Array) -> Ranked | None:
    """The values [n] by ranks; None where a number's exponent is not in the table, or all are the same."""
    if values.dtype.kind in "iu":
        lowest = 128 if values.dtype == np.int8 else 0
        ranks, different = _by_frequency(values.astype(np.int64) + lowest)
        table = (different - lowest).astype(values.dtype)
        return Ranked(ranks, np.concatenate([table[:1], table]))
    wide = values.dtype == np.float32
    bits = values.view(np.uint32 if wide else np.uint16).astype(np.uint32) << np.uint32(0 if wide else 16)
    exponents, mantissas = (bits >> 23) & 255, bits & 0x7FFFFF
    known = (exponents >= _LEAST_EXPONENT) & (exponents <= _MOST_EXPONENT)
    if not np.all(known | ((exponents | mantissas) == 0)):
        return None
    ranks, different = _by_frequency(exponents.astype(np.int64))
    powers = np.ldexp(np.float32(1), (different - (150 if wide else 134)).astype(np.int32))
    powers = np.where(different == 0, 0, powers).astype(np.float32)
    table = np.concatenate([powers[:1], powers])
    y = np.where(bits >> 31 == 0, 0x800000 + mantissas, 0x7FFFFF - mantissas)
    low = (y & 0xFFFF).astype(np.uint16) if wide else None
    return Ranked(ranks, table, (y >> 16).astype(np.uint8), low)


def _by_frequency(numbers: Positions) -> tuple[Positions, Positions]:
    """Each number's rank from 1, the most frequent first and of equals the smaller, and the numbers in that order."""
    counts = np.bincount(numbers)
    order = np.argsort(-counts, kind="stable")[: int(np.count_nonzero(counts))]
    ranks = np.zeros(len(counts), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks[numbers], order


def values_of(stored: Ranked, dtype: np.dtype[np.generic]) -> Array:
    """The values [n] again."""
    factors = stored.table[stored.ranks]
    if stored.high is None:
        return factors
    y = stored.high.astype(np.float32)
    if stored.low is not None:
        y = y * np.float32(65536) + stored.low.astype(np.float32)
    middle = np.float32(_middle(stored))
    signed = y - middle
    numbers: Array = (factors.astype(np.float32) * (signed + np.sign(signed) * middle)).astype(dtype)
    return numbers


def write_ranked(writer: Writer, stored: Ranked, ranks: str) -> str:
    """The nodes and constants that make the values, as float32 where they are floats; `ranks` is their name."""
    factors = writer.node("Gather", [writer.constant(stored.table), ranks])
    if stored.high is None:
        return factors
    y = writer.node("Cast", [writer.constant(stored.high, writer.name())], to=TensorProto.FLOAT)
    if stored.low is not None:
        low = writer.node("Cast", [writer.constant(stored.low, writer.name())], to=TensorProto.FLOAT)
        y = writer.node("Mul", [y, writer.constant(np.array(65536, np.float32))])
        y = writer.node("Add", [y, low])
    middle = writer.constant(np.array(_middle(stored), np.float32))
    y = writer.node("Sub", [y, middle])
    sign = writer.node("Sign", [y])
    y = writer.node("Add", [y, writer.node("Mul", [sign, middle])])
    return writer.node("Mul", [y, factors])


def _middle(stored: Ranked) -> float:
    """2**23 - 1/2, or 2**7 - 1/2: what lies between negative and positive numbers, where no number is."""
    return 2**23 - 0.5 if stored.low is not None else 2**7 - 0.5
