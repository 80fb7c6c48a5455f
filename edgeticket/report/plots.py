"""Plots as data: rows of marks on a track, placed in % of its width. The page draws them as boxes of HTML.

Boxes take the width that the page has while letters keep their size, so one drawing serves a screen, a phone and paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Shown = Callable[[float], str]  # a value as text

MOST_TAIL = 1.6  # an axis of spreads ends at this multiple of the largest median, however far the slowest samples lie
MEDIANS_ROOM = 1.15  # and at this multiple where no sample of note lies beyond
TICKS = 5  # at most, besides the 0


@dataclass(frozen=True)
class Mark:
    """One box on a track, from `start` to `end` in % of the width.

    `kind` is 'bar', 'above' or 'below' (half a bar), 'tail' (a thin line), 'middle' (a line on top of the bar), 'tick'
    or 'beyond' (the mark of a break: what it stands for lies to the right of the axis).
    """

    kind: str
    start: float
    end: float
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """A label, its marks, the value as text, and the value that lies farthest beyond the axis, as text."""

    label: str
    marks: tuple[Mark, ...]
    value: str
    beyond: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Plot:
    """A title, groups of rows, the ticks of the axis as (place in %, text), and a legend of (kind of mark, text)."""

    title: str
    groups: tuple[tuple[Row, ...], ...]
    ticks: tuple[tuple[float, str], ...] = ()
    legend: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all groups."""
        return tuple(row for group in self.groups for row in group)

    @property
    def label_letters(self) -> int:
        """The width of the longest label, in letters."""
        return max(len(row.label) for row in self.rows)

    @property
    def value_letters(self) -> int:
        """The width of the longest value, in letters."""
        return max(len(part) for row in self.rows for part in (row.value, row.beyond)) + 1


@dataclass(frozen=True)
class Quantiles:
    """The percentiles of one quantity; a percentile that the samples do not give is None."""

    label: str
    p25: float | None
    p50: float
    p75: float | None
    p90: float | None
    p99: float | None
    strong: bool


def bars(rows: Sequence[tuple[str, float, str]], strong: int, title: str) -> Plot:
    """Horizontal bars of (label, value, value as text) from 0; row `strong` is set off."""
    most = max(value for _, value, _ in rows)
    drawn = [
        Row(label, (Mark("bar", 0, _share(value, most), place == strong),), shown, strong=place == strong)
        for place, (label, value, shown) in enumerate(rows)
    ]
    return Plot(title, (tuple(drawn),))


def pairs(rows: Sequence[tuple[str, float, float, str]], title: str, names: tuple[str, str]) -> Plot:
    """Two bars a row of (label, first, second, both as text), with a legend of the two `names`; 0 has no bar."""
    most = max(max(first, second) for _, first, second, _ in rows)
    drawn = []
    for label, first, second, shown in rows:
        places = (Mark("above", 0, _share(first, most)), Mark("below", 0, _share(second, most), strong=True))
        drawn.append(Row(label, tuple(mark for mark in places if mark.end), shown))
    return Plot(title, (tuple(drawn),), legend=(("plain", names[0]), ("strong", names[1])))


def spreads(groups: Sequence[Sequence[Quantiles]], title: str, unit: str, show: Shown) -> Plot:
    """A bar to each median with the middle half of its samples, and a thin tail to p99 with a tick at p90 and p99.

    Args:
        unit: of every number, for the axis.
        show: how a value reads.
    """
    limit = axis_limit([spread for group in groups for spread in group])
    legend = [("strong", "median"), ("middle", "middle half of the samples"), ("tick", "p90, p99")]
    drawn = tuple(tuple(_spread(spread, limit, show) for spread in group) for group in groups)
    if any(row.beyond for group in drawn for row in group):
        legend.append(("beyond", "beyond the axis"))
    ticks = tuple((_share(value, limit), f"{value:g} {unit}" if value else "0") for value in axis_ticks(limit))
    return Plot(title, drawn, ticks, tuple(legend))


def axis_limit(found: Sequence[Quantiles]) -> float:
    """Where the axis ends. The medians decide: one slow sample in a hundred must not press them together."""
    most = max(spread.p50 for spread in found)
    slowest = max(max(spread.p75 or 0, spread.p90 or 0, spread.p99 or 0) for spread in found)
    return min(max(MEDIANS_ROOM * most, 1.03 * slowest), MOST_TAIL * most) or 1.0


def axis_ticks(limit: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from 0 to `limit`, at most TICKS of them besides the 0."""
    power = 10.0 ** math.floor(math.log10(limit / TICKS))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if limit / step <= TICKS)
    return [float(f"{count * step:.6g}") for count in range(math.floor(limit / step + 1e-9) + 1)]


def _spread(spread: Quantiles, limit: float, show: Shown) -> Row:
    marks = tuple(_marks(spread, limit))
    far = [f"{name} {show(value)}" for name, value in _tail(spread) if value > limit]
    return Row(spread.label, marks, show(spread.p50), far[-1] if far else "", spread.strong)


def _tail(spread: Quantiles) -> list[tuple[str, float]]:
    """The percentiles beyond the median that the samples give, by name."""
    return [(name, value) for name, value in (("p90", spread.p90), ("p99", spread.p99)) if value is not None]


def _marks(spread: Quantiles, limit: float) -> Iterator[Mark]:
    median = _share(spread.p50, limit)
    places = [_share(value, limit) for _, value in _tail(spread)]
    if places:
        yield Mark("tail", median, places[-1], spread.strong)
    yield Mark("bar", 0, median, spread.strong)
    for place, (_, value) in zip(places, _tail(spread), strict=True):
        if value <= limit:
            yield Mark("tick", place, place, spread.strong)
    if any(value > limit for _, value in _tail(spread)):
        yield Mark("beyond", 100, 100, spread.strong)
    if spread.p25 is not None and spread.p75 is not None:
        yield Mark("middle", _share(spread.p25, limit), _share(spread.p75, limit))


def _share(value: float, most: float) -> float:
    """In % of the track, at most 100."""
    return round(100 * min(value / most, 1.0), 3) if most > 0 else 0.0
