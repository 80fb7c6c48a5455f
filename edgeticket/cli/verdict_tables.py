"""Verdicts as a table on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS = {"pass": "green", "inconclusive": "yellow", "shown": "dim"}


def console() -> Console:
    """As wide as the terminal, or wide enough for a log."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    """Name, verdict in its colour, sentence."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, verdict, sentence in rows:
        table.add_row(Text(name), Text(verdict, _COLOURS.get(verdict, "red")), Text(sentence))
    console().print(table)


def print_report(report: Any, quiet: bool) -> None:
    """Every gate, the remarks, and the verdict of all."""
    if quiet:
        return
    print_rows((gate.name, gate.verdict, gate.sentence) for gate in report.gates)
    for remark in report.remarks:
        console().print(remark, markup=False, soft_wrap=True)
    line = f"{report.name}: {report.verdict} in {report.seconds:.0f} s"
    console().print(Text(line, f"bold {_COLOURS.get(report.verdict, 'red')}"))


def print_bench(done: Any) -> None:
    """Models side by side, and the remarks."""
    from edgeticket.benchmark.figures import rows

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("model", "on", "p50", "p90", "p99", "cold load", "warm load", "first", "peak memory"):
        table.add_column(head, no_wrap=head.startswith("p"))
    for row in rows(done.figures):
        table.add_row(*map(Text, row))
    console().print(table)
    for remark in done.remarks:
        console().print(remark, markup=False, soft_wrap=True)
