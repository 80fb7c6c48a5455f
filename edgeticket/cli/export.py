"""`edgeticket export`."""

from __future__ import annotations

from typing import Any

import click

from edgeticket.cli import options, values
from edgeticket.cli.output import console, write_json


@click.command()
@click.argument("source", type=click.Path(), callback=values.paths)
@click.option(
    "--out",
    type=click.Path(),
    callback=values.paths,
    help="The artifact's folder.  [default: artifact inside a ticket's folder, NAME-artifact beside NAME.onnx]",
)
@click.option("--round", type=click.IntRange(min=0), help="Another round than the ticket's.")
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
    help="How float32 values rest on disk; other types rest as they are.",
)
@options.budget_ms
@options.budget_host
@click.option(
    "--budget-threads", type=click.IntRange(min=1), default=1, show_default=True, help="The threads it is for."
)
@click.option("--no-bench", is_flag=True, help="Do not measure latency, load time and memory.")
@options.input_shapes
@click.option("--fix-shape", is_flag=True, help="Write the shapes of --input-shape into the artifact.")
@click.option(
    "--upgrade-opset",
    is_flag=True,
    help="Convert an opset below 11 even where operators may change their meaning; the proof decides.",
)
@options.json("the report")
@options.quiet
def export(no_bench: bool, json_target: str | None, quiet: bool, **asked: Any) -> None:
    """Export SOURCE as an artifact: an ordinary ONNX file, small, proved and measured.

    SOURCE is a ticket's or run's folder, or any ONNX file with zeros in it. An earlier artifact at --out is replaced as
    a whole. A budget is judged by `check`. Exits 1 and writes nothing where an output moved too far, 3 where the
    runtime cannot run the model.
    """
    import json

    from rich.console import Console

    from edgeticket import api

    with Console(stderr=True, quiet=quiet).status("exporting: simplify, store, prove, measure"):
        exported = api.export(bench=not no_bench, **asked)
    if json_target:
        write_json(json_target, json.loads((exported.folder / "report.json").read_text(encoding="utf-8")))
    if json_target != "-" and not quiet:
        _print(exported)
    raise SystemExit(int(exported.exit_code))


def _print(exported: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from edgeticket.report import view

    table = Table(box=None, pad_edge=False, show_header=False)
    for card in view.cards(exported.content):
        table.add_row(card.label, Text(card.value, "bold"), Text(card.detail))
    screen = console()
    screen.print(table)
    screen.print(view.zeros_sentence(exported.content), soft_wrap=True, markup=False)
    why = Table(box=None, pad_edge=False, show_header=False)
    for reason in view.reasons(exported.content):
        why.add_row(Text(reason.label, "bold"), Text(reason.sentence))
    if why.row_count:
        screen.print("\nNot done, or changed, and why:", why, sep="\n")
    screen.print()
    screen.print(f"report: {exported.folder / 'report.html'}", soft_wrap=True, markup=False)
