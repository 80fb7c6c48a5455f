"""Which units are needed: backwards from what is pinned, through every weight that is not zero."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.crossing import crossings, evenly
from edgeticket.graph.channels.grid import along, box, evened
from edgeticket.graph.channels.records import Bools, Grid, Linear, Units
from edgeticket.graph.channels.state import State

_BLOCKED = frozenset(["Conv", "ConvInteger", "QLinearConv"])
_ATTEMPTS = 4  # rounds in which convolutions are aligned one by one


class Liveness:
    """The units that stay, so that every remaining channel keeps its value and no tensor becomes empty.

    `boxed` is False while the question is what anybody needs, whether or not the rest can be taken out of a grid.
    With `lanes` above 1 convolutions keep a multiple of it, where they had as many: see _align. `aligned` counts the
    dead channels that stay for that.
    """

    def __init__(self, state: State, *, boxed: bool = True, lanes: int = 1) -> None:
        self._state = state
        self._roots = _representatives(state)
        self._live = np.zeros(len(state.parents), np.bool_)
        self._boxed = boxed
        self._crossings: dict[int, tuple[Units, Units, Units]] | None = None
        self.aligned = 0
        if state.pinned:
            self._live[self._roots[list(state.pinned)]] = True
        self._spread()
        while (empty := self._an_empty_value()) is not None:
            self._live[self._roots[state.channels[empty].units.flat[0]]] = True
            self._spread()
        while lanes > 1 and self._align(lanes, alike=True):
            self._spread()
        attempts = 0
        while lanes > 1 and attempts < _ATTEMPTS and self._align(lanes, alike=False):
            attempts += 1
            self._spread()

    def keep(self, units: Units) -> Bools:
        """True for each unit that stays, in the units' shape."""
        kept: Bools = self._live[self._roots[units]]
        return kept

    def roots(self, units: Units) -> Units:
        """The representative of each unit, in the units' shape."""
        return np.asarray(self._roots[units])

    def needs(self, unit: int) -> bool:
        """Whether one unit stays."""
        return bool(self._live[self._roots[unit]])

    def empty(self, value: ir.Value) -> bool:
        """Nothing of a followed value stays."""
        channels = self._state.channels.get(value)
        return channels is not None and not self.keep(channels.units).any()

    def dropped(self, node: ir.Node) -> bool:
        """Nothing of what the node makes stays."""
        made = [output for output in node.outputs if output in self._state.channels]
        return bool(made) and all(self.empty(output) for output in made)

    def _spread(self) -> None:
        changed = True
        while changed:
            before = int(np.count_nonzero(self._live))
            for needs in reversed(self._state.needs):
                self._live[self._roots[needs.source[self.keep(needs.result)]]] = True
            for linear in reversed(self._state.linears):
                self._read(linear)
            if self._boxed:
                for grid in self._state.grids:
                    self._close(grid)
            changed = int(np.count_nonzero(self._live)) > before

    def _read(self, linear: Linear) -> None:
        """What a result that stays is computed from stays."""
        assert linear.used is not None
        groups, outputs, _ = linear.used.shape
        missing = ~self.keep(linear.source.units)
        if not missing.any():
            return
        stays = self.keep(linear.result.units).reshape(groups, outputs)
        rows = linear.used[:, stays[0]] if groups == 1 else linear.used & stays[..., None]
        needed = rows.any(axis=1)
        self._live[self._roots[linear.source.units[needed.reshape(-1) & missing]]] = True

    def _close(self, grid: Grid) -> None:
        """Fill a grid up until it is a box again."""
        mask = self.keep(grid.units)
        beside = {axis: self.keep(units) for axis, units in grid.sides.items()}
        sides = [along(mask, axis) for axis in range(mask.ndim)]
        for axis, kept in beside.items():
            sides[axis] = sides[axis] | kept
        if any(not sides[axis].any() for axis in beside) or not any(side.any() for side in sides):
            return
        for side in sides:
            if not side.any():
                side[0] = True
        if grid.ragged is None:
            filled = box(sides)
        else:
            rows = box([side for axis, side in enumerate(sides) if axis != grid.ragged])
            filled = evened(self._crossed(grid, mask) if rows.all() else mask, rows, grid.ragged)
        self._live[self._roots[grid.units[filled]]] = True
        for axis, units in grid.sides.items():
            self._live[self._roots[units[sides[axis]]]] = True

    def _crossed(self, grid: Grid, mask: Bools) -> Bools:
        """Keep what would unbalance a grid, or one that has its units in other rows. Returns the mask of what stays."""
        if self._crossings is None:
            self._crossings = crossings(self._state.grids, self._roots)
        if id(grid) not in self._crossings:
            return mask
        units, here, there = self._crossings[id(grid)]
        dead = ~self._live[units]
        counts = np.zeros((here.max() + 1, there.max() + 1), np.int64)
        np.add.at(counts, (here[dead], there[dead]), 1)
        left = evenly(counts, len(units) // len(counts) - 1)
        for row, column in np.argwhere(counts > left).tolist():
            both = units[dead & (here == row) & (there == column)]
            self._live[both[: counts[row, column] - left[row, column]]] = True
        return self.keep(grid.units)

    def _align(self, lanes: int, *, alike: bool) -> bool:
        """Let dead channels stay where a convolution is left with an odd number of them; whether there were any.

        ONNX Runtime computes a convolution in blocks of channels only where it reads a multiple of 4, or reads less
        than a block; a depthwise one where it makes a multiple of 4 (nchwc_transformer.cc). Otherwise it is far slower;
        in 8 bits it multiplies four at a time, and 29 channels took a fifth longer than 28, and longer than 32.
        Groups of several channels would have to be multiples of a whole block each, so a multiple of 4 gains nothing.
        With `alike`, every set of channels that the same convolutions read is made a multiple. Where that is not enough
        because a set has too few, one convolution after the other may unbalance others, so that this is tried only
        some times.
        """
        before = self.aligned
        read = [
            self._roots[(linear.source if linear.groups == 1 else linear.result).units]
            for linear in self._state.linears
            if linear.node.op_type in _BLOCKED and not 1 < linear.groups < linear.source.count
        ]
        read = [units for units in read if np.count_nonzero(self._live[units]) >= 2 * lanes]
        readers = np.zeros(len(self._live), np.int64)
        for units in read:
            readers[np.unique(units)] += 1
        for units in _read_alike(read, len(self._live)) if alike else read:
            dead = np.unique(units[~self._live[units]])
            left = int(np.count_nonzero(self._live[units]))
            missing = -left % lanes
            if 0 < missing <= len(dead):
                # What other convolutions read too would unbalance them.
                self._live[dead[np.argsort(readers[dead], kind="stable")[:missing]]] = True
                self.aligned += missing
        return self.aligned > before

    def _an_empty_value(self) -> ir.Value | None:
        """The first value that would have no channel left although something still reads it."""
        droppable: dict[ir.Value, bool] = {}
        for value in reversed(self._state.channels):
            droppable[value] = self.empty(value) and all(
                use.node in self._state.followed and self._does_without(use.node, droppable) for use in value.uses()
            )
        return next((value for value, drop in droppable.items() if self.empty(value) and not drop), None)

    def _does_without(self, node: ir.Node, droppable: dict[ir.Value, bool]) -> bool:
        """May this reader lose the whole input? It is dropped itself, or it is a Concat of other operands too."""
        made = [output for output in node.outputs if output in self._state.channels]
        if not made:
            return False
        return all(droppable[output] for output in made) or (node.op_type == "Concat" and not self.empty(made[0]))


def _read_alike(read: list[Units], size: int) -> list[Units]:
    """The same units, in the sets that are read by the same convolutions."""
    marks = np.zeros(size, np.uint64)
    for units, mark in zip(read, np.random.default_rng(0).integers(1, 2**63, len(read), np.uint64), strict=True):
        marks[np.unique(units)] ^= mark
    units = np.unique(np.concatenate(read)) if read else np.zeros(0, np.int64)
    return [units[marks[units] == mark] for mark in np.unique(marks[units])]


def _representatives(state: State) -> Units:
    """The representative of every unit, by following all parents at once."""
    roots: Units = np.array(state.parents, np.int64)
    while not np.array_equal(further := roots[roots], roots):
        roots = further
    return roots
