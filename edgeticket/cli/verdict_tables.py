"""Verdicts are printed as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgeticket.cli.output import console

if TYPE_CHECKING:
    from edgeticket.gate.comparison import Comparison

_COLOURS = {"pass": "green", "inconclusive": "yellow", "shown": "dim"}


def print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print rows of a name, a verdict in its colour, and a sentence."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, verdict, sentence in rows:
        table.add_row(Text(name), Text(verdict, _COLOURS.get(verdict, "red")), Text(sentence))
    console().print(table)


def print_comparison(comparison: Comparison, quiet: bool) -> None:
    """Print every gate, the remarks, and the verdict of all."""
    if quiet:
        return
    print_rows((gate.name, gate.verdict, gate.sentence) for gate in comparison.gates)
    for remark in comparison.remarks:
        console().print(remark, markup=False, soft_wrap=True)
    line = f"{comparison.name}: {comparison.verdict} in {comparison.seconds:.0f} s"
    console().print(Text(line, f"bold {_COLOURS.get(comparison.verdict, 'red')}"))
