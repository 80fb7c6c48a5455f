"""Which channels of which values live and die together, and which are constant: the state of one forward analysis.

Letters: C channels of a value. A unit is an element of a union-find; the channels of a residual sum and of both its
branches share units, as do the H·W elements that flatten makes of one channel. A unit is removable if it is not pinned
and nobody needs it. A constant is float64, NaN where the channel varies.

Most values have their channels on one axis. Behind a Reshape that splits it, such as [N, L, H·D] -> [N, L, H, D], they
lie on several, and `units` is a grid with one axis for each. A grid loses only what leaves a box: see grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Bools, Channels, Cut, Fix, Floats, Grid, Linear, Needs, Recurrent, Units
from edgeticket.graph.values import shape_of


@dataclass
class State:
    """Everything one forward walk over the graph finds out."""

    graph: ir.Graph
    version: int
    channels: dict[ir.Value, Channels] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    needs: list[Needs] = field(default_factory=list)
    linears: list[Linear] = field(default_factory=list)
    recurrents: list[Recurrent] = field(default_factory=list)
    hidden: list[tuple[ir.Value, Units]] = field(default_factory=list)  # W of a recurrent layer, its hidden units
    followed: set[ir.Node] = field(default_factory=set)
    declined: dict[str, list[str]] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    pinned: dict[int, str] = field(default_factory=dict)  # unit -> the operator that needs it
    shared: dict[ir.Value, Linear] = field(default_factory=dict)  # a weight of several layers -> the first of them
    weights: dict[ir.Value, Bools | None] = field(default_factory=dict)  # [G, M, C] not zero; None: not finite
    barred: set[ir.Value] = field(default_factory=set)  # constants that an operator without a rule reads
    reader: str = ""  # the operator that is looked at

    def fresh(self, *counts: int, pinned: bool = False) -> Units:
        """A grid of units that nothing else shares."""
        count = int(np.prod(counts))
        units = np.arange(len(self.parents), len(self.parents) + count, dtype=np.int64)
        self.parents.extend(units.tolist())
        if pinned:
            self.pin_units(units)
        return units.reshape(counts)

    def find(self, unit: int) -> int:
        """The representative of a unit."""
        root = unit
        while self.parents[root] != root:
            root = self.parents[root]
        while self.parents[unit] != root:
            self.parents[unit], unit = root, self.parents[unit]
        return root

    def roots(self, units: Units) -> Units:
        """The representatives of units, in their shape."""
        distinct, back = np.unique(units, return_inverse=True)
        found = np.array([self.find(unit) for unit in distinct.tolist()], np.int64)
        return found[back].reshape(units.shape)

    def tie(self, left: Units, right: Units) -> None:
        """Unit by unit, both live or both die."""
        if left is right or np.array_equal(left, right):
            return
        pairs = np.unique(np.stack([left.reshape(-1), right.reshape(-1)]), axis=1)
        for a, b in pairs.T.tolist():
            low, high = sorted((self.find(a), self.find(b)))
            self.parents[high] = low

    def pin_units(self, units: Units) -> None:
        """These units stay."""
        for unit in np.unique(units).tolist():
            self.pinned.setdefault(unit, self.reader)

    def pin(self, value: ir.Value | None) -> None:
        """Every channel of the value stays."""
        if value is not None and value in self.channels:
            self.pin_units(self.channels[value].units)

    def write(
        self,
        value: ir.Value,
        axes: tuple[int, ...],
        units: Units,
        constant: Floats | None = None,
        ragged: int | None = None,
    ) -> Channels:
        """Record the channels of a node's output; constants that are not finite count as varying."""
        values = np.full(units.shape, np.nan) if constant is None else np.where(np.isfinite(constant), constant, np.nan)
        thin = [place for place, size in enumerate(units.shape) if size == 1][: len(axes) - (units.size == 1)]
        if thin and len(axes) > 1:  # an axis of one entry is none of the grid's
            axes = tuple(axis for place, axis in enumerate(axes) if place not in thin)
            units, values = units.squeeze(tuple(thin)), values.squeeze(tuple(thin))
            ragged = ragged if ragged in axes and len(axes) > 1 else None
        found = Channels(axes, units, values, ragged)
        known = shape_of(value)
        if known is not None and any(not isinstance(known[axis], int) for axis in axes):  # inference gave up
            lengths = dict(zip(axes, units.shape, strict=True))
            value.shape = ir.Shape([lengths.get(axis, dim) for axis, dim in enumerate(known)])
        if len(axes) > 1:
            self.grids.append(Grid(units, found.ragged_index))
        self.channels[value] = found
        return found

    def write_like(self, value: ir.Value, source: Channels, constant: Floats | None = None) -> Channels:
        """Record that an output has the channels of an input, on the same axes."""
        return self.write(value, source.axes, source.units, constant, source.ragged)

    def read(self, value: ir.Value, axes: tuple[int, ...], counts: tuple[int, ...]) -> Channels:
        """The channels of a node's input on these ascending axes.

        Where it has them on more axes, those that differ along the others only are tied. Where it has them on one of
        several axes, a grid is made in which the other axes stay whole. Else all that it has stays, as do the result's.
        """
        known = self.channels.get(value)
        if known is not None:
            shared = tuple(axis for axis in axes if axis in known.axes)
            fits = all(known.units.shape[known.axes.index(axis)] == counts[axes.index(axis)] for axis in shared)
            if shared and fits and (shared == axes or len(shared) == 1):
                narrow = self.narrowed(known, shared)
                return narrow if shared == axes else self._spread(narrow, axes, counts)
        self.pin(value)
        return Channels(axes, self.fresh(*counts, pinned=True), np.full(counts, np.nan))

    def narrowed(self, known: Channels, axes: tuple[int, ...]) -> Channels:
        """The same channels on fewer of their axes: what differs along the others only is tied."""
        if axes == known.axes:
            return known
        places = [known.axes.index(axis) for axis in axes]
        sizes = tuple(known.units.shape[place] for place in places)
        units = np.moveaxis(known.units, places, range(len(places))).reshape(*sizes, -1)
        numbers = np.moveaxis(known.constant, places, range(len(places))).reshape(*sizes, -1)
        first = np.ascontiguousarray(units[..., 0])
        self.tie(np.repeat(first[..., None], units.shape[-1], axis=-1), units)
        same = (numbers == numbers[..., :1]).all(axis=-1)
        ragged = known.ragged if known.ragged in axes and len(axes) > 1 else None
        return Channels(axes, first, np.where(same, numbers[..., 0], np.nan), ragged)

    def _spread(self, narrow: Channels, axes: tuple[int, ...], counts: tuple[int, ...]) -> Channels:
        place = axes.index(narrow.axes[0])
        units = self.fresh(*counts)
        sides = {k: narrow.units if k == place else self.fresh(n, pinned=True) for k, n in enumerate(counts)}
        self.grids.append(Grid(units, None, sides))
        shape = [-1 if k == place else 1 for k in range(len(axes))]
        return Channels(axes, units, np.broadcast_to(narrow.constant.reshape(shape), counts).copy())

    def bar(self, node: ir.Node) -> None:
        """Nothing is known of what this node does to constants that layers share with it: they stay whole."""
        for value in node.inputs:
            if value is not None and value in self.shared:
                self.pin_units(self.shared[value].source.units)
                self.pin_units(self.shared[value].result.units)
            elif value is not None and value.is_initializer():
                self.barred.add(value)

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
