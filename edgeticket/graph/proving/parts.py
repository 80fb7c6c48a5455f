"""Which part of a value is left where the passes removed units, so that it can be compared with its counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.artifact.numbers import is_float
from edgeticket.graph.channels.grid import Left
from edgeticket.graph.proving.finding import Part
from edgeticket.graph.proving.yardstick import largest

Array = NDArray[Any]
_SAME = 1e-9  # of the magnitude: units that differ by less are taken for the same one


def part_left(before: Array, after: Array, left: Sequence[Left] = (), least: float = 0.0) -> Part | None:
    """What takes from an array like `before` the units that are left in `after`; None where nobody knows which are.

    Units that are the same, to `least` of the magnitude, keep their order along one axis. Where they do not, `left`
    decides, which the pass has noted: then the two differ.
    """
    if before.shape == after.shape:
        return _whole
    try:
        noted = _noted(before, left)
    except ValueError:
        return _in_order(before, after, least)
    if noted.shape != after.shape:
        return _in_order(before, after, least)
    part = partial(_noted, left=left)
    return part if _alike(noted, after, _unit(before, least)) else _in_order(before, after, least) or part


def _whole(array: Array) -> Array:
    return array


def _noted(array: Array, left: Sequence[Left]) -> Array:
    return reduce(lambda part, each: each.of(part), left, array)


def _in_order(before: Array, after: Array, least: float) -> Part | None:
    """Each unit of `after` is the next one of `before` that is the same, along the one axis that is shorter."""
    axes = [axis for axis, (old, new) in enumerate(zip(before.shape, after.shape, strict=False)) if old != new]
    if before.ndim != after.ndim or len(axes) != 1 or is_float(before) != is_float(after):
        return None
    old, new = np.moveaxis(before, axes[0], 0), np.moveaxis(after, axes[0], 0)
    same = _unit(before, least)
    places: list[int] = []
    for unit in new:
        start = places[-1] + 1 if places else 0
        places.append(next((place for place in range(start, len(old)) if _alike(old[place], unit, same)), len(old)))
        if places[-1] == len(old):
            return None
    return partial(np.take, indices=places, axis=axes[0])


def _unit(array: Array, least: float) -> float:
    """How far two units may be apart that are the same one."""
    return max(_SAME, least) * largest(array[np.isfinite(array)]) if is_float(array) else 0.0


def _alike(before: Array, after: Array, same: float) -> bool:
    if not is_float(before):
        return bool(np.array_equal(before, after))
    return bool(np.allclose(before, after, 0.0, same, equal_nan=True))
