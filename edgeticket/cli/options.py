"""Parameter types (functions: click's own class of them is generic in new versions only) and JSON output."""

from __future__ import annotations

import os
import sys
import tempfile
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
    """A document to a file, or to standard output for '-'.

    Raises:
        StorageError: the disk refused it; the sentence says where it is kept instead.
    """
    import json

    from edgeticket.errors import StorageError

    data = (json.dumps(document, indent=1) + "\n").encode()
    if target == "-":
        click.echo(data, nl=False)
        return
    failed, _ = written_or_kept(target, data, stdout_taken=False)
    if failed:
        raise StorageError(failed)


def written_or_kept(target: str, data: bytes, *, stdout_taken: bool) -> tuple[str | None, bool]:
    """Write a file; (None, False), or a sentence on where it is kept instead, and whether that is standard output.

    What the disk refuses goes where temporary files go; what is refused there too is printed, on standard output or,
    where that holds another document, on standard error, so that what took an hour to measure is not lost.
    """
    from edgeticket.errors import StorageError
    from edgeticket.files import write_atomic

    try:
        write_atomic(Path(target), data, "choose another file")
    except StorageError as error:
        spare = Path(tempfile.gettempdir()) / f"edgeticket-{os.getpid()}-{Path(target).name}"
        try:
            write_atomic(spare, data)
        except StorageError:
            click.echo(data, nl=False, err=stdout_taken)
            where = "error" if stdout_taken else "output"
            return f"{error} The result stands on standard {where}.", not stdout_taken
        return f"{error} The result is kept in {spare}.", False
    return None, False


def share(value: str) -> float | None:
    """A tolerance: '5%' or '0.05' as a share; 'off' is None."""
    text = value.strip().lower()
    if text == "off":
        return None
    try:
        found = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a tolerance; write 5%, 0.05 or off") from error
    if not 0 <= found <= 10:
        raise click.BadParameter(f"{value!r} is not between 0 and 1000 %; write 5%, 0.05 or off")
    return found


def points(value: str) -> float | None:
    """A drop in the metric's unit: '0.5'; 'off' is None."""
    if value.strip().lower() == "off":
        return None
    try:
        found = float(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a number of points; write 0.5 or off") from error
    if not 0 <= found < float("inf"):
        raise click.BadParameter(f"{value!r} is not 0 or more; write 0.5 or off")
    return found


def counts(value: str) -> tuple[int, ...]:
    """Numbers of threads: '1,2'."""
    parts = value.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} are no numbers of threads; write 1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def names(value: str) -> tuple[str, ...]:
    """Names with commas between them: 'cpu,sparse'."""
    found = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if not found:
        raise click.BadParameter("give one name at least, as in cpu,sparse")
    return found
