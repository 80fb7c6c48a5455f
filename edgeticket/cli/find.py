"""`edgeticket find` and `edgeticket tasks`."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from edgeticket.cli import options, values
from edgeticket.cli.output import standard_output_kept_for_json, write_json
from edgeticket.lottery.builtin import DEFAULT, NAMES
from edgeticket.lottery.criteria import CRITERIA
from edgeticket.lottery.criteria import DEFAULT as DEFAULT_CRITERION
from edgeticket.ticket.kinds import At, ControlKind


def _tasks(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer a shell the built-in names that begin so, or else files."""
    return [CompletionItem(name) for name in NAMES if name.startswith(typed)] or [CompletionItem(typed, type="file")]


@click.command()
@click.argument("task", default=DEFAULT, shell_complete=_tasks)
@click.option("--out", type=click.Path(), callback=values.paths, help="The run's folder.  [default: runs/TASK]")
@click.option(
    "--data-dir",
    "data_dirs",
    type=click.Path(),
    callback=values.paths,
    multiple=True,
    help="Where data lie; also EDGETICKET_DATA.",
)
@click.option("--rounds", type=click.IntRange(min=0), help="Stop after this many rounds; 0 trains dense only.")
@click.option("--until", type=values.density, help="Stop at this density: 3.6% or 0.036.  [default: the task's]")
@click.option(
    "--rewind", default="init", show_default=True, metavar="init|K|lr", help="To θ0, to iteration K, or the rate only."
)
@click.option("--one-shot", is_flag=True, help="Prune each round from the dense network, in one cut.")
@click.option(
    "--criterion",
    type=click.Choice(list(CRITERIA)),
    default=DEFAULT_CRITERION,
    show_default=True,
    help="What ranks the weights; those of smallest score are pruned.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of trial 0; trial N has seed + N.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=1, show_default=True, help="Side by side, each with its seed."
)
@click.option(
    "--control",
    "controls",
    type=click.Choice([kind.value for kind in ControlKind]),
    multiple=True,
    help="Also train a control; repeatable.",
)
@click.option(
    "--control-trials", type=click.IntRange(min=1), default=3, show_default=True, help="Trials of each control."
)
@click.option("--control-rounds", type=values.numbers, metavar="N,N,...", help="Rounds to control.  [default: all]")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="How far below dense on validation.  [default: 0.5 points, for a metric in percent]",
)
@click.option(
    "--at",
    type=click.Choice([at.value for at in At]),
    default=At.EARLY_STOP.value,
    show_default=True,
    help="Where networks are compared.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=NUMBER", help="Change a number of the task: --set lr=0.01."
)
@click.option("--keep-test", type=click.IntRange(min=1), help="Keep only so many test examples in the ticket.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Per trial.  [default: the cores, shared by the trials; 1 for a small network]",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done and how long it would take; write nothing.")
@options.json("every number")
@click.option("--quiet", is_flag=True, help="Only the verdict.")
def find(changes: tuple[str, ...], dry_run: bool, json_target: str | None, quiet: bool, **asked: Any) -> None:
    """Find a winning ticket of TASK by iterative magnitude pruning.

    TASK is a built-in name (`edgeticket tasks`), path/to/file.py:name or package.module:name. The same command on the
    same folder goes on where it was. The ticket is the sparsest round whose validation metric is within the tolerance
    of dense; where there is none, the exit code is 1.
    """
    from edgeticket.cli import find_view
    from edgeticket.lottery import api
    from edgeticket.lottery.task import parse_settings

    with standard_output_kept_for_json(json_target == "-"):
        wanted = api.request(changes=parse_settings(changes), **asked)
        predicted = api.forecast(wanted) if dry_run else None
        found = None if dry_run else find_view.find(wanted, quiet=quiet, to_stderr=json_target == "-")
    if predicted is not None and json_target != "-":
        find_view.show_forecast(predicted)
    result = predicted or found
    if json_target and result is not None:
        write_json(json_target, result.as_json())
    if found is not None:
        raise SystemExit(int(found.exit_code))


@click.command()
def tasks() -> None:
    """List the built-in tasks."""
    from rich.console import Console
    from rich.table import Table

    from edgeticket import text
    from edgeticket.lottery.tasks import TASKS

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header, side in (
        ("task", "left"),
        ("iterations", "right"),
        ("batch", "right"),
        ("until", "right"),
        ("", "left"),
    ):
        table.add_column(header, justify="right" if side == "right" else "left", no_wrap=True)
    for name, task in TASKS.items():
        note = f"{task.description}{' (the default)' if name == DEFAULT else ''}"
        table.add_row(name, f"{task.iterations:,}", str(task.batch_size), text.percent(task.until, 1), note)
    Console(width=200, highlight=False).print(table)  # the table is as wide as its words; none are cut
