"""Magnitude: the trained weights that are smallest in absolute value go (Frankle & Carbin 2019, section 2)."""

from __future__ import annotations

import numpy as np

from edgeticket.lottery.criteria.scores import TrainedRound
from edgeticket.ticket.pruning import FloatArray


def score(trained: TrainedRound) -> dict[str, FloatArray]:
    """|θ'| of every prunable weight."""
    return {name: np.abs(trained.weights[name]) for name in trained.mask}
