"""Grids of units in plain numpy: which parts of a grid may go, and what is left of an array when they do.

A value whose channels lie on one axis loses any of them. A value whose channels are spread over several axes, such as
heads and the dimensions of each head, must stay a box. Two ways of it are exact:

    whole slices     what stays is a product of what stays along each axis
    ragged           along one axis, the `ragged` one, each row loses the same number of entries, wherever they are
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]


def along(mask: Bools, axis: int) -> Bools:
    """Which indices of one axis hold anything: [size of the axis]."""
    return np.asarray(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def box(sides: list[Bools]) -> Bools:
    """The product of what stays along each axis."""
    product: Bools = reduce(np.logical_and.outer, sides)
    return product


def evened(mask: Bools, rows: Bools, axis: int) -> Bools:
    """The mask with as many entries along `axis` in each row of `rows` as the fullest row has, one at least.

    `rows` has the other axes. What is added comes first in its row.
    """
    last = np.moveaxis(mask, axis, -1)
    wanted = max(1, int(last.sum(axis=-1)[rows].max(initial=0)))
    missing = wanted - last.sum(axis=-1, keepdims=True)
    added = ~last & (np.cumsum(~last, axis=-1) <= missing) & rows[..., None]
    result: Bools = np.moveaxis((last & rows[..., None]) | added, -1, axis)
    return result


def kept_shape(mask: Bools, ragged: int | None) -> tuple[int, ...]:
    """The shape of the box that is left."""
    sides = [int(along(mask, axis).sum()) for axis in range(mask.ndim)]
    if ragged is not None:
        sides[ragged] = int(mask.sum(axis=ragged).max(initial=0))
    return tuple(sides)


def compact(array: Array, axes: tuple[int, ...], mask: Bools, ragged: int | None = None) -> Array:
    """What is left of an array whose `axes` have the mask's shape. `ragged` is an index into `axes`."""
    if len(axes) == 1:
        return np.compress(mask, array, axis=axes[0])
    ragged = mask.ndim - 1 if ragged is None else ragged
    rows = {index: along(mask, index) for index in range(mask.ndim) if index != ragged}
    for index, kept in rows.items():
        array = np.compress(kept, array, axis=axes[index])
        mask = np.compress(kept, mask, axis=index)
    count = int(mask.sum(axis=ragged).max(initial=0))
    order = np.argsort(~mask, axis=ragged, kind="stable").take(range(count), axis=ragged)
    spread = [1] * array.ndim
    for index in np.argsort(axes):
        spread[axes[index]] = order.shape[index]
    order = order.transpose(np.argsort(axes)).reshape(spread)
    return np.take_along_axis(array, order, axis=axes[ragged])


@dataclass(frozen=True)
class Left:
    """What one cut left of a value: `mask` says which units stay, along `axes`; `ragged` as in compact."""

    axes: tuple[int, ...]
    mask: Bools
    ragged: int | None = None

    def of(self, array: Array) -> Array:
        """That part of an array of the value's shape before the cut.

        Raises:
            ValueError: the array does not have these axes.
        """
        if any(axis >= array.ndim for axis in self.axes) or self.mask.shape != tuple(array.shape[i] for i in self.axes):
            raise ValueError(f"an array of shape {array.shape} has no axes {self.axes} of {self.mask.shape} units")
        return compact(array, self.axes, self.mask, self.ragged)


def folded(dims: Sequence[int | str | None], wanted: Sequence[int | str | None]) -> list[tuple[list[int], list[int]]]:
    """How a Reshape takes axes together: pairs (axes before, axes after) of equally many elements, all of known length.

    Pairs of one axis each may be named dimensions. Axes that no pair holds are mixed in a way that is not known.
    """
    left = _matched(dims, wanted)
    start = (left[-1][0][-1] + 1, left[-1][1][-1] + 1) if left else (0, 0)
    right = _matched(dims[start[0] :][::-1], wanted[start[1] :][::-1])
    turned = [
        (sorted(len(dims) - 1 - axis for axis in before), sorted(len(wanted) - 1 - axis for axis in after))
        for before, after in right[::-1]
    ]
    return left + turned


def _matched(dims: Sequence[int | str | None], wanted: Sequence[int | str | None]) -> list[tuple[list[int], list[int]]]:
    """Pairs from the left, as far as they are certain."""
    pairs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(dims) and j < len(wanted):
        if dims[i] is not None and dims[i] == wanted[j]:
            pairs.append(([i], [j]))
            i, j = i + 1, j + 1
            continue
        first, second = dims[i], wanted[j]
        before, after = [i], [j]
        while isinstance(first, int) and isinstance(second, int) and first != second:
            if first < second:
                i += 1
                following = dims[i] if i < len(dims) else None
                first = first * following if isinstance(following, int) else None
                before.append(i)
            else:
                j += 1
                following = wanted[j] if j < len(wanted) else None
                second = second * following if isinstance(following, int) else None
                after.append(j)
        if not isinstance(first, int) or first != second or first < 1:
            break
        pairs.append((before, after))
        i, j = i + 1, j + 1
    return pairs
