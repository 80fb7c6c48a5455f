"""Parameter types (functions: click's own class of them is generic in new versions only) and JSON output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import click


def density(value: str) -> float:
    """A share of the weights: '3.6%' or '0.036'."""
    text = value.strip()
    try:
        share = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a density; write 3.6% or 0.036") from error
    if not 0 < share <= 1:
        raise click.BadParameter(f"{value!r} is not between 0 and 100 %; write 3.6% or 0.036")
    return share


def input_shape(value: str) -> tuple[str, tuple[int, ...]]:
    """An input's name and its shape: 'x=1x3x32x32'."""
    name, _, axes = value.rpartition("=")
    parts = axes.lower().split("x")
    if not name or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not an input's shape; write NAME=1x3x32x32")
    return name, tuple(int(part) for part in parts)


@contextmanager
def standard_output_kept_for_json(kept: bool) -> Iterator[None]:
    """While this lasts, whatever a user's task or its processes print goes to standard error instead."""
    if not kept:
        yield
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def write_json(target: str, document: object) -> None:
    """A document to a file, or to standard output for '-'."""
    import json

    from edgeticket.files import write_atomic

    data = (json.dumps(document, indent=1) + "\n").encode()
    if target == "-":
        click.echo(data, nl=False)
    else:
        write_atomic(Path(target), data)
