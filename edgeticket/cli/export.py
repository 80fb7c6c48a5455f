"""`edgeticket export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeticket.cli.options import input_shape, write_json


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The artifact's folder.  [default: artifact inside a ticket's folder, NAME-artifact beside NAME.onnx]",
)
@click.option("--round", "round_number", type=click.IntRange(min=0), help="Another round than the ticket's.")
@click.option(
    "--storage",
    type=click.Choice(["auto", "dense", "gaps", "sparse-initializer"]),
    default="auto",
    show_default=True,
    help="How zeros rest on disk.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="How values rest on disk.",
)
@click.option(
    "--budget-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="What the median inference may take; `check` judges it.",
)
@click.option(
    "--budget-host", default="any", show_default=True, metavar="any|this|FINGERPRINT", help="Where the budget holds."
)
@click.option(
    "--budget-threads", type=click.IntRange(min=1), default=1, show_default=True, help="The threads it is for."
)
@click.option("--no-bench", is_flag=True, help="Do not measure latency, load time and memory.")
@click.option(
    "--input-shape",
    "input_shapes",
    type=input_shape,
    multiple=True,
    metavar="NAME=1x3x32x32",
    help="For free axes of an ONNX file; repeatable.",
)
@click.option("--json", "json_target", metavar="FILE|-", help="Write the report as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def export(
    source: Path,
    out: Path | None,
    round_number: int | None,
    storage: str,
    weights: str,
    budget_ms: float | None,
    budget_host: str,
    budget_threads: int,
    no_bench: bool,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
    json_target: str | None,
    quiet: bool,
) -> None:
    """Export SOURCE as an artifact: an ordinary ONNX file, small, proved and measured.

    SOURCE is a ticket's or run's folder, or any ONNX file with zeros in it. An earlier artifact at --out is replaced as
    a whole. Exits 1 and writes nothing where an output moved too far, 3 where the runtime cannot run the model.
    """
    import json

    from rich.console import Console

    from edgeticket import api

    with Console(stderr=True, quiet=quiet).status("exporting: simplify, store, prove, measure"):
        exported = api.export(
            source,
            out=out,
            round=round_number,
            storage=storage,
            weights=weights,
            budget_ms=budget_ms,
            budget_host=budget_host,
            budget_threads=budget_threads,
            bench=not no_bench,
            input_shapes=dict(input_shapes),
        )
    if json_target:
        write_json(json_target, json.loads((exported.folder / "report.json").read_text(encoding="utf-8")))
    if json_target != "-" and not quiet:
        _print(exported)
    raise SystemExit(int(exported.exit_code))


def _print(exported: Any) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from edgeticket.report import view

    table = Table(box=None, pad_edge=False, show_header=False)
    for card in view.cards(exported.content):
        table.add_row(card.label, Text(card.value, "bold"), Text(card.detail))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)
    console.print(f"{view.zeros_sentence(exported.content)}\n", soft_wrap=True, markup=False)
    console.print(f"report: {exported.folder / 'report.html'}", soft_wrap=True, markup=False)
