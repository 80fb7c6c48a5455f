"""A comparison's result goes to files, GitHub and a history. Each is tried, so that a full disk loses one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeticket.cli.output import written_or_kept
from edgeticket.errors import StorageError

if TYPE_CHECKING:
    from edgeticket.gate.comparison import Comparison


@dataclass
class Outputs:
    """The targets that were asked for are set, the others None. `on_stdout`: a document stands on standard output."""

    json: str | None = None
    junit: str | None = None
    bencher: str | None = None
    action_benchmark: str | None = None
    append: str | None = None
    github: bool = False
    on_stdout: bool = False

    def __post_init__(self) -> None:
        self.on_stdout = "-" in (self.json, self.junit, self.bencher, self.action_benchmark)

    def write(self, comparison: Comparison) -> list[str]:
        """Write all of them. Returns a sentence for each that could not be written."""
        from edgeticket.benchmark import history
        from edgeticket.gate import formats

        failed: list[str] = []
        for target, render in (
            (self.json, comparison.to_json),
            (self.junit, lambda: formats.junit(comparison)),
            (self.bencher, lambda: formats.bencher(comparison)),
            (self.action_benchmark, lambda: formats.action_benchmark(comparison)),
        ):
            if target:
                failed += self._written(target, render)
        if self.append and comparison.interrupted:
            failed.append(f"{self.append}: nothing was added, as an interrupted run is no point of a trend")
        elif self.append:
            try:
                history.append(Path(self.append), comparison.document())
            except StorageError as error:
                failed.append(str(error))
        if self.github:
            for line in formats.github_annotations(comparison):
                click.echo(line, err=self.on_stdout)
            failed += _summarised(formats.summary(comparison))
        return failed

    def _written(self, target: str, render: Callable[[], str]) -> list[str]:
        data = render().encode()
        if target == "-":
            click.echo(data, nl=False)
            return []
        failed, printed = written_or_kept(target, data, stdout_taken=self.on_stdout)
        self.on_stdout |= printed
        return [failed] if failed else []


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
