"""Which channels of which values live and die together, and which are constant: the state of one forward analysis.

Letters: C channels of a value. A unit is an element of a union-find; the channels of a residual sum and of both its
branches share units, as do the H·W elements that flatten makes of one channel. A unit is removable if it is not pinned
and nobody needs it. A constant is float64, NaN where the channel varies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeticket.graph.values import shape_of

Units = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one value: the axis they lie on, the unit of each [C] and its constant [C] or NaN."""

    axis: int
    units: Units
    constant: Floats

    @property
    def count(self) -> int:
        """C."""
        return len(self.units)


@dataclass(frozen=True, eq=False)
class Cut:
    """A constant input of a node that is cut along `axis` where the units [its length] die.

    `reads` says that its entries read the units' channels; else they compute them or act on them.
    """

    node: ir.Node
    index: int
    axis: int
    units: Units
    reads: bool = False


@dataclass(frozen=True, eq=False)
class Linear:
    """A Conv, Gemm or MatMul with a weight of its own: reads the source's channels, makes the result's.

    `scale` multiplies the products (Gemm's alpha), `bias_scale` the bias (Gemm's beta). `mixes_padding`: the zeros
    around the image take part, so that a constant input does not give a constant output.
    """

    node: ir.Node
    weight: ir.Value
    out_axis: int
    in_axis: int
    source: Channels
    result: Channels
    mixes_padding: bool = False
    depthwise: bool = False
    scale: float = 1.0
    bias_scale: float = 1.0


@dataclass
class State:
    """Everything one forward walk over the graph finds out."""

    graph: ir.Graph
    version: int
    channels: dict[ir.Value, Channels] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    linears: list[Linear] = field(default_factory=list)
    followed: set[ir.Node] = field(default_factory=set)
    declined: dict[str, list[str]] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    pinned: set[int] = field(default_factory=set)

    def fresh(self, count: int, *, pinned: bool = False) -> Units:
        """`count` units that nothing else shares."""
        units = np.arange(len(self.parents), len(self.parents) + count, dtype=np.int64)
        self.parents.extend(int(unit) for unit in units)
        if pinned:
            self.pinned.update(int(unit) for unit in units)
        return units

    def find(self, unit: int) -> int:
        """The representative of a unit."""
        root = unit
        while self.parents[root] != root:
            root = self.parents[root]
        while self.parents[unit] != root:
            self.parents[unit], unit = root, self.parents[unit]
        return root

    def roots(self, units: Units) -> Units:
        """The representatives of units [n]."""
        distinct, back = np.unique(units, return_inverse=True)
        return np.array([self.find(int(unit)) for unit in distinct], np.int64)[back]

    def tie(self, left: Units, right: Units) -> None:
        """Unit by unit, both live or both die."""
        for a, b in {(int(a), int(b)) for a, b in zip(left, right, strict=True)}:
            low, high = sorted((self.find(a), self.find(b)))
            self.parents[high] = low

    def pin(self, value: ir.Value | None) -> None:
        """Every channel of the value stays."""
        if value is not None and value in self.channels:
            self.pinned.update(int(unit) for unit in self.channels[value].units)

    def write(self, value: ir.Value, axis: int, units: Units, constant: Floats | None = None) -> Channels:
        """Record the channels of a node's output; constants that are not finite count as varying."""
        values = np.full(len(units), np.nan) if constant is None else np.where(np.isfinite(constant), constant, np.nan)
        self.channels[value] = Channels(axis, units, values)
        return self.channels[value]

    def read(self, value: ir.Value, axis: int, count: int) -> Channels:
        """The channels of a node's input on `axis`. Where they are not followed on that axis, pinned ones."""
        known = self.channels.get(value)
        if known is not None and known.axis == axis and known.count == count:
            return known
        self.pin(value)
        return Channels(axis, self.fresh(count, pinned=True), np.full(count, np.nan))

    def followed_input(self, value: ir.Value | None) -> Channels | None:
        """The channels of an input if they are followed at all."""
        return None if value is None else self.channels.get(value)

    def decline(self, reason: str, name: str | None) -> None:
        """Say why something stays as it is."""
        where = self.declined.setdefault(reason, [])
        if name and name not in where:
            where.append(name)


def rank_of(value: ir.Value | None) -> int | None:
    """The number of dimensions, None if unknown."""
    dims = shape_of(value) if value is not None else None
    return None if dims is None else len(dims)


def static(dims: list[int | str | None]) -> list[int] | None:
    """The dimensions as numbers, None if one is not known."""
    numbers = [dim for dim in dims if isinstance(dim, int)]
    return numbers if len(numbers) == len(dims) else None
