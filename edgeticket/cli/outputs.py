"""Where a comparison's result goes: files, GitHub, a history. Each is tried, so that one full disk loses one file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgeticket.errors import StorageError


@dataclass(frozen=True)
class Outputs:
    """What was asked for; None where it was not."""

    json: str | None = None
    junit: str | None = None
    bencher: str | None = None
    action_benchmark: str | None = None
    append: str | None = None
    github: bool = False

    def write(self, report: Any) -> list[str]:
        """Write all of them. Returns a sentence for each that could not be written."""
        from edgeticket.gate import formats, history

        failed: list[str] = []
        for target, render in (
            (self.json, report.to_json),
            (self.junit, lambda: formats.junit(report)),
            (self.bencher, lambda: formats.bencher(report)),
            (self.action_benchmark, lambda: formats.action_benchmark(report)),
        ):
            if target:
                failed += _written(target, render)
        if self.append:
            try:
                history.append(Path(self.append), report.document())
            except StorageError as error:
                failed.append(str(error))
        if self.github:
            for line in formats.github_annotations(report):
                click.echo(line, err=self.json == "-")
            failed += _summarised(formats.summary(report))
        return failed


def _written(target: str, render: Callable[[], str]) -> list[str]:
    """To a file, or standard output for '-'. What the disk refuses is kept where temporary files go."""
    from edgeticket.files import write_atomic

    data = render().encode()
    if target == "-":
        click.echo(data, nl=False)
        return []
    try:
        write_atomic(Path(target), data)
    except StorageError as error:
        spare = Path(tempfile.gettempdir()) / f"edgeticket-{os.getpid()}-{Path(target).name}"
        try:
            write_atomic(spare, data)
        except StorageError:
            return [str(error)]
        return [f"{error} The result is kept in {spare}."]
    return []


def _summarised(text: str) -> list[str]:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return []
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
    except OSError as error:
        return [f"{path}: the step summary could not be written ({error.strerror or error})"]
    return []
