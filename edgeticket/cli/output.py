"""Commands write to a console as wide as its reader, and write documents that no full disk and no print() spoils."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


def console(log_width: int = 200) -> Console:
    """Make a console as wide as the terminal; a log has no width to keep to and gets `log_width` columns."""
    from rich.console import Console

    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: the process was started with it closed
    return Console(highlight=False, width=None if on_terminal else log_width)


@contextmanager
def standard_output_kept_for_json(kept: bool) -> Iterator[None]:
    """Send whatever a user's task or its processes print to standard error while this lasts."""
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
    """Write a document to a file, or to standard output for '-'.

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
    """Write a file. Returns (None, False), or where it is kept instead and whether that is standard output.

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
