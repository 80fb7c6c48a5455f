"""The tally of a proof: outputs of two networks compared batch by batch, each held to the tolerance of proof.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

FACTOR = 8.0
ULPS = 16.0
ULPS_WITHOUT_REFERENCE = 1024.0
_ULP = 2.0**-23


@dataclass(frozen=True)
class Yardstick:
    """How far float32 lies from float64 at each output; `missing` says why there is no float64 reference.

    `absolute` holds e and `relative` r = e / s of proof.py, by the output's name.
    """

    relative: Mapping[str, float]
    absolute: Mapping[str, float]
    missing: str = ""

    def tolerance(self, name: str, scale: float) -> float:
        """How far an output may move in a batch whose largest |output| is `scale`."""
        if self.missing:
            return ULPS_WITHOUT_REFERENCE * _ULP * scale
        return (FACTOR * self.relative.get(name, 0.0) + ULPS * _ULP) * scale


@dataclass
class Tally:
    """Sums and extremes over all batches so far."""

    max_delta: float = 0.0
    worst_share: float = -1.0  # of its tolerance
    worst: tuple[float, float, float, str] = (0.0, 0.0, 0.0, "")  # delta, tolerance, float64 error, output
    agreeing: int = 0
    ranked: int = 0
    samples: int = 0
    nonfinite: int = 0
    nonfinite_differ: int = 0
    discrete: int = 0  # entries that are no floats: class numbers, flags, texts
    discrete_differ: int = 0
    compared: dict[str, int] = field(default_factory=dict)  # output -> entries that there was something to compare of
    refutation: str = ""

    @property
    def never_compared(self) -> list[str]:
        """The outputs of which no batch had a finite number."""
        return [name for name, count in self.compared.items() if not count]

    def add_batch(
        self, expected: Mapping[str, Array], found: Mapping[str, Array], yardstick: Yardstick, *, exact: bool = True
    ) -> None:
        """Count one batch. Without `exact` values move on purpose, and so may what is chosen by their order."""
        ranked = False
        for name, before in expected.items():
            after = found[name]
            self.compared.setdefault(name, 0)
            if not isinstance(before, np.ndarray):  # a sequence or a map
                self._add_discrete(name, int(not _equal(before, after)), 1, exact)
            elif before.shape != after.shape or (before.dtype != after.dtype and before.dtype.kind != "U"):
                self.refutation = f"output {name!r} is {after.dtype}{after.shape}, not {before.dtype}{before.shape}"
            elif not is_float(before):
                self._add_discrete(name, int(np.sum(before != after)), before.size, exact)
            else:
                self._add_floats(name, before, after, yardstick)
                if not ranked and before.ndim == 2 and before.shape[1] > 1:
                    ranked = True
                    self.agreeing += int(np.sum(before.argmax(axis=1) == after.argmax(axis=1)))
                    self.ranked += len(before)

    def _add_discrete(self, name: str, differ: int, size: int, exact: bool) -> None:
        self.compared[name] += size
        self.discrete += size
        self.discrete_differ += differ
        if differ and exact:
            self.refutation = f"output {name!r} changed in {differ} of {size} entries"

    def _add_floats(self, name: str, before: Array, after: Array, yardstick: Yardstick) -> None:
        finite = np.isfinite(before)
        strange = ~finite
        self.compared[name] += int(np.sum(finite))
        self.nonfinite += int(np.sum(strange))
        self.nonfinite_differ += int(np.sum(strange & ~((before == after) | (np.isnan(before) & np.isnan(after)))))
        old, new = before[finite].astype(np.float64), after[finite].astype(np.float64)
        if not np.all(np.isfinite(new)):
            self.refutation = f"output {name!r} became NaN or infinite in {int(np.sum(~np.isfinite(new)))} entries"
            return
        delta = float(np.max(np.abs(old - new), initial=0.0))
        tolerance = yardstick.tolerance(name, float(np.max(np.abs(old), initial=0.0)))
        self.max_delta = max(self.max_delta, delta)
        share = delta / tolerance if tolerance > 0 else (np.inf if delta > 0 else 0.0)
        if share > self.worst_share:
            self.worst_share = share
            self.worst = (delta, tolerance, yardstick.absolute.get(name, 0.0), name)


def is_float(array: object) -> bool:
    """Is it a tensor of floats? The runtime returns lists and maps as well."""
    return isinstance(array, np.ndarray) and bool(np.issubdtype(array.dtype, np.floating))


def _equal(before: object, after: object) -> bool:
    """Are they alike, tensors inside sequences and maps included?"""
    if isinstance(before, np.ndarray) or isinstance(after, np.ndarray):
        return bool(np.array_equal(np.asarray(before), np.asarray(after)))
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(_equal(a, b) for a, b in zip(before, after, strict=True))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_equal(each, after[key]) for key, each in before.items())
    return bool(before == after)


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Are the outputs of two runs the same, bit by bit?"""
    return all(
        a.tobytes() == second[name].tobytes() if isinstance(a, np.ndarray) else _equal(a, second[name])
        for name, a in first.items()
    )
