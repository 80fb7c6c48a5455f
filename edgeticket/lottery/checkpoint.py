"""A killed training goes on from its checkpoint. There is one at a time, and it is replaced every few seconds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.errors import InputError
from edgeticket.lottery.snapshot import Snapshot
from edgeticket.ticket import store

Array = NDArray[Any]
VARIABLE = "EDGETICKET_CHECKPOINT_SECONDS"  # how often a running round is saved; 0: as often as it can be


class Checkpoints:
    """The checkpoints of one trial's folder. They are numbered, so the newest is known."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._sequence = folder, 0

    def save(self, label: str, point: Snapshot) -> None:
        """Write where the training called `label` stands."""
        self._sequence += 1
        arrays: dict[str, Array] = {
            **{f"weights/{name}": value for name, value in point.weights.items()},
            **{f"best/{name}": value for name, value in point.best.items()},
            **{f"optimizer/{name}": value for name, value in point.optimizer.items()},
            "curve": np.array(point.curve, np.float64).reshape(-1, 3),
        }
        if point.random_state is not None:
            arrays["random_state"] = point.random_state
        note = {"label": label, "iteration": point.iteration, "seconds": point.seconds, "sequence": self._sequence}
        store.write_checkpoint(self.folder, arrays, note)

    def resume(self, label: str) -> Snapshot | None:
        """Return where the training called `label` stood, or None where another one was interrupted."""
        found = store.read_checkpoint(self.folder)
        if found is None:
            return None
        arrays, note = found
        self._sequence = int(note["sequence"])
        if note["label"] != label:
            return None

        def part(prefix: str) -> dict[str, Array]:
            return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

        curve = [(int(i), float(loss), float(metric)) for i, loss, metric in arrays["curve"]]
        return Snapshot(
            int(note["iteration"]),
            part("weights/"),
            part("optimizer/"),
            arrays.get("random_state"),
            curve,
            part("best/"),
            float(note["seconds"]),
        )


def interval() -> float:
    """Return the seconds between two checkpoints."""
    text = os.environ.get(VARIABLE, "20")
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{VARIABLE}={text}: give seconds, or unset it") from error
