"""Plots as a page draws them: every label whole, every value in words, and an axis that the medians decide."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from edgeticket.report import plots
from edgeticket.report.plots import Quantiles
from edgeticket.report.render import figure


class Texts(HTMLParser):
    """The pieces of text on a page, unescaped, and the style of every element."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.styles: list[str] = []

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.styles += [value or "" for name, value in attrs if name == "style"]


def parsed(html: str) -> Texts:
    parser = Texts()
    parser.feed(html)
    return parser


def texts(html: str) -> list[str]:
    return parsed(html).found


def microseconds(value: float) -> str:
    return f"{value:.1f} µs"


def spread(p50: float, p90: float | None = None, p99: float | None = None, label: str = "a") -> Quantiles:
    return Quantiles(label, 0.99 * p50, p50, 1.01 * p50, p90, p99, strong=True)


def drawn(*rows: Quantiles) -> plots.Plot:
    return plots.spreads([rows], "Latency", "µs", microseconds)


def marks(row: plots.Row, kind: str) -> list[plots.Mark]:
    return [mark for mark in row.marks if mark.kind == kind]


def test_bars_hold_their_labels_and_values() -> None:
    html = figure(plots.bars([("dense", 10.0, "10 B"), ("this", 1.0, "1 B")], strong=1, title="Bytes"))
    assert {"dense", "this", "10 B", "1 B", "Bytes"} <= set(texts(html))
    assert html.count("strong-mark") == 1


def test_bars_are_as_long_as_their_values() -> None:
    found = plots.bars([("dense", 10.0, "10 B"), ("this", 1.0, "1 B")], strong=1, title="Bytes")
    assert [row.marks[0].end for row in found.rows] == [100, 10]


def test_a_drawing_is_the_same_every_time() -> None:
    def draw() -> str:
        rows = [("a", 1.0, 2.0, "1 → 2 %"), ("b", 0.0, 0.0, "0 %")]
        return figure(plots.pairs(rows, title="Zeros", names=("before", "after")))

    assert draw() == draw()


def test_what_is_zero_has_no_bar() -> None:
    found = plots.pairs([("a", 1.0, 2.0, ""), ("b", 0.0, 0.5, "")], title="Zeros", names=("before", "after"))
    assert [[(mark.kind, mark.end) for mark in row.marks] for row in found.rows] == [
        [("above", 50), ("below", 100)],
        [("below", 25)],
    ]


def test_missing_percentiles_are_not_drawn() -> None:
    full = figure(drawn(spread(1.0, 1.2, 1.4)))
    bare = figure(drawn(spread(1.0)))
    assert full.count("strong-mark") > bare.count("strong-mark") > 0


def test_a_single_sample_is_a_bar() -> None:
    [row] = drawn(Quantiles("a", None, 2.0, None, None, None, strong=False)).rows
    assert [mark.kind for mark in row.marks] == ["bar"]


@pytest.mark.parametrize("name", ["a$b$c", "<b>&", "x" * 80, "_under_^score", "层权重", "שכבה"])
def test_any_name_can_be_a_label(name: str) -> None:
    html = figure(plots.pairs([(name, 1.0, 2.0, "1 → 2 %")], title="t", names=("before", "after")))
    assert name in texts(html)


def test_it_scales_with_the_page() -> None:
    html = figure(drawn(spread(1.0, 1.2, 1.4)))
    placed = [style for style in parsed(html).styles if "left" in style or "width" in style]
    assert placed
    assert all(part.endswith("%") for style in placed for part in style.split(";"))


def test_one_outlier_does_not_squeeze_the_medians() -> None:
    calm, struck = drawn(spread(20.0, 21.0, 22.0), spread(10.0, 11.0, 12.0)), drawn(
        spread(20.0, 21.0, 8_000.0), spread(10.0, 11.0, 12.0)
    )  # fmt: skip
    assert marks(calm.rows[0], "bar")[0].end > 80
    assert marks(struck.rows[0], "bar")[0].end > 60
    assert plots.axis_limit([spread(20.0, 21.0, 8_000.0)]) == pytest.approx(plots.MOST_TAIL * 20)


def test_what_lies_beyond_the_axis_is_marked_and_given_as_a_number() -> None:
    struck, calm = drawn(spread(20.0, 21.0, 8_000.0), spread(20.0, 21.0, 22.0)).rows
    assert (struck.beyond, calm.beyond) == ("p99 8000.0 µs", "")
    assert len(marks(struck, "beyond")) == 1
    assert not marks(calm, "beyond")
    assert [mark.start for mark in marks(struck, "tick")] == [pytest.approx(100 * 21 / 32)]
    assert "p99 8000.0 µs" in texts(figure(drawn(spread(20.0, 21.0, 8_000.0))))
    assert "beyond the axis" not in texts(figure(drawn(spread(20.0, 21.0, 22.0))))


def test_no_mark_leaves_the_track() -> None:
    rows = drawn(spread(20.0, 9_000.0, 10_000.0), spread(3.0, 4.0, 5.0), Quantiles("b", 1, 2, 70, 80, 90, False)).rows
    assert all(0 <= mark.start <= mark.end <= 100 for row in rows for mark in row.marks)


@pytest.mark.parametrize("limit", [0.00031, 0.9, 1.0, 3.3, 12.65, 99.0, 100.0, 1_700.0, 123_456.0])
def test_the_ticks_are_few_and_round(limit: float) -> None:
    ticks = plots.axis_ticks(limit)
    assert ticks[0] == 0
    assert 2 <= len(ticks) - 1 <= plots.TICKS
    assert ticks[-1] <= limit
    step = f"{ticks[1]:e}".partition("e")[0].rstrip("0").rstrip(".")
    assert step in {"1", "2", "5"}
