"""Integer vectors that shape arithmetic makes: entry by entry a number, or the name of a dimension that is free."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeticket.graph.protos import STANDARD
from edgeticket.graph.values import attribute, constant, shape_of

_LIMIT = 64  # entries: a shape is no longer than that
_DEPTH = 24  # nodes: shape arithmetic is no deeper than that
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "Add": operator.add,
    "Div": operator.floordiv,
    "Mul": operator.mul,
    "Sub": operator.sub,
}


@dataclass(frozen=True)
class Symbol:
    """A dimension known by name only. Unnamed ones are equal to nothing but themselves."""

    name: str


Entry = int | Symbol
Vector = tuple[Entry, ...]


def vector(value: ir.Value | None, depth: int = _DEPTH) -> Vector | None:
    """The entries of an integer vector or scalar made of constants and of other values' shapes; None if unknown.

    An entry of which only the place is known is a symbol of its own.
    """
    if value is None:
        return None
    array = constant(value)
    if array is not None:
        if array.dtype not in (np.int64, np.int32) or array.ndim > 1 or array.size > _LIMIT:
            return None
        return tuple(int(entry) for entry in array.reshape(-1))
    node = value.producer()
    known = _computed(node, depth) if node is not None and node.domain in STANDARD and depth > 0 else None
    return _unknown(value) if known is None else known


def _computed(node: ir.Node, depth: int) -> Vector | None:
    if node.op_type == "Shape":
        return _shape(node)
    if node.op_type in ("Identity", "Squeeze", "Unsqueeze"):
        return vector(node.inputs[0], depth - 1)
    if node.op_type == "Cast":
        return _cast(node, depth - 1)
    if node.op_type == "ReduceProd":
        return _product(node, depth - 1)
    if node.op_type == "Reshape":
        return vector(node.inputs[0], depth - 1) if vector(node.inputs[1]) in ((-1,), (1,), ()) else None
    if node.op_type == "Concat":
        parts = [vector(part, depth - 1) for part in node.inputs]
        return None if any(part is None for part in parts) else tuple(e for part in parts if part for e in part)
    if node.op_type == "Gather":
        return _gather(node, depth - 1)
    if node.op_type == "Slice":
        return _slice(node, depth - 1)
    if node.op_type in _ARITHMETIC:
        return _arithmetic(node, depth - 1)
    return _where(node, depth - 1) if node.op_type == "Where" else None


def _cast(node: ir.Node, depth: int) -> Vector | None:
    """Lengths as int32, as TensorFlow has them, and back; not where a number would not fit."""
    entries, kind = vector(node.inputs[0], depth), attribute(node, "to", 0)
    small = all(isinstance(entry, Symbol) or abs(entry) < 2**31 for entry in entries or ())
    return entries if kind == ir.DataType.INT64 or (kind == ir.DataType.INT32 and small) else None


def _product(node: ir.Node, depth: int) -> Vector | None:
    """The product of all entries of a vector: of numbers, or of one entry alone."""
    entries = vector(node.inputs[0], depth)
    dims = shape_of(node.inputs[0]) if node.inputs[0] is not None else None
    if not entries or dims is None or len(dims) != 1:
        return None
    numbers = [entry for entry in entries if isinstance(entry, int)]
    if len(numbers) == len(entries) and math.prod(numbers) < 2**31:
        return (math.prod(numbers),)
    return entries if len(entries) == 1 else None


def _where(node: ir.Node, depth: int) -> Vector | None:
    """Entries that a constant condition chooses."""
    chosen = constant(node.inputs[0])
    left, right = vector(node.inputs[1], depth), vector(node.inputs[2], depth)
    if chosen is None or left is None or right is None or not chosen.size == len(left) == len(right):
        return None
    return tuple(a if yes else b for yes, a, b in zip(chosen.reshape(-1), left, right, strict=True))


def _unknown(value: ir.Value) -> Vector | None:
    """Symbols for the entries of a computed vector of known length."""
    dims = shape_of(value)
    if value.dtype not in (ir.DataType.INT64, ir.DataType.INT32) or dims is None or len(dims) > 1:
        return None
    length = dims[0] if dims else 1
    if not isinstance(length, int) or length > _LIMIT:
        return None
    return tuple(Symbol(f"{value.name}[{index}]") for index in range(length))


def _shape(node: ir.Node) -> Vector | None:
    source = node.inputs[0]
    dims = named_dims(source) if source is not None else None
    if dims is None:
        return None
    entries = [dim if isinstance(dim, int) else Symbol(dim) for dim in dims]
    return tuple(entries[attribute(node, "start", 0) : attribute(node, "end", None)])


def _gather(node: ir.Node, depth: int) -> Vector | None:
    data, indices = vector(node.inputs[0], depth), vector(node.inputs[1], depth)
    if data is None or indices is None:
        return None
    try:
        return tuple(data[index] for index in indices if isinstance(index, int))
    except IndexError:
        return None


def _slice(node: ir.Node, depth: int) -> Vector | None:
    data, parts = vector(node.inputs[0], depth), [vector(part) for part in node.inputs[1:3]]
    steps = vector(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] is not None else (1,)
    if data is None or len(parts) != 2 or steps != (1,):
        return None
    start, end = parts
    if not start or not end or not isinstance(start[0], int) or not isinstance(end[0], int):
        return None
    return data[start[0] : end[0]]


def _arithmetic(node: ir.Node, depth: int) -> Vector | None:
    """Entry by entry, where both are numbers."""
    left, right = vector(node.inputs[0], depth), vector(node.inputs[1], depth)
    if left is None or right is None or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    width = max(len(left), len(right))
    pairs = list(zip(left * (width // len(left)), right * (width // len(right)), strict=True)) if left and right else []
    numbers = [(a, b) for a, b in pairs if isinstance(a, int) and isinstance(b, int)]
    if len(numbers) != len(pairs) or (node.op_type == "Div" and any(a < 0 or b < 1 for a, b in numbers)):
        return None
    return tuple(_ARITHMETIC[node.op_type](a, b) for a, b in numbers)


def named_dims(value: ir.Value) -> list[int | str] | None:
    """The dimensions as numbers and names; one without a name gets one that no other has."""
    dims = shape_of(value)
    if dims is None:
        return None
    return [dim if isinstance(dim, int) else dim or f"{value.name}/{axis}" for axis, dim in enumerate(dims)]


def reshaped(dims: list[int | str], target: list[int | str], allowzero: bool) -> list[int | str | None]:
    """The dimensions that Reshape makes of `dims`: 0 copies one, -1 is what is left, None where that is not known."""
    entries = [
        dims[place] if entry == 0 and not allowzero and place < len(dims) else entry
        for place, entry in enumerate(target)
    ]
    if -1 not in entries:
        return list(entries)
    names = [dim for dim in dims if isinstance(dim, str)]
    for entry in entries:
        if isinstance(entry, str) and entry in names:
            names.remove(entry)
        elif isinstance(entry, str):
            names.append("?")
    above = math.prod(dim for dim in dims if isinstance(dim, int))
    below = math.prod(entry for entry in entries if isinstance(entry, int) and entry != -1)
    left: int | str | None = None
    if below > 0 and above % below == 0:
        left = above // below if not names else names[0] if len(names) == 1 and above == below else None
    return [left if entry == -1 else entry for entry in entries]
