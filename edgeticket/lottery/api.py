"""`edgeticket.find`: the whole search as one function call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeticket.errors import Exit
from edgeticket.files import write_atomic
from edgeticket.lottery import run
from edgeticket.lottery.load import default_folder, load_task
from edgeticket.lottery.plot import picture
from edgeticket.lottery.settings import Goal, Settings
from edgeticket.lottery.summary import Row, as_json, rows, verdict
from edgeticket.lottery.task import Task
from edgeticket.lottery.watcher import Silent, Watcher
from edgeticket.ticket.record import Record

PICTURE = "rounds.png"


@dataclass(frozen=True)
class Found:
    """What a search came to: one Record a trial."""

    folder: Path
    records: tuple[Record, ...]

    @property
    def exit_code(self) -> Exit:
        """YES where at least one trial has a ticket: the one `export` would take."""
        return Exit.YES if any(record.ticket is not None for record in self.records) else Exit.NO

    @property
    def verdicts(self) -> list[str]:
        """One sentence a trial."""
        return [verdict(record) for record in self.records]

    def rows(self) -> list[Row]:
        """Minimum, mean and maximum over the trials, by round."""
        return rows(self.records)

    def as_json(self) -> dict[str, Any]:
        """Every number."""
        return as_json(self.records)


@dataclass(frozen=True)
class Forecast:
    """What a search would do. Seconds are of this machine, from a few iterations."""

    folder: Path
    densities: tuple[float, ...]
    seconds_per_round: float
    threads: int
    device: str
    trainings: int  # of one trial
    trials: int
    side_by_side: int

    @property
    def seconds(self) -> float:
        """All trainings of all trials."""
        return self.trainings * self.seconds_per_round * math.ceil(self.trials / self.side_by_side)

    def as_json(self) -> dict[str, Any]:
        """Every number."""
        return {**asdict(self), "folder": str(self.folder), "seconds": self.seconds}


def request(
    task: str | Task = "lenet-digits",
    *,
    out: Path | None = None,
    data_dirs: Sequence[Path] = (),
    rounds: int | None = None,
    until: float | None = None,
    rewind: str | int = "init",
    one_shot: bool = False,
    seed: int = 0,
    trials: int = 1,
    controls: Sequence[str] = (),
    control_trials: int = 3,
    control_rounds: Sequence[int] | None = None,
    tolerance: float | None = None,
    at: str = "early-stop",
    changes: Mapping[str, float] | None = None,
    keep_test: int | None = None,
    threads: int | None = None,
    device: str = "auto",
) -> run.Request:
    """The arguments of `find`, as one value.

    Args:
        task: a built-in name, 'file.py:name', 'package.module:name', or a Task (then one trial only).
        out: the run's folder; by default runs/TASK. The same folder goes on where it was.
        until: a density, 0.036 for 3.6 %.
        rewind: 'init' (θ0), an iteration K (θK), or 'lr' (learning-rate rewinding).
        controls: of 'reinit' and 'random-mask'.
        tolerance: how far below dense, in points of the metric, a ticket may be on validation; by default 0.5 for a
            metric in percent, and to be given for any other.
        at: 'early-stop' or 'end': the iteration at which networks are compared.
    """
    return run.Request(
        reference=task,
        folder=out or default_folder(task, load_task(task)),
        changes=dict(changes or {}),
        data_dirs=tuple(data_dirs),
        settings=Settings(seed=seed, rewind=str(rewind), one_shot=one_shot, device=device),
        threads=threads,
        trials=trials,
        goal=Goal(
            rounds=rounds,
            until=until,
            tolerance=tolerance,
            at=at,
            controls=tuple(dict.fromkeys(controls)),
            control_trials=control_trials,
            control_rounds=None if control_rounds is None else tuple(control_rounds),
            keep_test=keep_test,
        ),
    )


def find(wanted: run.Request, watcher: Callable[[int], Watcher] = lambda _number: Silent()) -> Found:
    """Find the tickets of `request(...)`, or go on finding them.

    Raises:
        EdgeticketError: see edgeticket.errors; finished rounds are kept whatever happens.
    """
    records = run.find(wanted, watcher)
    write_atomic(wanted.folder / PICTURE, picture(records))
    return Found(wanted.folder, tuple(records))


def forecast(wanted: run.Request) -> Forecast:
    """How long `find` would take here; nothing is written."""
    lottery, seconds = run.forecast(wanted)
    goal, last = wanted.goal, lottery.last_round()
    rounds = [number for number in goal.control_rounds or range(1, last + 1) if number <= last]
    controls = len(goal.controls) * goal.control_trials * len(rounds)
    return Forecast(
        wanted.folder,
        tuple(lottery.densities()),
        seconds,
        lottery.settings.threads,
        lottery.settings.device,
        last + 1 + controls,
        wanted.trials,
        run.lanes(wanted, lottery.settings.threads),
    )
