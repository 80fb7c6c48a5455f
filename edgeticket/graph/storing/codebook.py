"""Stored values that are few different numbers, as codes and a table: weights that were quantised once.

A tensor that was rounded to 8 bits and given as float32 holds at most 256 numbers. Their codes take a quarter, and what
Gather reads from the table are the same numbers, bit by bit. Each tensor of a group has a table of its own. Codes rest
as one byte each, or as ranks in the stream of packed positions (ranks.py), where frequent numbers take fewer bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from edgeticket.graph.storing.gaps import Positions
from edgeticket.graph.storing.writer import Writer

Array = NDArray[np.generic]

_MOST = 256  # numbers that a byte tells apart
_KINDS = (np.float16, np.float32, np.float64)
_TABLE_BYTES = 64  # of a table's entry, its Gather and its piece of the codes, beside the numbers
_CODES_BYTES = 96  # of the codes' entry, Cast, Split and Concat
_SAMPLE = 4096


def write_values(writer: Writer, values: Array, ends: Sequence[int]) -> str:
    """The values [n] of tensors behind one another, each up to one of `ends`: as they are, or by tables."""
    pieces = np.split(values, ends[:-1])
    tables = [_table(piece) for piece in pieces]
    saved = sum(
        piece.nbytes - piece.size - table.nbytes - _TABLE_BYTES
        for piece, table in zip(pieces, tables, strict=True)
        if table is not None
    )
    if saved <= _CODES_BYTES:
        return writer.constant(values, writer.name())
    coded = [place for place, table in enumerate(tables) if table is not None]
    codes = np.concatenate([_codes(pieces[place], tables[place]) for place in coded])
    wide = writer.node("Cast", [writer.constant(codes, writer.name())], to=TensorProto.INT32)
    parts = writer.split(wide, [pieces[place].size for place in coded]) if len(coded) > 1 else [wide]
    code = dict(zip(coded, parts, strict=True))
    found = []
    for place, (piece, table) in enumerate(zip(pieces, tables, strict=True)):
        if table is not None:
            found.append(writer.node("Gather", [writer.constant(table), code[place]]))
        elif piece.size:
            found.append(writer.constant(piece, writer.name()))
    return found[0] if len(found) == 1 else writer.node("Concat", found, axis=0)


@dataclass(frozen=True)
class Coded:
    """ranks [n] of the values of tensors behind one another, and each tensor's table, or its values as they are.

    Tables are sorted by frequency, with an entry more in front, which no rank reads. Where values rest as they are, the
    ranks are 1.
    """

    ranks: Positions
    parts: tuple[tuple[int, Array, bool], ...]  # how many ranks, a table or the values themselves, whether a table

    @property
    def size_bytes(self) -> int:
        """What all but the ranks takes, as nearly as it can be said without writing it."""
        return _CODES_BYTES + sum(array.nbytes + _TABLE_BYTES for _, array, _ in self.parts)

    def write(self, writer: Writer, ranks: str) -> str:
        """The nodes and constants that make the values; `ranks` is their name."""
        pieces = writer.split(ranks, [count for count, _, _ in self.parts]) if len(self.parts) > 1 else [ranks]
        found = [
            writer.node("Gather", [writer.constant(array), piece]) if table else writer.constant(array, writer.name())
            for piece, (_, array, table) in zip(pieces, self.parts, strict=True)
        ]
        return found[0] if len(found) == 1 else writer.node("Concat", found, axis=0)


def coded(values: Array, ends: Sequence[int]) -> Coded | None:
    """The values [n] of tensors behind one another, each up to one of `ends`; None where none has a table."""
    ranks = np.ones(len(values), np.int64)
    parts: list[tuple[int, Array, bool]] = []
    for start, end in pairwise([0, *ends]):
        piece = values[start:end]
        table = _table(piece)
        if table is None:
            if parts and not parts[-1][2]:
                piece = np.concatenate([parts.pop()[1], piece])
            if len(piece):
                parts.append((len(piece), piece, False))
            continue
        codes = _codes(piece, table).astype(np.int64)
        order = np.argsort(-np.bincount(codes, minlength=len(table)), kind="stable")
        places = np.empty(len(table), np.int64)
        places[order] = np.arange(1, len(table) + 1)
        ranks[start:end] = places[codes]
        parts.append((len(piece), np.concatenate([table[order[:1]], table[order]]), True))
    return Coded(ranks, tuple(parts)) if any(table for _, _, table in parts) else None


def _table(values: Array) -> Array | None:
    """The different numbers of `values`, told apart by their bits; None where codes would not take fewer bytes."""
    if values.dtype not in _KINDS or values.nbytes - values.size <= values.itemsize + _TABLE_BYTES:
        return None  # of the last, a table of one number would not take fewer
    bits = _bits(values)
    if len(bits) > _SAMPLE and len(np.unique(bits[:_SAMPLE])) > _MOST:
        return None
    different = np.unique(bits)
    few = len(different) <= _MOST
    smaller = values.size + different.nbytes + _TABLE_BYTES < values.nbytes
    return different.view(values.dtype) if few and smaller else None


def _codes(values: Array, table: Array | None) -> NDArray[np.uint8]:
    assert table is not None
    return np.searchsorted(_bits(table), _bits(values)).astype(np.uint8)


def _bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
