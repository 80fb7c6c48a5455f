"""`edgeticket bench`, `compare` and `trend`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeticket.cli.options import counts, input_shape, names, write_json


@click.command()
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="MODEL...")
@click.option("--providers", type=names, default="cpu", show_default=True, help="cpu, sparse, or any installed.")
@click.option("--threads", type=counts, default="1", show_default=True, metavar="N,...", help="Threads to measure at.")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="For each provider and threads."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random orders.")
@click.option(
    "--input-shape",
    "input_shapes",
    type=input_shape,
    multiple=True,
    metavar="NAME=1x3x32x32",
    help="For free axes of ONNX files; repeatable.",
)
@click.option("--json", "json_target", metavar="FILE|-", help="Write the result, with every sample, as JSON.")
@click.option("--append", metavar="FILE", help="Add a line to this history; `edgeticket trend` reads it.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def bench(models: tuple[Path, ...], json_target: str | None, append: str | None, quiet: bool, **given: Any) -> None:
    """Measure MODELs side by side: percentiles with intervals, cold and warm load, first inference, peak memory.

    A MODEL is an artifact, a folder with one inside, or an ONNX file. Ctrl-C exits 130 and keeps what was measured.
    """
    from rich.console import Console

    from edgeticket import api
    from edgeticket.benchmark import history
    from edgeticket.cli.verdict_tables import print_bench

    console = Console(stderr=True, highlight=False)
    console.quiet = quiet or not console.is_terminal
    done = api.bench(
        models,
        providers=given["providers"],
        threads=given["threads"],
        seconds=given["seconds"],
        seed=given["seed"],
        input_shapes=dict(given["input_shapes"]),
        watch=lambda label, count: console.print(
            f"{label}: {count} processes", end="\r" if console.is_terminal else "\n"
        ),
    )
    document = done.document()
    if json_target:
        write_json(json_target, document)
    if append and document["measurements"] and not done.interrupted:  # half a run is no point of a trend
        history.append(Path(append), document)
    if json_target != "-" and not quiet:
        print_bench(done)
    if done.interrupted:
        click.echo("edgeticket: interrupted; what was measured is kept", err=True)
    raise SystemExit(done.exit_code)


@click.command()
@click.argument("first", type=click.Path(path_type=Path), metavar="A.json")
@click.argument("second", type=click.Path(path_type=Path), metavar="B.json")
def compare(first: Path, second: Path) -> None:
    """What two results of `bench --json` allow one to conclude, and what not. Exits 3 where that is nothing."""
    from edgeticket import api

    sentences, comparable = api.compare(first, second)
    for sentence in sentences:
        click.echo(sentence)
    raise SystemExit(0 if comparable else 3)


@click.command()
@click.argument("history", type=click.Path(path_type=Path), metavar="history.jsonl")
@click.option("--json", "json_target", metavar="FILE|-", help="Write the series and change points as JSON.")
def trend(history: Path, json_target: str | None) -> None:
    """Where latency changed for good, in a history that --append wrote: a report, never a gate."""
    from dataclasses import asdict

    from edgeticket import api

    found = api.trend(history)
    if json_target:
        write_json(json_target, [asdict(each) | {"levels_ms": each.levels_ms()} for each in found])
    if json_target != "-":
        for each in found:
            for sentence in each.sentences():
                click.echo(sentence)
