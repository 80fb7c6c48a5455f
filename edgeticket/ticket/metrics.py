"""Metrics by name, in numpy: `find` trains with them, `export` and `check` repeat them without torch.

Outputs are [n, ...] as the network returns them, targets [n, ...] as the data hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _classes(outputs: Array, targets: Array) -> None:
    if outputs.ndim < 2 or outputs.shape[1] < 2 or targets.shape != (outputs.shape[0], *outputs.shape[2:]):
        raise ValueError(
            f"outputs have shape {list(outputs.shape)}, targets {list(targets.shape)}: this metric takes a score for "
            "each class [n, classes] and the class [n]; squeeze the targets, or give the task a Metric of your own"
        )


def _accuracy(outputs: Array, targets: Array) -> float:
    _classes(outputs, targets)
    return 100.0 * float(np.mean(outputs.argmax(axis=1) == targets))


def _top5(outputs: Array, targets: Array) -> float:
    _classes(outputs, targets)
    best = np.argsort(-outputs, axis=1, kind="stable")[:, :5]
    return 100.0 * float(np.mean((best == targets[:, None]).any(axis=1)))


def _error(outputs: Array, targets: Array) -> Array:
    if outputs.shape != targets.shape:  # [n, 1] beside [n] would broadcast to [n, n]
        raise ValueError(f"outputs have shape {list(outputs.shape)}, targets {list(targets.shape)}; make them the same")
    difference: Array = outputs.astype(np.float64) - targets
    return difference


def _mean_absolute_error(outputs: Array, targets: Array) -> float:
    return float(np.mean(np.abs(_error(outputs, targets))))


def _mean_squared_error(outputs: Array, targets: Array) -> float:
    return float(np.mean(_error(outputs, targets) ** 2))


@dataclass(frozen=True)
class Metric:
    """A number that says how good a network is. `unit` is '%' where it runs from 0 to 100."""

    name: str
    function: Callable[[Array, Array], float]
    higher_is_better: bool = True
    unit: str = ""

    def __call__(self, outputs: Array, targets: Array) -> float:
        return float(self.function(outputs, targets))

    def loss_against(self, value: float, dense: float) -> float:
        """By how much `value` is worse than `dense`; negative where it is better."""
        return dense - value if self.higher_is_better else value - dense


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, unit="%"),
        Metric("top5", _top5, unit="%"),
        Metric("mae", _mean_absolute_error, higher_is_better=False, unit=""),
        Metric("mse", _mean_squared_error, higher_is_better=False, unit=""),
    )
}
