"""What a criterion is: a function from a trained round to a score for every prunable weight."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.errors import TrainingError
from edgeticket.lottery.criteria import CRITERIA
from edgeticket.lottery.train import Trainer
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.pruning import FloatArray

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainedRound:
    """What a criterion may look at: one round at the end of its training.

    `mask` holds the prunable weights by name, and which of them the round trained with. `weights` are all parameters
    and buffers at the end, `initial` the same ones at θ0. `seed` is the next round's own, for criteria that draw.
    `trainer` holds the network, its task (with the loss) and the data on the device, for criteria that need gradients:
    its network carries any weights, so a criterion loads those that it wants first.
    """

    mask: Mask
    weights: Mapping[str, Array]
    initial: Mapping[str, Array]
    seed: int
    trainer: Trainer


Score = Callable[[TrainedRound], Mapping[str, FloatArray]]


def score_of(criterion: str) -> Score:
    """The function that `criterion`, a name in CRITERIA, stands for."""
    score: Score = importlib.import_module(CRITERIA[criterion]).score
    return score


def scores(criterion: str, trained: TrainedRound) -> dict[str, FloatArray]:
    """A score for every prunable weight, by name, in the mask's shapes; the weights of smallest score are pruned.

    Raises:
        TrainingError: a score of a weight that is left is not a number.
    """
    found = score_of(criterion)(trained)
    for name, kept in trained.mask.items():
        if bool(np.isnan(found[name][kept]).any()):
            raise TrainingError(
                f"criterion {criterion!r}: scores of {name} are not numbers, so its weights have no rank; "
                "lower the learning rate (--set lr=...), or choose another --criterion"
            )
    return {name: found[name] for name in trained.mask}
