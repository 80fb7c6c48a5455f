"""Metrics are what their names say, and refuse what would broadcast into nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from edgeticket.ticket.metrics import METRICS, Metric


def test_accuracy_is_in_points() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
    assert METRICS["accuracy"](outputs, np.array([1, 0, 0, 0])) == 75.0


def test_accuracy_of_sequences_counts_every_position() -> None:
    outputs = np.zeros((2, 3, 4), np.float32)  # [n, classes, positions]
    outputs[:, 1] = 1
    assert METRICS["accuracy"](outputs, np.array([[1, 1, 1, 0], [1, 1, 0, 0]])) == 62.5


def test_top5() -> None:
    outputs = np.tile(np.arange(10, dtype=np.float32), (10, 1))
    assert METRICS["top5"](outputs, np.arange(10)) == 50.0


@pytest.mark.parametrize(("name", "value"), [("mae", 1.5), ("mse", 2.5)])
def test_errors(name: str, value: float) -> None:
    outputs, targets = np.array([[1.0], [2.0]], np.float32), np.array([[2.0], [4.0]], np.float32)
    assert METRICS[name](outputs, targets) == value
    with pytest.raises(ValueError, match=r"outputs have shape \[2, 1\], targets \[2\]"):
        METRICS[name](outputs, targets[:, 0])


def test_what_counts_as_worse() -> None:
    assert METRICS["accuracy"].loss_against(97.0, 98.0) == 1.0
    assert METRICS["mae"].loss_against(0.3, 0.2) == pytest.approx(0.1)
    assert METRICS["mae"].loss_against(0.1, 0.2) < 0


def test_a_metric_of_ones_own_gives_a_plain_float() -> None:
    own = Metric("mine", lambda outputs, targets: (outputs - targets).mean())
    value = own(np.ones(3, np.float32), np.zeros(3, np.float32))
    assert type(value) is float
    assert own.unit == "", "only who says so is in percent"
    assert own.higher_is_better


def test_the_registry_is_keyed_by_name() -> None:
    assert {name: metric.name for name, metric in METRICS.items()} == {name: name for name in METRICS}


@pytest.mark.parametrize("name", ["accuracy", "top5"])
@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((5, 1), (5, 1)), ((5, 1), (5,)), ((5,), (5,)), ((5, 3), (5, 1))],
    ids=["one logit", "one logit, flat targets", "no classes", "targets in a column"],
)
def test_classes_are_never_broadcast(name: str, outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a score for each class"):
        METRICS[name](np.zeros(outputs, np.float32), np.zeros(targets, np.int64))
