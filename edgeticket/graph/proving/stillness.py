"""Outputs that testify to nothing: they read the inputs, and yet they never moved on those that were tried.

All of an output below 1e-28 lies within the 1e-30 that is allowed to any; a file that always gives out 0 would agree
with it. The same holds of one that is NaN, empty or the same numbers on every input. Such an output is tried at other
scales of the inputs, and if it stays still, it is not called proved. What the graph computes of no input's numbers
(a constant, a shape) may be the same everywhere: there its numbers are all there is to compare.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact.numbers import NEGLIGIBLE, is_float
from edgeticket.graph.protos import reads_of, without_default
from edgeticket.graph.proving.yardstick import CONSTANT_ULPS, SHARE, SINGLE, largest

Array = NDArray[Any]
Feed = Mapping[str, Array]

LEAST = NEGLIGIBLE / SHARE  # below, what is allowed to any output is more than a share of its range
_MANY = 32  # different values of a class number, from which on they are not counted
_IN_DOUBLE = 1e5 * 2.0**-52  # of the magnitude: a hundred times what graph_proof.py allows at least
SCALES = (1e1, 1e-1, 1e2, -1e2, 1e-2, 1e4, -1e4, 1e-4, 1e8, -1e8, 1e16, 1e24, 1e32)
_PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul", "Mul"])
_ASKING = frozenset(["IsInf", "IsNaN"])
_OF_SHAPES = frozenset(["EyeLike", "Shape", "Size"])


class Movement:
    """What was seen of each output, feed by feed. `unit` is that of the coarsest floats, see yardstick.py.

    With `rows`, each row of a feed and of an output is a sample, as in a test set.
    """

    def __init__(self, unit: float = SINGLE, *, rows: bool = False) -> None:
        self.unit, self.rows = unit, rows
        self._first: dict[tuple[str, tuple[int, ...]], tuple[Array, Feed]] = {}
        self._highest: dict[str, float] = {}
        self._entries: dict[str, int] = {}
        self._finite: dict[str, int] = {}
        self._compared: set[str] = set()
        self._moved: set[str] = set()
        self._values: dict[str, set[Any]] = {}

    def see(self, name: str, array: Array, feed: Feed) -> None:
        """Take note of one output in one feed."""
        floats = is_float(array)
        self._entries[name] = self._entries.get(name, 0) + array.size
        finite = array[np.isfinite(array)] if floats else array
        if not floats and len(values := self._values.setdefault(name, set())) < _MANY:
            values.update(np.unique(array).tolist())
        self._finite[name] = self._finite.get(name, 0) + finite.size
        if floats:
            self._highest[name] = max(self._highest.get(name, 0.0), largest(finite.astype(np.float64)))
        if name in self._moved:
            return
        first, fed = self._first.setdefault((name, array.shape), (array, feed))
        if first is not array and not _equal(fed, feed):
            self._compare(name, first, array)
        if self.rows and array.ndim and any(_varied(each, len(array)) for each in feed.values()):
            self._compare(name, np.broadcast_to(array[:1], array[1:].shape), array[1:])

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
        unit = _IN_DOUBLE if other.dtype == np.float64 else CONSTANT_ULPS * self.unit
        same = max(LEAST, unit * max(largest(before), largest(after)))
        if largest(after - before) > same:
            self._moved.add(name)

    def few_values(self) -> dict[str, int]:
        """Outputs that are no floats and gave few different values, and how many: one class of ten may be all."""
        return {name: len(values) for name, values in self._values.items() if 0 < len(values) < _MANY}

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

    def all_still(self, names: Iterable[str]) -> dict[str, str]:
        """Those of `names` that say nothing, and why."""
        return {name: why for name in sorted(names) if (why := self.still(name))}


def _equal(first: Feed, other: Feed) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in first.items())


def _varied(array: Array, rows: int) -> bool:
    return array.ndim > 0 and len(array) == rows > 1 and bool(np.any(array[1:] != array[:1]))


def reading(model: onnx.ModelProto) -> frozenset[str]:
    """The outputs that depend on the numbers of an input, not on its shape alone. What is times 0 does not."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = {value.name for value in without_default(graph)}
    zeros = {name for name, tensor in stored.items() if _is_zero(tensor)}
    for node in graph.node:
        reads = set(reads_of(node))
        if node.op_type == "DequantizeLinear" and _all_at_zero(node, stored):
            zeros.update(node.output)
        elif node.op_type in _PRODUCTS and not zeros.isdisjoint(node.input[:2]):
            reads -= set(node.input[:2])
        if node.op_type not in _OF_SHAPES and not found.isdisjoint(reads):
            found.update(node.output)
    return frozenset(value.name for value in graph.output if value.name in found)


def _is_zero(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type != onnx.TensorProto.STRING and not np.any(onnx.numpy_helper.to_array(tensor))


def _all_at_zero(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> bool:
    """Are all codes the one that stands for 0?"""
    codes, points = stored.get(node.input[0]), stored.get(node.input[2]) if len(node.input) > 2 else None
    if codes is None or (points is None and len(node.input) > 2):
        return False
    zero = 0 if points is None else onnx.numpy_helper.to_array(points)
    return bool(np.size(zero) == 1 and np.all(onnx.numpy_helper.to_array(codes) == zero))


def elsewhere(feed: Feed, operators: Collection[str]) -> Iterator[Feed]:
    """Feeds unlike the usual ones: other scales, inputs that are equal to each other, floats that are no numbers.

    The last only where one of the `operators` asks for them: what others make of NaN, a cast for one, says nothing.
    """
    yield from scaled(feed)
    first: dict[tuple[np.dtype[Any], tuple[int, ...]], Array] = {}
    alike = {name: first.setdefault((array.dtype, array.shape), array) for name, array in feed.items()}
    if len(first) < len(alike):
        yield alike
    if not _ASKING.isdisjoint(operators) and any(is_float(array) for array in feed.values()):
        yield {name: _without_numbers(array) if is_float(array) else array for name, array in feed.items()}


def _without_numbers(array: Array) -> Array:
    """NaN, both infinities and the numbers as they were, in turn."""
    made = array.copy()
    for start, other in enumerate((np.nan, np.inf, -np.inf)):
        made.reshape(-1)[start::5] = other
    return made


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
