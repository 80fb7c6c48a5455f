"""What a trial is asked for: how far it prunes, which controls it trains, and how good its ticket must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeticket.errors import InputError
from edgeticket.lottery.task import Task
from edgeticket.ticket.kinds import At, ControlKind
from edgeticket.ticket.metrics import Metric
from edgeticket.ticket.pruning import PrunableLayer, rounds_until
from edgeticket.ticket.record import Choice, Record


@dataclass(frozen=True)
class Goal:
    """What may be raised or changed later without training anything again."""

    rounds: int | None = None
    until: float | None = None
    tolerance: float | None = None  # 0.5 points, where the metric is in percent
    at: At = At.EARLY_STOP
    controls: tuple[ControlKind, ...] = ()
    control_trials: int = 3
    control_rounds: tuple[int, ...] | None = None
    keep_test: int | None = None


def tolerance_of(goal: Goal, task: Task) -> float:
    """How far below dense, in points of the task's metric, a ticket may be.

    Raises:
        InputError: the goal does not say, and the default of 0.5 points means something in percent only; or it says
            more than the metric can fall.
    """
    metric = task.metric_of
    if goal.tolerance is not None:
        if metric.unit == "%" and goal.tolerance > 100:
            raise InputError(
                f"--tolerance {goal.tolerance:g}: every round is within it, as {metric.name} runs from 0 to 100 %; "
                "give points, as in 0.5"
            )
        return goal.tolerance
    if metric.unit != "%":
        raise InputError(
            f"task {task.name!r}: its metric {metric.name!r} is not in percent, so 0.5 points mean nothing "
            "for it: say with --tolerance, in the metric's own unit, how much worse than dense a ticket may be"
        )
    return 0.5


def last_round(goal: Goal, task: Task, layers: Sequence[PrunableLayer]) -> int:
    """The round that the goal ends with."""
    if goal.rounds is not None and goal.until is None:
        return goal.rounds
    last = rounds_until(layers, task.scope, task.until if goal.until is None else goal.until)
    return last if goal.rounds is None else min(goal.rounds, last)


def control_rounds(goal: Goal, last: int) -> tuple[int, ...]:
    """The rounds that have controls, where a trial ends with round `last`."""
    return tuple(number for number in goal.control_rounds or range(1, last + 1) if number <= last)


def controls_left(goal: Goal, record: Record, last: int) -> list[tuple[ControlKind, int, int]]:
    """The controls that are left to run, as (kind, round, trial)."""
    there = {(control.kind, control.round, control.trial) for control in record.controls}
    return [
        (kind, number, trial)
        for kind in goal.controls
        for trial in range(goal.control_trials)
        for number in control_rounds(goal, last)
        if (kind, number, trial) not in there
    ]


def round_of_ticket(record: Record, choice: Choice, metric: Metric) -> int | None:
    """The sparsest round within the tolerance of dense on validation, never round 0; None where there is none."""
    dense = record.rounds[0].at(choice.at).validation_metric
    found = [
        result.number
        for result in record.rounds[1:]
        # a hair above the tolerance is the rounding of a percentage, not a worse network
        if metric.loss_against(result.at(choice.at).validation_metric, dense) <= choice.tolerance + 1e-9
    ]
    return found[-1] if found else None
