"""The interface of those who are told what happens while tickets are found."""

from __future__ import annotations

from typing import Protocol

from edgeticket.ticket.record import Control, Record, Round


class Watcher(Protocol):
    """Whoever is told what happens: a terminal or a log shows it, `Silent` does not."""

    def plan(self, trainings: int, done: int) -> None:
        """How many trainings the whole job has, and how many are there already."""

    def training(self, label: str, density: float, start: int, stop: int) -> None:
        """A training begins at iteration `start`."""

    def iteration(self, iteration: int, loss: float | None) -> None:
        """The training got this far; `loss` is the mean since the last call, or None."""

    def finished_round(self, record: Record, result: Round) -> None:
        """A round is done and on disk."""

    def finished_control(self, record: Record, result: Control) -> None:
        """A control is done and on disk."""

    def note(self, sentence: str) -> None:
        """Something happened that is worth a line."""


class Silent:
    """A Watcher that shows nothing."""

    def plan(self, trainings: int, done: int) -> None: ...
    def training(self, label: str, density: float, start: int, stop: int) -> None: ...
    def iteration(self, iteration: int, loss: float | None) -> None: ...
    def finished_round(self, record: Record, result: Round) -> None: ...
    def finished_control(self, record: Record, result: Control) -> None: ...
    def note(self, sentence: str) -> None: ...
