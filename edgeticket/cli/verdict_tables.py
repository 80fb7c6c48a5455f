"""Verdicts are printed as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from edgeticket.cli.output import console

_COLOURS = {"pass": "green", "inconclusive": "yellow", "shown": "dim"}


def print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print rows of a name, a verdict in its colour, and a sentence."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, verdict, sentence in rows:
        table.add_row(Text(name), Text(verdict, _COLOURS.get(verdict, "red")), Text(sentence))
    console().print(table)


def print_report(report: Any, quiet: bool) -> None:
    """Print every gate, the remarks, and the verdict of all."""
    if quiet:
        return
    print_rows((gate.name, gate.verdict, gate.sentence) for gate in report.gates)
    for remark in report.remarks:
        console().print(remark, markup=False, soft_wrap=True)
    line = f"{report.name}: {report.verdict} in {report.seconds:.0f} s"
    console().print(Text(line, f"bold {_COLOURS.get(report.verdict, 'red')}"))
