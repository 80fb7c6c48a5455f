"""The words that stand both in ticket.json and on the command line. A command's help loads them, so nothing else."""

from __future__ import annotations

from enum import StrEnum


class At(StrEnum):
    """The iteration of a training at which networks are compared: that of least validation loss, or the last one."""

    EARLY_STOP = "early-stop"
    END = "end"

    @property
    def file(self) -> str:
        """The name of the file in rounds/NN that holds the weights of that iteration, without its suffix."""
        return {At.EARLY_STOP: "early_stop", At.END: "end"}[self]

    @property
    def label(self) -> str:
        """'early stopping' or 'end', as in tables."""
        return {At.EARLY_STOP: "early stopping", At.END: "end"}[self]

    @property
    def words(self) -> str:
        """'at early stopping' or 'at the end', as in sentences."""
        return {At.EARLY_STOP: "at early stopping", At.END: "at the end"}[self]


class ControlKind(StrEnum):
    """The paper's controls: the round's mask on fresh weights, or a random mask of the same counts."""

    REINIT = "reinit"
    RANDOM_MASK = "random-mask"
