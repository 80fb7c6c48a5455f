"""What a report is laid out of: tiles, sections, tables and plots, all of finished text."""

from __future__ import annotations

from dataclasses import dataclass

from edgeticket.report.plots import Plot


@dataclass(frozen=True)
class ReportTable:
    """Cells of text. The first column is left-aligned; so are those in `prose`, all others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: tuple[int, ...] = ()
    strong: int | None = None  # the row that speaks of this artifact


@dataclass(frozen=True)
class Fold:
    """A table that a page shows on request, under one line that says what it holds."""

    summary: str
    table: ReportTable


@dataclass(frozen=True)
class Section:
    """A heading, sentences, at most one plot and one table, a folded table, and notes in small print."""

    title: str
    sentences: tuple[str, ...] = ()
    table: ReportTable | None = None
    plot: Plot | None = None
    fold: Fold | None = None
    notes: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The title as the end of a link: 'Loading and memory' -> 'loading-and-memory'."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Card:
    """A headline number, what it is, and what it is compared with."""

    label: str
    value: str
    detail: str


def rows_of(count: int, most: int) -> list[int]:
    """How many of `count` tiles share the row of each, at `most` a row: (5, 3) -> [2, 2, 3, 3, 3].

    The rows differ by one tile at most and the shorter ones come first, so every row is full and no tile is left over.
    """
    lines = -(-count // most)
    shorter, longer = count // lines, count % lines
    return [shorter] * (shorter * (lines - longer)) + [shorter + 1] * ((shorter + 1) * longer)
