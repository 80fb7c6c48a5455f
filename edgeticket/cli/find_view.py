"""`find` prints rows as rounds end, then the table over all trials and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edgeticket import text
from edgeticket.cli.find_progress import Screen
from edgeticket.lottery import api
from edgeticket.lottery.load import load_task
from edgeticket.lottery.request import FindRequest
from edgeticket.lottery.summary import RoundRow
from edgeticket.ticket import store


def find(wanted: FindRequest, *, quiet: bool, to_stderr: bool) -> api.Found:
    """Run the search with bars or lines, then print what came of it."""
    console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
    task = load_task(wanted.reference).with_numbers(wanted.changes)
    with Screen(console, quiet, task.iterations, max(wanted.trials, len(store.trials(wanted.folder)))) as screen:
        screen.print(f"{task.name}: {task.iterations:,} iterations a round, into {wanted.folder}")
        found = api.find(wanted, screen.watcher)
    results = sum(len(record.rounds) + len(record.controls) for record in found.records)
    if not quiet and (
        len(found.records) > 1 or any(record.controls for record in found.records) or screen.rows < results
    ):
        console.print()
        Console(stderr=to_stderr, highlight=False, width=max(console.width, 130)).print(_table(found.rows()))
    for number, sentence in enumerate(found.verdicts):
        console.print(f"trial {number}: {sentence}" if len(found.records) > 1 else sentence, markup=False)
    if not quiet:
        console.print(f"Picture: {found.folder / api.PICTURE}", markup=False)
        if found.exit_code == 0:
            console.print(f"Next: edgeticket export {found.folder}", markup=False)
    return found


def _table(table: Sequence[RoundRow]) -> Table:
    """Draw minimum, mean and maximum of every round and control."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    headers = ("mean (min-max)", "trials", "weights left", "stops at", "validation", "test", "test at the end")
    for number, header in enumerate(headers):
        shown.add_column(header, justify="left" if number == 0 else "right", no_wrap=True)
    for row in table:
        shown.add_row(
            row.label,
            str(row.trials),
            text.percent(row.density),
            row.stop_iteration.shown(0),
            row.validation_metric.shown(),
            row.test_metric.shown(),
            row.test_metric_end.shown(),
        )
    return shown


def show_forecast(forecast: api.Forecast) -> None:
    """Print what `--dry-run` says."""
    console = Console(highlight=False, soft_wrap=True)
    shares = ", ".join(text.percent(density) for density in forecast.densities)
    threads = "1 thread" if forecast.threads == 1 else f"{forecast.threads} threads"
    trials = (
        f"in each of {forecast.trials} trials, {forecast.side_by_side} side by side, " if forecast.trials > 1 else ""
    )
    console.print(f"Into {forecast.folder}: {len(forecast.densities) - 1} rounds; weights left: {shares}", markup=False)
    console.print(
        f"{forecast.trainings} trainings of about {text.duration(forecast.seconds_per_round)} {trials}"
        f"on {forecast.device} with {threads}: about {text.duration(forecast.seconds)}. Nothing was written.",
        markup=False,
    )
