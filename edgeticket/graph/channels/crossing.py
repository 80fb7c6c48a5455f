"""Two layers in groups with a shuffle between them: each group of the one goes to all groups of the other.

Both lose as many channels in each of their groups, so what goes is a table [groups of the one, groups of the other]
of which all rows have one sum, and all columns have one. The largest such table below the numbers of dead channels is
a flow from rows to columns.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.channels.records import Grid, Units

Counts = NDArray[np.int64]


def crossings(grids: list[Grid], roots: Units) -> dict[int, tuple[Units, Units, Units]]:
    """Grids, by id, whose rows may lose any entries, and whose units another one has in other rows.

    For each: the units [n], the row of each unit in this grid, and its row in the other one; a third one is too many.
    `roots` holds the representative of each unit.
    """
    ways: dict[bytes, dict[bytes, Units]] = {}
    of: dict[int, tuple[bytes, bytes, Units]] = {}
    for grid in grids:
        if grid.ragged is None or grid.units.ndim < 2:
            continue
        rows = np.moveaxis(roots[grid.units], grid.ragged, -1).reshape(-1, grid.units.shape[grid.ragged])
        units, first = np.unique(rows, return_index=True)
        if len(units) < rows.size:
            continue
        row = first // rows.shape[1]
        _, opening, number = np.unique(row, return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(opening))[number]  # rows are told apart by which unit they have, not by place
        ways.setdefault(units.tobytes(), {})[number.tobytes()] = number
        of[id(grid)] = units.tobytes(), number.tobytes(), units
    found = {}
    for identity, (key, own, units) in of.items():
        others = [number for name, number in ways[key].items() if name != own]
        if len(others) == 1:
            found[identity] = units, ways[key][own], others[0]
    return found


def evenly(counts: Counts, most: int) -> Counts:
    """The largest table [R, C] below `counts` of which all rows have one sum, at most `most`, and all columns one."""
    rows, columns = counts.shape
    low, high = 0, min(most, int(counts.sum(axis=1).min()), int(counts.sum(axis=0).min()) * columns // rows)
    step = columns // int(np.gcd(rows, columns))  # a sum of rows that columns can share
    best = np.zeros_like(counts)
    low, high = 0, high // step
    while low < high:
        middle = (low + high + 1) // 2
        table = _flow(counts, middle * step, middle * step * rows // columns)
        if table is None:
            high = middle - 1
        else:
            low, best = middle, table
    return best


def _flow(counts: Counts, row: int, column: int) -> Counts | None:
    """A table below `counts` with these sums, by augmenting paths (Ford and Fulkerson 1956); None if there is none."""
    table = np.zeros_like(counts)
    while (short := np.flatnonzero(table.sum(axis=1) < row)).size:
        path = _path(counts, table, int(short[0]), column)
        if path is None:
            return None
        for place, sign in path:
            table[place] += sign
    return table


def _path(counts: Counts, table: Counts, start: int, column: int) -> list[tuple[tuple[int, int], int]] | None:
    """From a row that lacks one to a column that has room, through entries that grow and entries that give way."""
    reached: dict[int, int] = {}  # column -> the row from which it was reached
    left: dict[int, int] = {start: -1}  # row -> the column from which it was reached
    waiting = deque([start])
    while waiting:
        row = waiting.popleft()
        for to in np.flatnonzero(table[row] < counts[row]).tolist():
            if to in reached:
                continue
            reached[to] = row
            if table[:, to].sum() < column:
                return _back(reached, left, to)
            for other in np.flatnonzero(table[:, to]).tolist():
                if other not in left:
                    left[other] = to
                    waiting.append(other)
    return None


def _back(reached: dict[int, int], left: dict[int, int], to: int) -> list[tuple[tuple[int, int], int]]:
    path = []
    while to >= 0:
        row = reached[to]
        path.append(((row, to), 1))
        to = left[row]
        if to >= 0:
            path.append(((row, to), -1))
    return path
