"""Stored values of which a part takes few bits: their ranks by frequency, which rest in the stream of positions.

Weights that are left after pruning lie within a few powers of two, so that the eight bits of a float32's exponent hold
two or three bits of information. Likewise some codes of quantised weights are far more frequent than others.

exponents (float32, bfloat16, float16; here of float32)
    value = table[rank] * (2**23 + mantissa), where the table holds a power of two for each exponent, the most frequent
    first. Sign and mantissa rest as the 24 bits of y = 2**23 + mantissa, or 2**23 - 1 - mantissa for negative numbers.
    In float32 all of this is exact: f = y - (2**23 - 1/2) is not 0, and f + sign(f) * (2**23 - 1/2) is the integer.
    y's upper 8 bits rest in bytes, and the 16 below them too. bfloat16 has none below them. float16 has 3, which belong
    to the rank: those of one exponent are 8 in a row, and the rank modulo 8 is the 3 bits.
numbers (8-bit integers)
    value = table[rank]; the rank's code is that of the positions (gaps.py), or unary where few numbers are most of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgeticket.graph.storing.gaps import Positions
from edgeticket.graph.storing.writer import Writer

Array = NDArray[np.generic]

LEAST = 256  # values: fewer do not pay for the nodes
_LEAST_POWER, _MOST_POWER = -126, 127  # of normal float32 numbers
_NODES_BYTES = {"numbers": 150, "exponents": 470, "exponents in a row": 580}  # and constants, beside the table


@dataclass(frozen=True)
class _Format:
    """A type of floats: the bits of its mantissa and of its exponent."""

    mantissa: int
    exponent: int

    @property
    def below(self) -> int:
        """The bits of y below the upper 8."""
        return self.mantissa - 7

    @property
    def middle(self) -> float:
        """What lies between y of negative and of positive numbers, where no number is."""
        return 2.0**self.mantissa - 0.5

    @property
    def bias(self) -> int:
        """Of the exponent, where the mantissa is an integer."""
        return int(2 ** (self.exponent - 1)) - 1 + self.mantissa


_FORMATS = {
    onnx.helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT): _Format(23, 8),
    onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16): _Format(7, 8),
    onnx.helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT16): _Format(10, 5),
}


@dataclass(frozen=True)
class Ranked:
    """ranks [n], each at least 1, and what they index; sign and mantissa where that are powers of two.

    `table` has an entry more in front, which no rank reads. `high` [n] is y's upper 8 bits, `low` [n] those below of
    float32.
    """

    ranks: Positions
    table: Array
    format: _Format | None = None
    high: NDArray[np.uint8] | None = None
    low: NDArray[np.uint16] | None = None

    @property
    def in_a_row(self) -> int:
        """How many ranks stand for one entry of the table."""
        return 1 if self.format is None or self.low is not None else 1 << self.format.below

    @property
    def size_bytes(self) -> int:
        """What all but the ranks takes, as nearly as it can be said without writing it."""
        way = "numbers" if self.format is None else "exponents"
        nodes = _NODES_BYTES["exponents in a row" if self.in_a_row > 1 else way]
        return nodes + sum(each.nbytes for each in (self.table, self.high, self.low) if each is not None)

    def write(self, writer: Writer, ranks: str) -> str:
        """The nodes and constants that make the values, as float32 where they are floats; `ranks` is their name."""
        row = self.in_a_row
        entries = ranks
        if row > 1:
            entries = writer.node("Add", [ranks, writer.integers(row - 1)])
            entries = writer.node("Div", [entries, writer.integers(row)])
        factors = writer.node("Gather", [writer.constant(self.table), entries])
        if self.format is None or self.high is None:
            return factors
        y = writer.node("Cast", [writer.constant(self.high, writer.name())], to=TensorProto.FLOAT)
        if self.low is not None or row > 1:
            if self.low is None:
                below = writer.node("Mod", [ranks, writer.integers(row)])
            else:
                below = writer.constant(self.low, writer.name())
            y = writer.node("Mul", [y, writer.constant(np.array(1 << self.format.below, np.float32))])
            y = writer.node("Add", [y, writer.node("Cast", [below], to=TensorProto.FLOAT)])
        middle = writer.constant(np.array(self.format.middle, np.float32))
        y = writer.node("Sub", [y, middle])
        sign = writer.node("Sign", [y])
        y = writer.node("Add", [y, writer.node("Mul", [sign, middle])])
        return writer.node("Mul", [y, factors])


def suits(dtype: np.dtype[np.generic], count: int) -> bool:
    """Whether `count` values of this type may be ranked at all."""
    return count >= LEAST and (dtype in _FORMATS or dtype in (np.int8, np.uint8))


def least_bytes(dtype: np.dtype[np.generic], count: int) -> int:
    """What `count` values of this type take at least: of ranked ones a bit for the rank, and what is not ranked."""
    if not suits(dtype, count):
        return count * dtype.itemsize
    return count // 8 if dtype.kind in "iu" else count * max(1, dtype.itemsize - 1)


def ranked(values: Array) -> Ranked | None:
    """The values [n] by ranks; None where there is a number whose exponent has no place in the table."""
    if values.dtype.kind in "iu":
        lowest = 128 if values.dtype == np.int8 else 0
        ranks, different = _by_frequency(values.astype(np.int64) + lowest)
        return Ranked(ranks, _with_front((different - lowest).astype(values.dtype)))
    kind = _FORMATS[values.dtype]
    bits = values.view(np.uint32 if values.dtype.itemsize == 4 else np.uint16).astype(np.int64)
    implicit = 1 << kind.mantissa
    mantissas, exponents = bits & (implicit - 1), (bits >> kind.mantissa) & ((1 << kind.exponent) - 1)
    least = max(1, _LEAST_POWER + kind.bias)  # below are denormal numbers, or powers of two that are
    most = min((1 << kind.exponent) - 2, _MOST_POWER + kind.bias)  # above are infinities and NaN
    if not np.all(((exponents >= least) & (exponents <= most)) | ((exponents | mantissas) == 0)):
        return None
    ranks, different = _by_frequency(exponents)
    factors = np.where(different == 0, 0, np.ldexp(1.0, different - kind.bias)).astype(np.float32)
    negative = bits >> (kind.mantissa + kind.exponent) != 0
    y = np.where(negative, implicit - 1 - mantissas, implicit + mantissas)
    high, low = (y >> kind.below).astype(np.uint8), y & ((1 << kind.below) - 1)
    found = Ranked(ranks, _with_front(factors), kind, high, low.astype(np.uint16) if kind.below == 16 else None)
    row = found.in_a_row
    return replace(found, ranks=(ranks - 1) * row + (low - 1) % row + 1) if row > 1 else found


def _with_front(table: Array) -> Array:
    return np.concatenate([table[:1], table])


def _by_frequency(numbers: Positions) -> tuple[Positions, Positions]:
    """Each number's rank from 1, the most frequent first and of equals the smaller, and the numbers in that order."""
    counts = np.bincount(numbers)
    order = np.argsort(-counts, kind="stable")[: int(np.count_nonzero(counts))]
    ranks = np.zeros(len(counts), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks[numbers], order
