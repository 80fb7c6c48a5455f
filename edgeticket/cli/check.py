"""`edgeticket check`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeticket.cli.options import write_json


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="For the outputs; a budget names its own.",
)
@click.option("--json", "json_target", metavar="FILE|-", help="Write the result as JSON.")
def check(folder: Path, threads: int, json_target: str | None) -> None:
    """Check the artifact in DIR on this host: hashes, bytes, golden outputs, accuracy, and latency if it has a budget.

    DIR is an artifact, or a ticket's or run's folder with one inside. Needs numpy and onnxruntime alone.
    """
    import json
    import sys

    from edgeticket import api

    outcome = api.check(folder, threads=threads)
    if json_target:
        write_json(json_target, json.loads(outcome.to_json()))
    if json_target != "-":
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        colours = {"pass": "green", "inconclusive": "yellow"}
        for each in outcome.checks:
            colour = colours.get(each.verdict, "red")
            table.add_row(each.name, Text(each.verdict, colour), Text(each.sentence))
        Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
    raise SystemExit(outcome.exit_code)
