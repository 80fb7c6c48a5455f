"""Outputs of two networks side by side, output by output and batch by batch, and how far they may lie apart.

The tolerance and its derivation are in proof.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

FACTOR = 8.0
ULPS = 16.0
ULPS_WITHOUT_REFERENCE = 1024.0
_ULP = 2.0**-23


@dataclass(frozen=True)
class Yardstick:
    """Per output: r, and e itself; `missing` says why there is no float64 reference."""

    relative: Mapping[str, float]
    absolute: Mapping[str, float]
    missing: str = ""

    def tolerance(self, name: str, scale: float) -> float:
        if self.missing:
            return ULPS_WITHOUT_REFERENCE * _ULP * scale
        return (FACTOR * self.relative.get(name, 0.0) + ULPS * _ULP) * scale


@dataclass
class Tally:
    """What the batches so far came to."""

    max_delta: float = 0.0
    worst_share: float = -1.0  # of its tolerance
    worst: tuple[float, float, float, str] = (0.0, 0.0, 0.0, "")  # delta, tolerance, float64 error, output
    agreeing: int = 0
    ranked: int = 0
    samples: int = 0
    nonfinite: int = 0
    nonfinite_differ: int = 0
    refutation: str = ""


def add(tally: Tally, expected: Mapping[str, Array], found: Mapping[str, Array], yardstick: Yardstick) -> None:
    """One batch's outputs."""
    ranked = False
    for name, before in expected.items():
        after = found[name]
        if not isinstance(before, np.ndarray):
            if before != after:
                tally.refutation = f"output {name!r}, which is not a tensor, changed"
        elif before.shape != after.shape or before.dtype != after.dtype:
            tally.refutation = f"output {name!r} is {after.dtype}{after.shape}, not {before.dtype}{before.shape}"
        elif not is_float(before):
            if not np.array_equal(before, after):
                tally.refutation = f"output {name!r} changed in {int(np.sum(before != after))} of {before.size} entries"
        else:
            _add_floats(tally, name, before, after, yardstick)
            if not ranked and before.ndim == 2 and before.shape[1] > 1:
                ranked = True
                tally.agreeing += int(np.sum(before.argmax(axis=1) == after.argmax(axis=1)))
                tally.ranked += len(before)


def _add_floats(tally: Tally, name: str, before: Array, after: Array, yardstick: Yardstick) -> None:
    finite = np.isfinite(before)
    strange = ~finite
    tally.nonfinite += int(np.sum(strange))
    tally.nonfinite_differ += int(np.sum(strange & ~((before == after) | (np.isnan(before) & np.isnan(after)))))
    old, new = before[finite].astype(np.float64), after[finite].astype(np.float64)
    if not np.all(np.isfinite(new)):
        tally.refutation = f"output {name!r} became NaN or infinite in {int(np.sum(~np.isfinite(new)))} entries"
        return
    delta = float(np.max(np.abs(old - new), initial=0.0))
    tolerance = yardstick.tolerance(name, float(np.max(np.abs(old), initial=0.0)))
    tally.max_delta = max(tally.max_delta, delta)
    share = delta / tolerance if tolerance > 0 else (np.inf if delta > 0 else 0.0)
    if share > tally.worst_share:
        tally.worst_share = share
        tally.worst = (delta, tolerance, yardstick.absolute.get(name, 0.0), name)


def is_float(array: Array) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return all(
        a.tobytes() == second[name].tobytes() if isinstance(a, np.ndarray) else a == second[name]
        for name, a in first.items()
    )
