"""What a comparison may be asked is checked when the request is made, whoever makes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeticket.errors import InputError
from edgeticket.gate.limit import Limit
from edgeticket.gate.request import ComparisonRequest

A, B = Path("a.onnx"), Path("b.onnx")


def test_two_models_are_all_that_is_needed() -> None:
    request = ComparisonRequest(A, B)
    assert (request.max_latency, request.max_size, request.providers, request.threads) == (0.05, 0.01, ("cpu",), (1,))
    assert ComparisonRequest(A, budget_ms=1.0).baseline is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"baseline": None}, "give --baseline, a model to compare with, or --budget-ms"),
        ({"baseline": None, "budget_ms": 1.0, "max_memory": 0.1}, "give --baseline"),
        ({"baseline": None, "budget_ms": 1.0, "max_counts": {"macs": 0.1}}, "give --baseline"),
        ({"baseline": None, "budget_ms": 1.0, "baseline_provider": "cpu"}, "give --baseline"),
        ({"max_counts": {"bytes": 0.1}}, "a limit of 'bytes': counted are nonzeros, macs, nodes, instructions"),
        ({"max_counts": {"macs": -0.1}}, "macs -0.1: give a number from 0 on"),
        ({"max_latency": float("nan")}, "max_latency nan"),
        ({"max_accuracy_drop": -1}, "max_accuracy_drop -1"),
        ({"seconds": 0}, "seconds 0: give a number above 0"),
        ({"process_s": -1}, "process_s -1"),
        ({"budget_ms": 0}, "budget_ms 0"),
        ({"threads": (0,)}, "--threads 0: give 1 or more"),
        ({"threads": (4096,)}, "this process may use"),
        ({"threads": ()}, "need one value at least"),
        ({"budget_ms": 1.0, "budget_host": "here"}, "give any, this, or the fingerprint"),
        ({"budget_host": "this"}, "give the budget, --budget-ms"),
    ],
)
def test_what_has_no_meaning_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        ComparisonRequest(**{"candidate": A, "baseline": B, **given})
    assert sentence in str(caught.value)


CARRYING = SimpleNamespace(budget={"latency_ms": 2.0, "host": "0123456789ab", "threads": 2})  # an artifact with one
BARE = SimpleNamespace(budget=None)


@pytest.mark.parametrize(
    ("candidate", "given", "at_one", "at_two", "holds"),
    [
        (BARE, {}, None, None, True),
        (CARRYING, {}, None, 2.0, False),
        (CARRYING, {"budget_ms": 3.0}, 3.0, 3.0, True),
        (BARE, {"budget_ms": 3.0, "budget_host": "this"}, 3.0, 3.0, True),
        (BARE, {"budget_ms": 3.0, "budget_host": "0123456789ab"}, 3.0, 3.0, False),
    ],
)
def test_the_limit_is_the_one_asked_for_or_the_one_carried(
    candidate: Any, given: dict[str, Any], at_one: float | None, at_two: float | None, holds: bool
) -> None:
    limit = Limit.of(ComparisonRequest(A, B, **given), candidate, "f" * 12)
    assert (limit.at(1), limit.at(2), limit.holds_here) == (at_one, at_two, holds)
