"""The state of a training as a value, and the check that pruned weights stayed 0."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeticket.errors import TrainingError
from edgeticket.ticket.mask import Mask

Array = NDArray[Any]


@dataclass
class Snapshot:
    """The state of a training before iteration `iteration` runs. Its arrays are numpy copies, safe to write to disk."""

    iteration: int
    weights: dict[str, Array]
    optimizer: dict[str, Array] = field(default_factory=dict)  # '<parameter index>/<state name>'
    random_state: Array | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # iteration, validation loss, metric
    best: dict[str, Array] = field(default_factory=dict)  # the weights at the smallest validation loss
    seconds: float = 0.0


def parameters_of(network: nn.Module) -> list[str]:
    """Return the names of the parameters in the order in which the optimiser numbers them."""
    return [name for name, _ in network.named_parameters()]


def check_zeros(mask: Mask, snapshot: Snapshot, names: list[str]) -> None:
    """The invariant: weights (at the end and at the best point) and moments are exactly 0 wherever the mask is 0.

    Raises:
        TrainingError: they are not: the optimiser or the network revives pruned weights.
    """
    for name, array in mask.items():
        pruned = ~array
        suspects: dict[str, Array] = {"weights": snapshot.weights[name]}
        if name in snapshot.best:
            suspects["weights at early stopping"] = snapshot.best[name]
        for key, moments in snapshot.optimizer.items():
            number, _, state = key.partition("/")
            if names[int(number)] == name and moments.shape == array.shape:
                suspects[f"optimiser state {state!r}"] = moments
        for what, values in suspects.items():
            if count := int(np.count_nonzero(values[pruned])):
                raise TrainingError(
                    f"{name}: {count} pruned entries of its {what} are not 0 after training: "
                    "something outside the optimiser changes the weights; a ticket would not be one"
                )
