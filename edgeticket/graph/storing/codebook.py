"""Stored values that are few different numbers, as one byte each and a table: weights that were quantised once.

A tensor that was rounded to 8 bits and given as float32 holds at most 256 numbers. Their codes take a quarter, and what
Gather reads from the table are the same numbers, bit by bit. Each tensor of a group has a table of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

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
