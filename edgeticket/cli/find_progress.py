"""While tickets are found a terminal shows bars with the time left, and anything else gets plain lines."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edgeticket import text
from edgeticket.ticket.record import Control, Point, Record, Round

_HEADER = ("", "weights left", "stops at", "validation", "", "test", "", "time")
_WIDTHS = (22, 12, 9, 11, 8, 11, 8, 12)
_LINE_SECONDS = 60.0


def _cells(*cells: str) -> str:
    first, *rest = (
        cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return " ".join([first, *rest]).rstrip()


@dataclass
class Screen:
    """The bars and rows of all trials of a run share one console."""

    console: Console
    quiet: bool
    iterations: int
    trials: int
    _bars: Progress = field(init=False)
    rows: int = field(init=False, default=0)
    _total: TaskID | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("left"),
            console=self.console,
            disable=self.quiet or not self.console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @property
    def plain(self) -> bool:
        """Say whether lines are printed instead of bars."""
        return not self.console.is_terminal

    def watcher(self, number: int) -> TrialView:
        """Make the view of one trial."""
        return TrialView(self, number)

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        if not self.quiet:
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def row(self, *cells: str) -> None:
        """Print a row of the table of rounds, and the header before the first."""
        if not self.rows:
            self.print(_cells(*_HEADER))
        self.rows += 1
        self.print(_cells(*cells))

    def expect(self, iterations: int, done: int) -> None:
        """Add so many iterations to the bar of the whole job, some of them done."""
        if self._total is None:
            self._total = self._bars.add_task("all rounds", total=0)
        task = next(task for task in self._bars.tasks if task.id == self._total)
        self._bars.update(self._total, total=(task.total or 0) + iterations, completed=task.completed + done)

    def advance(self, iterations: int) -> None:
        """Count iterations that were done, in any trial."""
        if self._total is not None:
            self._bars.advance(self._total, iterations)


@dataclass
class TrialView:
    """The Watcher of one trial draws on the shared screen."""

    screen: Screen
    number: int
    _bar: TaskID | None = None
    _label: str = ""
    _at: int = 0
    _stop: int = 0
    _began: float = 0.0
    _first: int = 0
    _spoke: float = 0.0
    _left: int = 0
    _predicted: bool = False

    @property
    def _who(self) -> str:
        return f"trial {self.number}, " if self.screen.trials > 1 else ""

    def plan(self, trainings: int, done: int) -> None:
        """Add the whole job of this trial to the bar of all."""
        self._left = trainings - done
        self.screen.expect(trainings * self.screen.iterations, done * self.screen.iterations)
        if done and self._left:
            self.screen.print(f"{self._who}{done} of {trainings} trainings are done; going on")

    def training(self, label: str, density: float, start: int, stop: int) -> None:
        """Begin the bar of a training."""
        self._label, self._at, self._first, self._stop = label, start, start, stop
        self._began = self._spoke = time.monotonic()
        bars = self.screen._bars
        if self._bar is not None:
            bars.remove_task(self._bar)
        self._bar = bars.add_task(
            f"{self._who}{label}, {text.percent(density)} of the weights", total=stop, completed=start
        )
        self.screen.advance(start)

    def iteration(self, iteration: int, loss: float | None) -> None:
        """Move the bar, or print a line once a minute."""
        self.screen.advance(iteration - self._at)
        self._at = iteration
        if self._bar is not None:
            self.screen._bars.update(self._bar, completed=iteration)
        now = time.monotonic()
        if self.screen.plain and now - self._spoke > _LINE_SECONDS and iteration < self._stop:
            self._spoke = now
            left = (now - self._began) / (iteration - self._first) * (self._stop - iteration)
            shown = "" if loss is None else f", loss {loss:.4f}"
            where = f"iteration {iteration:,} of {self._stop:,}{shown}"
            self.screen.print(f"  {self._who}{self._label}: {where}, {text.duration(left)} left")

    def finished_round(self, record: Record, result: Round) -> None:
        """Print the row of a round, and after the first how long the rest will take."""
        self._finish(record, f"round {result.number}", result, result.seconds)
        if self._left and not self._predicted:
            self._predicted = True
            total = text.duration(self._left * result.seconds)
            self.screen.print(f"  {self._who}{text.plural(self._left, 'more training')} of this length: about {total}")

    def finished_control(self, record: Record, result: Control) -> None:
        """Print the row of a control."""
        self._finish(record, f"{result.kind} {result.round}.{result.trial}", result, result.seconds)

    def note(self, sentence: str) -> None:
        """Print a sentence that says which trial it is about."""
        self.screen.print(f"{self._who}{sentence}")

    def _finish(self, record: Record, label: str, result: Round | Control, seconds: float) -> None:
        self._left -= 1
        self.iteration(self._stop, None)
        at = record.choice.at
        here: Point = result.at(at)
        dense: Point = record.rounds[0].at(at)
        unit = f" {record.metric.unit}".rstrip()
        self.screen.row(
            f"{self._who}{label}",
            text.percent(result.density),
            f"{result.early_stop.iteration:,}",
            f"{here.validation_metric:.2f}{unit}",
            f"{here.validation_metric - dense.validation_metric:+.2f}",
            f"{here.test_metric:.2f}{unit}",
            f"{here.test_metric - dense.test_metric:+.2f}",
            text.duration(seconds),
        )
