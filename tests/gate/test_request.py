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
        ({"max_latency": 5}, "max_latency 5: give a share, from 0 up to 1.0 (0.05 is 5 %)"),
        ({"max_latency": 1}, "max_latency 1: give a share"),
        ({"max_latency": "5%"}, "max_latency '5%': give a share as a number"),
        ({"max_size": "off"}, "or None for no limit"),
        ({"max_size": 1.5}, "max_size 1.5: give a share"),
        ({"max_counts": {"nodes": 10}}, "nodes 10: give a share"),
        ({"max_memory": float("inf")}, "max_memory inf: give a share"),
        ({"max_latency": 0}, "max_latency 0: this can never pass"),
        ({"max_memory": 0.0}, "max_memory 0: this can never pass"),
        ({"max_accuracy_drop": float("inf")}, "max_accuracy_drop inf"),
        ({"process_s": float("inf")}, "process_s inf: give a number above 0 that is finite"),
        ({"budget_ms": float("inf")}, "budget_ms inf: give a number above 0 that is finite"),
        ({"max_latency": float("nan")}, "max_latency nan"),
        ({"max_accuracy_drop": -1}, "max_accuracy_drop -1"),
        ({"max_accuracy_drop": "0.5 %"}, "max_accuracy_drop '0.5 %': give points"),
        ({"max_counts": 0.05}, "max_counts 0.05: give shares by name"),
        ({"seconds": float("nan")}, "seconds nan: give a number above 0"),
        ({"seconds": "60"}, "seconds '60': give a number above 0"),
        ({"seconds": None}, "seconds None: give seconds"),
        ({"process_s": 1e20}, "process_s 1e+20: give seconds, above 0 and up to 31,536,000"),
        ({"budget_ms": "2"}, "budget_ms '2': give a number above 0"),
        ({"budget_ms": 1.0, "budget_host": 3}, "--budget-host 3: give any, this, or the fingerprint"),
        ({"seed": 1.5}, "seed 1.5: give a whole number"),
        ({"threads": "two"}, "--threads 'two': give a whole number"),
        ({"threads": 1.5}, "1.5: give one value, or a list of them"),
        ({"providers": 3}, "--providers 3: give names"),
        ({"baseline_provider": ""}, "--baseline-provider '': give the name of a provider"),
        ({"input_shapes": {"x": 64}}, "input_shapes 'x': 64 is no shape"),
        ({"input_shapes": {"x": (-1, 64)}}, "input_shapes 'x': (-1, 64) is no shape"),
        ({"input_shapes": {"x": "1x64"}}, "input_shapes 'x': '1x64' is no shape"),
        ({"input_shapes": [(1, 64)]}, "give shapes by the names of inputs"),
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


def test_a_count_may_be_held_to_no_growth_and_a_share_to_all_of_it() -> None:
    request = ComparisonRequest(A, B, max_size=0, max_counts={"macs": 0.0}, max_latency=1.0, max_accuracy_drop=0)
    assert (request.max_size, request.max_counts["macs"], request.max_latency) == (0, 0.0, 1.0)


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
