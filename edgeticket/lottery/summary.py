"""Several trials as one table: minimum, mean and maximum per round, for the tickets and for the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from edgeticket import text
from edgeticket.ticket.kinds import ControlKind
from edgeticket.ticket.record import Control, Record, Round


@dataclass(frozen=True)
class Spread:
    """Minimum, mean and maximum of one number over trials."""

    minimum: float
    mean: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take the spread of at least one value."""
        return cls(min(values), sum(values) / len(values), max(values))

    def shown(self, digits: int = 2) -> str:
        """Format as '97.90 (97.80-98.02)', or as the mean alone where all values are equal."""
        if self.minimum == self.maximum:
            return f"{self.mean:,.{digits}f}"
        return f"{self.mean:,.{digits}f} ({self.minimum:,.{digits}f}-{self.maximum:,.{digits}f})"


@dataclass(frozen=True)
class RoundRow:
    """One round, or one control of it, over all trials. Metrics in their own unit."""

    kind: str  # 'ticket', or a ControlKind
    round: int
    trials: int
    density: float
    stop_iteration: Spread
    validation_metric: Spread
    test_metric: Spread
    test_metric_end: Spread
    seconds: Spread

    @property
    def label(self) -> str:
        """'round 3' of the tickets, 'reinit 3' of a control."""
        return f"{'round' if self.kind == 'ticket' else self.kind} {self.round}"


def rows(records: Sequence[Record]) -> list[RoundRow]:
    """Return the rows of the table: tickets first, by round, then the controls."""
    at = records[0].choice.at
    groups: dict[tuple[str, int], list[Round | Control]] = {}
    for record in records:
        for result in record.rounds:
            groups.setdefault(("ticket", result.number), []).append(result)
        for control in record.controls:
            groups.setdefault((control.kind.value, control.round), []).append(control)
    order = ["ticket", *ControlKind]
    return [
        RoundRow(
            kind=kind,
            round=number,
            trials=len(group),
            density=group[0].density,
            stop_iteration=Spread.of([item.early_stop.iteration for item in group]),
            validation_metric=Spread.of([item.at(at).validation_metric for item in group]),
            test_metric=Spread.of([item.at(at).test_metric for item in group]),
            test_metric_end=Spread.of([item.end.test_metric for item in group]),
            seconds=Spread.of([item.seconds for item in group]),
        )
        for (kind, number), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def verdict(record: Record) -> str:
    """Say in one sentence which round is the ticket, or that there is none."""
    at, metric, unit = record.choice.at, record.metric.name, record.metric.unit
    points = f"{record.choice.tolerance:g}" + (" points" if unit == "%" else "")
    dense = record.rounds[0].at(at)
    if record.ticket is None and len(record.rounds) == 1:
        return (
            "No ticket: only the dense network was trained, and a ticket is a pruned round "
            f"({metric} {dense.validation_metric:.2f}{unit} {at.words}). "
            "The same command with more --rounds goes on from here"
        )
    if record.ticket is None:
        return (
            f"No ticket: no round of {len(record.rounds) - 1} comes within {points} of dense on validation "
            f"({metric} {dense.validation_metric:.2f}{unit} {at.words}). "
            "A larger --tolerance, a later --rewind or more iterations may find one; all rounds are kept"
        )
    chosen = record.rounds[record.ticket]
    here = chosen.at(at)
    return (
        f"Ticket: round {chosen.number}, {text.percent(chosen.density)} of the weights; "
        f"{metric} {at.words}: "
        f"validation {here.validation_metric:.2f}{unit} (dense {dense.validation_metric:.2f}{unit}), "
        f"test {here.test_metric:.2f}{unit} (dense {dense.test_metric:.2f}{unit})"
    )


def as_json(records: Sequence[Record]) -> dict[str, Any]:
    """Everything a script wants: each trial's record (the contents of its ticket.json) and the table over all."""
    return {
        "task": records[0].task,
        "trials": [msgspec.to_builtins(record) for record in records],
        "summary": [asdict(row) for row in rows(records)],
    }


def from_json(document: Mapping[str, Any]) -> list[Record]:
    """The records in what `as_json` gave."""
    return [msgspec.convert(trial, Record) for trial in document["trials"]]
