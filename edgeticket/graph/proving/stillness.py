"""Outputs that testify to nothing: they read the inputs, and yet they never moved on those that were tried.

All of an output below 1e-28 lies within the 1e-30 that is allowed to any; a file that always gives out 0 would agree
with it. The same holds of one that is NaN, empty or the same numbers on every input. Such an output is tried at other
scales of the inputs, and if it stays still, it is not called proved. What the graph computes of no input's numbers
(a constant, a shape) may be the same everywhere: there its numbers are all there is to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact.numbers import NEGLIGIBLE, is_float
from edgeticket.graph.proving.yardstick import CONSTANT_ULPS, SHARE, largest

Array = NDArray[Any]
Feed = Mapping[str, Array]

LEAST = NEGLIGIBLE / SHARE  # below, what is allowed to any output is more than a share of its range
SCALES = (1e1, 1e-1, 1e2, -1e2, 1e-2, 1e4, -1e4, 1e-4, 1e8, -1e8, 1e16, 1e24, 1e32)
_OF_SHAPES = frozenset(["Shape", "Size"])


class Movement:
    """What was seen of each output, feed by feed. `unit` is that of the coarsest floats, see yardstick.py."""

    def __init__(self, unit: float) -> None:
        self.unit = unit
        self._first: dict[tuple[str, tuple[int, ...]], Array] = {}
        self._highest: dict[str, float] = {}
        self._entries: dict[str, int] = {}
        self._finite: dict[str, int] = {}
        self._compared: set[str] = set()
        self._moved: set[str] = set()

    def see(self, name: str, array: Array, feed: Feed, *, rows: bool = False) -> None:
        """Take note of one output in one feed. With `rows`, each row of inputs and outputs is a sample."""
        floats = is_float(array)
        self._entries[name] = self._entries.get(name, 0) + array.size
        finite = array[np.isfinite(array)] if floats else array
        self._finite[name] = self._finite.get(name, 0) + finite.size
        if floats:
            self._highest[name] = max(self._highest.get(name, 0.0), largest(finite.astype(np.float64)))
        if name in self._moved:
            return
        first = self._first.setdefault((name, array.shape), array)
        if first is not array:
            self._compare(name, first, array)
        varied = {len(each) for each in feed.values() if each.ndim and len(each) > 1 and np.any(each[1:] != each[:1])}
        if rows and array.ndim and len(array) in varied:
            self._compare(name, np.broadcast_to(array[:1], array.shape), array)

    def _compare(self, name: str, first: Array, other: Array) -> None:
        if not is_float(other):
            self._compared.add(name)
            if np.any(first != other):
                self._moved.add(name)
            return
        finite = np.isfinite(first) & np.isfinite(other)
        if not finite.any():
            return
        self._compared.add(name)
        before, after = first[finite].astype(np.float64), other[finite].astype(np.float64)
        same = max(LEAST, CONSTANT_ULPS * self.unit * max(largest(before), largest(after)))
        if largest(after - before) > same:
            self._moved.add(name)

    def still(self, name: str) -> str:
        """Why an output says nothing, in a clause; '' where it moved, or where two inputs never had one shape."""
        if name in self._moved:
            return ""
        if name not in self._entries:
            return "it was compared on no input"
        if not self._entries[name]:
            return "it was empty on every input"
        if not self._finite[name]:
            return "it was NaN or infinite on every input"
        highest = self._highest.get(name)
        if highest is not None and highest < LEAST:
            return "it was 0 on every input" if highest == 0 else f"it was below {highest:.1g} on every input"
        return "it was the same on every input" if name in self._compared else ""


def reading(model: onnx.ModelProto) -> frozenset[str]:
    """The outputs that depend on the numbers of an input, not on its shape alone."""
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    found = {value.name for value in graph.input if value.name not in stored}
    for node in graph.node:
        if node.op_type not in _OF_SHAPES and not found.isdisjoint(_reads(node)):
            found.update(node.output)
    return frozenset(value.name for value in graph.output if value.name in found)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                yield from _reads(inner)
            yield from (value.name for value in body.output)


def scaled(feed: Feed) -> Iterator[Feed]:
    """A feed with its floats at other scales, as far as their types hold these. Nothing where there are no floats."""
    for scale in SCALES if any(is_float(array) for array in feed.values()) else ():
        with np.errstate(over="ignore", under="ignore"):
            made = {
                name: (array.astype(np.float64) * scale).astype(array.dtype) if is_float(array) else array
                for name, array in feed.items()
            }
        if all(np.all(np.isfinite(array)) for array in made.values() if is_float(array)):
            yield made
