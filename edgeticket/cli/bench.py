"""`edgeticket bench`, `compare` and `trend`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeticket.cli import options, values
from edgeticket.cli.output import console, write_json
from edgeticket.errors import Exit


@click.command()
@click.argument("models", type=click.Path(), callback=values.paths, nargs=-1, required=True, metavar="MODEL...")
@options.providers
@options.thread_counts
@options.seconds
@options.seed
@options.input_shapes
@options.json("the result, with every sample,")
@options.append
@options.quiet
def bench(json_target: str | None, append: str | None, quiet: bool, **asked: Any) -> None:
    """Measure MODELs side by side: percentiles with intervals, cold and warm load, first inference, peak memory.

    A MODEL is an artifact, a folder with one inside, or an ONNX file. Ctrl-C exits 130 and keeps what was measured.
    """
    from rich.console import Console

    from edgeticket import api
    from edgeticket.benchmark import history
    from edgeticket.benchmark.request import BenchRequest

    progress = Console(stderr=True, highlight=False)
    progress.quiet = quiet or not progress.is_terminal
    done = api.bench_models(
        BenchRequest(**asked), lambda label, count: progress.print(f"{label}: {count} processes", end="\r")
    )
    document = done.document()
    if json_target:
        write_json(json_target, document)
    if append and document["measurements"] and not done.interrupted:  # half a run is no point of a trend
        history.append(Path(append), document)
    if json_target != "-" and not quiet:
        _print(done)
    if done.interrupted:
        click.echo("edgeticket: interrupted; what was measured is kept", err=True)
    raise SystemExit(done.exit_code)


def _print(done: Any) -> None:
    """Show the models side by side, and the remarks below."""
    from rich.table import Table
    from rich.text import Text

    from edgeticket.benchmark.figures import HEADER, rows

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in HEADER:
        table.add_column(head, no_wrap=head.startswith("p"))
    for row in rows(done.figures):
        table.add_row(*map(Text, row))
    console().print(table)
    for remark in done.remarks:
        console().print(remark, markup=False, soft_wrap=True)


@click.command()
@click.argument("first", type=click.Path(), callback=values.paths, metavar="A.json")
@click.argument("second", type=click.Path(), callback=values.paths, metavar="B.json")
def compare(first: Path, second: Path) -> None:
    """Say what two results of `bench --json` allow one to conclude, and what not. Exits 3 where that is nothing."""
    from edgeticket import api

    found = api.compare(first, second)
    for sentence in found.sentences:
        click.echo(sentence)
    raise SystemExit(Exit.YES if found.comparable else Exit.INCONCLUSIVE)


@click.command()
@click.argument("history", type=click.Path(), callback=values.paths, metavar="history.jsonl")
@options.json("the series and change points")
def trend(history: Path, json_target: str | None) -> None:
    """Say where latency changed for good in a history that --append wrote. This is a report, never a gate."""
    from dataclasses import asdict

    from edgeticket import api

    found = api.trend(history)
    if json_target:
        write_json(json_target, [asdict(each) | {"levels_ms": each.levels_ms()} for each in found])
    if json_target != "-":
        for each in found:
            for sentence in each.sentences():
                click.echo(sentence)
