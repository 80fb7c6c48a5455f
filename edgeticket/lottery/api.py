"""`edgeticket.find`: the whole search as one function call, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeAlias, cast, overload

from edgeticket import text
from edgeticket.arguments import paths_of, several, takes_arguments_of
from edgeticket.errors import Exit, InputError
from edgeticket.files import write_atomic
from edgeticket.lottery import criteria, run
from edgeticket.lottery.builtin import DEFAULT
from edgeticket.lottery.goal import Goal, control_rounds
from edgeticket.lottery.load import default_folder, load_task
from edgeticket.lottery.plot import picture
from edgeticket.lottery.request import FindRequest, lanes
from edgeticket.lottery.settings import Settings, one_of
from edgeticket.lottery.summary import RoundRow, as_json, rows, verdict
from edgeticket.lottery.task import Task
from edgeticket.lottery.watcher import Silent, Watcher
from edgeticket.tables import ShowsTable, Table
from edgeticket.ticket.kinds import At, ControlKind
from edgeticket.ticket.record import Record

P = ParamSpec("P")
Watching: TypeAlias = Callable[[int], Watcher]  # the watcher of each trial, by its number
PICTURE = "rounds.png"


@dataclass(frozen=True, repr=False)
class Found(ShowsTable):
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

    def rows(self) -> list[RoundRow]:
        """Minimum, mean and maximum over the trials, by round."""
        return rows(self.records)

    @property
    def table(self) -> Table:
        """What is shown: a line for each round and control, and a sentence a trial."""
        header = ("", "weights left", "validation", "test")
        cells = [
            (row.label, text.percent(row.density), row.validation_metric.shown(), row.test_metric.shown())
            for row in self.rows()
        ]
        return Table(f"{self.records[0].task}: {self.folder}", header, cells, self.verdicts)

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
    task: str | Task = DEFAULT,
    *,
    out: str | Path | None = None,
    data_dirs: str | Path | Sequence[str | Path] = (),
    rounds: int | None = None,
    until: float | None = None,
    rewind: str | int = "init",
    one_shot: bool = False,
    criterion: str = criteria.DEFAULT,
    seed: int = 0,
    trials: int = 1,
    controls: str | Sequence[str] = (),
    control_trials: int = 3,
    control_rounds: Sequence[int] | None = None,
    tolerance: float | None = None,
    at: str = At.EARLY_STOP,
    changes: Mapping[str, float] | None = None,
    keep_test: int | None = None,
    threads: int | None = None,
    device: str = "auto",
) -> FindRequest:
    """The arguments of `find`, as one value: for `find(request(...))` and for `forecast`.

    Args: see find.
    """
    return FindRequest(
        reference=task,
        folder=default_folder(task, load_task(task)) if out is None else Path(out),
        changes=dict(changes or {}),
        data_dirs=paths_of(data_dirs),
        settings=Settings(seed=seed, rewind=str(rewind), one_shot=one_shot, device=device, criterion=criterion),
        threads=threads,
        trials=trials,
        goal=Goal(
            rounds=rounds,
            until=until,
            tolerance=tolerance,
            at=one_of("--at", at, At),
            controls=tuple(dict.fromkeys(one_of("--control", kind, ControlKind) for kind in several(controls))),
            control_trials=control_trials,
            control_rounds=None if control_rounds is None else several(control_rounds),
            keep_test=keep_test,
        ),
    )


class Find(Protocol[P]):
    """`find` takes a task with the arguments of `request`, or a request that was made before."""

    @overload
    def __call__(self, task: FindRequest, watcher: Watching = ...) -> Found: ...
    @overload
    def __call__(self, *given: P.args, **asked: P.kwargs) -> Found: ...


def _task_or_request(asked: Callable[P, FindRequest]) -> Callable[[Callable[..., Found]], Find[P]]:
    """A decorator that gives `find` the arguments of `request`."""
    return cast("Callable[[Callable[..., Found]], Find[P]]", takes_arguments_of(asked))


def _silent(_number: int) -> Watcher:
    return Silent()


@_task_or_request(request)
def find(task: str | Task | FindRequest = DEFAULT, watcher: Watching = _silent, **asked: Any) -> Found:
    """Find winning tickets of a task by iterative magnitude pruning, or go on finding them.

    The same call on the same folder goes on where it was, also after it was killed. The ticket is the sparsest round
    whose validation metric is within the tolerance of dense; where there is none, `exit_code` of what is returned is 1.

    Args:
        task: a built-in name, 'file.py:name', 'package.module:name', or a Task (then one trial only).
        out: the run's folder; by default runs/TASK.
        data_dirs: folders to look for data in, before those of EDGETICKET_DATA.
        rounds: stop after this many rounds of pruning.
        until: stop at this density, 0.036 for 3.6 %; by default the task's.
        rewind: 'init' (θ0), an iteration K (θK), or 'lr' (learning-rate rewinding).
        one_shot: prune each round from the dense network, in one cut.
        criterion: what ranks the weights when a round is pruned, a name in edgeticket.lottery.criteria.CRITERIA.
        seed: of trial 0; trial N has seed + N.
        trials: so many, each in a process of its own.
        controls: of 'reinit' and 'random-mask'; `control_trials` of each, after the rounds `control_rounds` or all.
        tolerance: how far below dense, in points of the metric, a ticket may be on validation; by default 0.5 for a
            metric in percent, and to be given for any other.
        at: 'early-stop' or 'end': the iteration at which networks are compared.
        changes: numbers of the task to change, as {'lr': 0.01, 'rates.conv': 0.1}.
        keep_test: keep only so many test examples in the ticket.
        threads: per trial; by default the cores, shared by the trials, and 1 for a small network.
        device: 'auto', 'cpu' or 'cuda'.

    Raises:
        EdgeticketError: see edgeticket.errors; finished rounds are kept whatever happens.
    """
    wanted = task if isinstance(task, FindRequest) else request(task, **asked)
    if asked and wanted is task:
        raise InputError(f"{', '.join(asked)}: a request was given, which holds all arguments")
    records = run.find(wanted, watcher)
    write_atomic(wanted.folder / PICTURE, picture(records))
    return Found(wanted.folder, tuple(records))


def forecast(wanted: FindRequest) -> Forecast:
    """How long `find` would take here; nothing is written."""
    lottery, seconds = run.forecast(wanted)
    goal, last = wanted.goal, lottery.last_round()
    controls = len(goal.controls) * goal.control_trials * len(control_rounds(goal, last))
    return Forecast(
        wanted.folder,
        tuple(lottery.densities()),
        seconds,
        lottery.settings.threads,
        lottery.settings.device,
        last + 1 + controls,
        wanted.trials,
        lanes(wanted, lottery.settings.threads),
    )
