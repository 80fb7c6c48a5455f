"""The rule: what is asked first, what is never said, and error rates by simulation with known answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from edgeticket.measure import verdict
from edgeticket.measure.stats import LOOKS, Look, look_plan
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, judge, judge_limit

LOOK = Look(12, 2, 2 / 2**12)
STILL = [0.0] * 12


def around(center: float, half: float) -> list[float]:
    """12 values whose estimate is ln(1 + center) and whose bounds are `half` to both sides."""
    return [math.log1p(center) + half * sign for sign in (-1, 1) for _ in range(6)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (around(0.0, 0.001), PASS),
        (around(0.045, 0.001), PASS),  # more than a half, but below: pass is asked first
        (around(0.049, 0.0005), PASS),
        (around(0.05, 0.0005), REGRESSION),
        (around(0.04, 0.02), REGRESSION),  # not proved below 5 %, proved beyond 1 %, and beyond a half
        (around(0.04, 0.035), INCONCLUSIVE),  # not proved beyond 1 %
        (around(0.024, 0.028), INCONCLUSIVE),
        (around(0.2, 0.25), INCONCLUSIVE),
        (around(-0.3, 0.01), PASS),  # faster
    ],
)
def test_the_order_of_the_rule(values: list[float], expected: str) -> None:
    assert judge(values, STILL, 0.05, LOOK).verdict == expected


def test_beyond_one_percent_and_below_a_half_is_no_regression() -> None:
    values = around(0.024, 0.01) * 4  # L > 1 %, estimate 2.4 %, and U must lie beyond τ = 3 %
    assert judge(values, STILL * 4, 0.06, Look(12, 2, 0.001)).verdict == PASS
    found = judge(around(0.022, 0.01), STILL, 0.03, LOOK)
    assert found.low > 0.01
    assert found.high > 0.03
    assert found.verdict == REGRESSION  # 2.2 % is beyond a half of 3 %
    assert judge(around(0.022, 0.03), STILL, 0.05, LOOK).verdict == INCONCLUSIVE


@pytest.mark.parametrize("control", [around(0.03, 0.001), around(-0.03, 0.001), around(0.0, 0.025)])
def test_an_unfit_host_is_inconclusive_never_a_failure(control: list[float]) -> None:
    for values in (around(0.5, 0.01), around(0.0, 0.001)):
        found = judge(values, control, 0.05, LOOK)
        assert (found.verdict, found.fit) == (INCONCLUSIVE, False)


def test_a_look_needs_its_processes_and_uses_no_more() -> None:
    with pytest.raises(ValueError, match="11 processes, and the look is for 12"):
        judge(STILL[:11], STILL, 0.05, LOOK)
    assert judge([*STILL, 9.0, 9.0], STILL, 0.05, LOOK) == judge(STILL, STILL, 0.05, LOOK)


def test_without_a_bound_nothing_is_decided() -> None:
    found = judge(STILL, STILL, 0.05, Look(12, 0, 0.0))
    assert (found.verdict, found.low, found.high) == (INCONCLUSIVE, -1.0, math.inf)
    assert found.resolvable == math.inf


@pytest.mark.parametrize(
    ("low", "high", "said"), [(1, 2, PASS), (4, 5, REGRESSION), (2, 4, INCONCLUSIVE), (2, 3, INCONCLUSIVE)]
)
def test_an_absolute_limit(low: float, high: float, said: str) -> None:
    assert judge_limit(low, high, 3.0) == said


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ([PASS, "shown"], PASS),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, REGRESSION, PASS], REGRESSION),
        ([], PASS),
    ],
)
def test_the_worst_of_several(given: list[str], whole: str) -> None:
    assert verdict.worst(given) == whole


def decided(differences: Sequence[float], controls: Sequence[float]) -> str:
    """As a duel goes: look after look until one decides."""
    for look in look_plan(looks=[look for look in LOOKS if look <= 40]):
        found = judge(differences, controls, 0.05, look)
        if found.verdict != INCONCLUSIVE:
            return found.verdict
    return INCONCLUSIVE


def simulated(effect: float, spread: float, trials: int, seed: int, heavy: bool = False) -> dict[str, int]:
    rng = np.random.default_rng(seed)
    said = {PASS: 0, REGRESSION: 0, INCONCLUSIVE: 0}
    for _ in range(trials):
        noise = rng.standard_t(2, (3, 40)) / 2 if heavy else rng.standard_normal((3, 40))
        arms = spread / math.sqrt(2) * noise
        said[decided((arms[0] - arms[1] + math.log1p(effect)).tolist(), (arms[2] - arms[1]).tolist())] += 1
    return said


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.03])
def test_no_change_is_never_called_a_regression(spread: float) -> None:
    said = simulated(0.0, spread, 150, 1)
    assert said[REGRESSION] == 0
    assert said[PASS] >= 140


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.03])
def test_five_percent_is_caught_and_never_passed(spread: float) -> None:
    said = simulated(0.05, spread, 150, 2)
    assert said[PASS] <= 2  # 0.5 % by design: the chance of three is 4 %
    assert said[REGRESSION] >= 143


def test_heavy_tails_cost_power_and_no_false_alarms() -> None:
    assert simulated(0.0, 0.02, 100, 3, heavy=True)[REGRESSION] == 0
    assert simulated(0.05, 0.02, 100, 4, heavy=True)[PASS] <= 2


@pytest.mark.parametrize("spread", [0.003, 0.01, 0.03])
def test_the_smallest_effect_is_caught_with_95_percent(spread: float) -> None:
    """The claim, at one look: a slow-down of what is called resolvable, as the tolerance, is caught that often."""
    rng, look = np.random.default_rng(5), look_plan()[3]
    n = look.processes
    effect = verdict.resolvable(spread / math.sqrt(n) * 1.023, look)  # 1/sqrt(0.955) of a mean's error
    differences = math.log1p(effect) + spread * rng.standard_normal((300, n))
    caught = sum(judge(row.tolist(), [0.0] * n, effect, look).verdict == REGRESSION for row in differences)
    assert 0.88 <= caught / 300 <= 0.99
