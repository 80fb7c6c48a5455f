"""The options that several commands have, each written once; a command puts them on as decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edgeticket.cli import values

Command = TypeVar("Command", bound=Callable[..., Any])

FILE_OR_STDOUT = click.Path(allow_dash=True)  # '-' is standard output
FILE = click.Path()


def document(name: str, of: str, dest: str | None = None) -> Callable[[Command], Command]:
    """Make an option that names a file for a document, or '-' for standard output."""
    return click.option(name, *([dest] if dest else []), type=FILE_OR_STDOUT, metavar="FILE|-", help=of)


def json(what: str) -> Callable[[Command], Command]:
    """Make `--json`, which says where `what`, the result, goes as JSON."""
    return document("--json", f"Write {what} as JSON.", "json_target")


append = click.option(
    "--append", type=FILE, metavar="FILE", help="Add a line to this history; `edgeticket trend` reads it."
)
quiet = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
seed = click.option("--seed", type=int, default=0, show_default=True, help="Of the random orders.")
seconds = click.option(
    "--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="For each provider and threads."
)
thread_counts = click.option(
    "--threads", type=values.counts, default="1", show_default=True, metavar="N,...", help="Threads to measure at."
)
providers = click.option(
    "--providers",
    type=values.names,
    default="cpu",
    show_default=True,
    help="cpu, sparse (the engine), or any installed.",
)
input_shapes = click.option(
    "--input-shape",
    "input_shapes",
    type=values.input_shape,
    multiple=True,
    callback=lambda _context, _parameter, pairs: dict(pairs),
    metavar="NAME=1x3x32x32",
    help="Try an ONNX file's inputs with these free axes; repeatable.",
)
budget_ms = click.option(
    "--budget-ms", type=click.FloatRange(min=0, min_open=True), help="What the median inference may take."
)
budget_host = click.option(
    "--budget-host",
    default="any",
    show_default=True,
    metavar="any|this|FINGERPRINT",
    help="Where the budget holds; elsewhere it is inconclusive.",
)


def tolerance(name: str, dest: str, default: str = "off", **shown: Any) -> Callable[[Command], Command]:
    """Make an option that says how much larger a measured figure may be than the baseline's: a share, or off."""
    return click.option(name, dest, type=values.tolerance, default=default, metavar="SHARE|off", **shown)


def growth(name: str, dest: str, default: str = "off", **shown: Any) -> Callable[[Command], Command]:
    """Make an option that says how much larger a count may be than the baseline's: a share, 0 for none, or off."""
    return click.option(name, dest, type=values.share, default=default, metavar="SHARE|off", **shown)
