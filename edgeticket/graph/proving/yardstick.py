"""How far an output may move by rounding alone: measured on the network, and never so far that it says nothing.

The original runs in float32 on the runtime, y32, and in float64, y64 (graph/double/). For each output, over the usual
feeds, e = max |y32 - y64| of a feed and s = max |y64| of it give r = max e / s. Where the largest |output| is S,
    rounding = 8 r S + 16 u S + 1e-30,        u = 2**-23 for float32
8 = 2 x 4: two evaluations that round in their own order, and the largest error over all inputs exceeds the largest
over the samples (for errors with normal tails by 1.9 from 64 outputs to a million; 4 leaves room for heavier ones).
The second term, 16 units in the last place, covers samples whose outputs float32 happens to hit exactly. The last is
for what some processors flush to zero and others do not.

An output's range is max - min over the usual feeds together, or over the feed itself where that is more. A feed at
which the original itself errs by more than 1 % of that range says nothing about the output, and the tolerance is never
more than that share:
    tolerance = min(rounding, range / 100)
An output that is the same number everywhere, to 64 units in the last place, has its magnitude for a range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.artifact.numbers import NEGLIGIBLE, is_float

Array = NDArray[Any]

FACTOR = 8.0
ULPS = 16.0
ULPS_WITHOUT_REFERENCE = 1024.0
CONSTANT_ULPS = 64.0
SHARE = 0.01  # of an output's range
SINGLE = 2.0**-23


@dataclass(frozen=True)
class Allowed:
    """What rounding explains, and how much of it is a tolerance that says something."""

    rounding: float
    tolerance: float


@dataclass(frozen=True)
class Yardstick:
    """How far the original in float32 lies from float64 at each output; `missing` says why there is no float64.

    `relative` holds r and `absolute` e of this module, `ranges` the range, by the output's name. `unmeasured` are
    outputs of which no usual feed could testify. `unit` is u of the coarsest type in the network.
    """

    relative: Mapping[str, float] = field(default_factory=dict)
    absolute: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, float] = field(default_factory=dict)
    unmeasured: frozenset[str] = frozenset()
    unit: float = SINGLE
    missing: str = ""

    def range_of(self, name: str, scale: float, own: float) -> float:
        """The range of an output; `scale` and `own` are the largest |value| and max - min in the feed at hand."""
        found = max(own, self.ranges.get(name, 0.0))
        return found if found > CONSTANT_ULPS * self.unit * scale else scale

    def testifies(self, name: str, error: float, scale: float, own: float) -> bool:
        """Is the original's own error in a feed small enough for that feed to say something?"""
        return error <= max(SHARE * self.range_of(name, scale, own), NEGLIGIBLE)

    def allowed(self, name: str, scale: float, own: float, error: float = 0.0) -> Allowed:
        """How far an output may move in a feed with this scale and range, and this error of the original."""
        if self.missing:
            rounding = ULPS_WITHOUT_REFERENCE * self.unit * scale + NEGLIGIBLE
        else:
            measured = max(self.relative.get(name, 0.0) * scale, error)
            rounding = FACTOR * measured + ULPS * self.unit * scale + NEGLIGIBLE
        return Allowed(rounding, min(rounding, max(SHARE * self.range_of(name, scale, own), NEGLIGIBLE)))

    def atol(self, name: str, output: Array, error: float = 0.0) -> float:
        """How far an output recorded on this host may lie from the same on another; 0 where it is not of floats.

        `error` is how far the same file was seen to move on this input when nothing but its rounding changed.
        """
        if not is_float(output):
            return 0.0
        finite = output[np.isfinite(output)].astype(np.float64)
        return self.allowed(name, largest(finite), span(finite), error).tolerance


def measured(
    singles: Sequence[Mapping[str, Array]], doubles: Sequence[Mapping[str, Array] | None], unit: float
) -> Yardstick:
    """The yardstick from usual feeds: outputs in float32 of each, and in float64 where it was run."""
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for outputs in singles:
        for name, array in outputs.items():
            if not is_float(array):
                continue
            finite = array[np.isfinite(array)]
            if finite.size:
                lows[name] = min(float(finite.min()), lows.get(name, np.inf))
                highs[name] = max(float(finite.max()), highs.get(name, -np.inf))
    ranges = {name: highs[name] - low for name, low in lows.items()}
    plain = Yardstick(ranges=ranges, unit=unit)
    relative: dict[str, float] = {}
    absolute: dict[str, float] = {}
    for outputs, wide in zip(singles, doubles, strict=True):
        if wide is None:
            continue
        for name in lows:
            if name not in wide or name not in outputs or wide[name].shape != outputs[name].shape:
                continue
            finite = np.isfinite(outputs[name]) & np.isfinite(wide[name])
            exact = wide[name][finite].astype(np.float64)
            error, scale = largest(outputs[name][finite].astype(np.float64) - exact), largest(exact)
            if not finite.any() or not plain.testifies(name, error, scale, span(exact)):
                continue
            absolute[name] = max(absolute.get(name, 0.0), error)
            tiny = scale <= np.finfo(np.float32).tiny  # float32 has nothing to err with
            relative[name] = max(relative.get(name, 0.0), 0.0 if tiny else error / scale)
    return Yardstick(relative, absolute, ranges, frozenset(set(lows) - set(relative)), unit)


def largest(array: Array) -> float:
    """The largest |value|; 0 of nothing."""
    return float(np.max(np.abs(array), initial=0.0))


def span(array: Array) -> float:
    """max - min; 0 of nothing."""
    return float(array.max() - array.min()) if array.size else 0.0
