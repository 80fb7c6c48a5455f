"""How a result shows itself: aligned lines where it is printed, a table in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from edgeticket.text import plural

MOST_ROWS = 24  # of one table; the rest is counted


@dataclass(frozen=True)
class Table:
    """A title, rows of cells with or without a header and a footer, and sentences below."""

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    sentences: Sequence[str] = ()
    footer: Sequence[str] = ()

    def text(self) -> str:
        """Columns are as wide as their widest cell."""
        lines = [line for line in (self.header, *self.rows[:MOST_ROWS], self.footer) if line] if self.rows else []
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, *aligned, *self._below()])

    def html(self) -> str:
        """The same as HTML; whatever stands in it is escaped."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.header)
        above = f"<thead><tr>{head}</tr></thead>" if head else ""
        body = [*self.rows[:MOST_ROWS], *([self.footer] if self.footer else [])]
        lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in body)
        table = f"<table>{above}<tbody>{lines}</tbody></table>" if self.rows else ""
        below = "".join(f"<p>{escape(sentence)}</p>" for sentence in self._below())
        return f"<div><p><strong>{escape(self.title)}</strong></p>{table}{below}</div>"

    def _below(self) -> list[str]:
        left = len(self.rows) - MOST_ROWS
        return [*([f"... and {plural(left, 'more row')}"] if left > 0 else []), *self.sentences]


class ShowsTable(ABC):
    """A result with a `table`, which is its repr and what a notebook draws. Its class needs dataclass(repr=False)."""

    @property
    @abstractmethod
    def table(self) -> Table:
        """What is shown."""

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()
