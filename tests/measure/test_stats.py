"""Estimates and bounds: against scipy, published tables, brute force, and by simulation with known answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from edgeticket.measure import stats


@pytest.mark.parametrize("n", range(1, 11))
def test_the_null_distribution_is_that_of_all_signs(n: int) -> None:
    ranks = np.arange(1, n + 1)
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=n)])
    wanted = [np.mean(sums <= w) for w in range(n * (n + 1) // 2 + 1)]
    np.testing.assert_allclose(stats.signed_rank_cdf(n), wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [5, 12, 24, 40])
@pytest.mark.parametrize("seed", range(4))
def test_p_values_are_scipys(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1, n)
    statistic = int(np.count_nonzero(stats.walsh_averages(values) > 0))  # W+ is the number of positive Walsh averages
    ours = float(stats.signed_rank_cdf(n)[n * (n + 1) // 2 - statistic])
    theirs = scipy_stats.wilcoxon(values, alternative="greater", method="exact")
    assert statistic == theirs.statistic
    assert ours == pytest.approx(theirs.pvalue, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "critical", "level"),
    # Wilcoxon and Wilcox, Some Rapid Approximate Statistical Procedures (1964), table II: the largest T whose one-sided
    # probability is at most 0.05, 0.025, 0.01 and 0.005.
    [(8, 5, 0.05), (8, 3, 0.025), (8, 1, 0.01), (8, 0, 0.005), (12, 17, 0.05), (12, 13, 0.025), (12, 9, 0.01),
     (12, 7, 0.005), (20, 60, 0.05), (20, 52, 0.025), (20, 43, 0.01), (20, 37, 0.005)],
)  # fmt: skip
def test_critical_values_are_those_of_the_table(n: int, critical: int, level: float) -> None:
    k, attained = stats.tail_count(n, level)
    assert k - 1 == critical
    assert attained <= level < stats.signed_rank_cdf(n)[k]


@pytest.mark.parametrize("n", [8, 12, 16, 24, 40])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_the_test_inverted(n: int, seed: int) -> None:
    """Just inside the bound scipy's test does not reject, just outside it does."""
    values = np.random.default_rng(seed).normal(0, 1, n)
    k, _ = stats.tail_count(n, 0.005)
    low, high = stats.bounds(values, k)
    for location, alternative, rejected in (
        (low - 1e-9, "greater", True),
        (low + 1e-9, "greater", False),
        (high + 1e-9, "less", True),
        (high - 1e-9, "less", False),
    ):
        p = scipy_stats.wilcoxon(values - location, alternative=alternative, method="exact").pvalue
        assert (p <= 0.005) == rejected


def test_too_few_values_have_no_bounds() -> None:
    assert stats.tail_count(7, 0.005) == (0, 0.0)
    assert stats.bounds([1.0] * 7, 0) == (-math.inf, math.inf)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=8, max_size=30), st.floats(-3, 3))
def test_what_is_shifted_and_mirrored_is_so_afterwards(values: list[float], shift: float) -> None:
    k, _ = stats.tail_count(len(values), 0.01)
    low, high = stats.bounds(values, k)
    moved = stats.bounds([value + shift for value in values], k)
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-9)
    assert stats.bounds([-value for value in values], k) == pytest.approx((-high, -low))
    assert low <= stats.hodges_lehmann(values) <= high


def test_ties_make_bounds_wider_never_narrower() -> None:
    """Coverage by simulation where values are rounded so hard that most are tied."""
    rng, n, level, trials = np.random.default_rng(0), 16, 0.005, 4000
    k, attained = stats.tail_count(n, level)
    missed = sum(stats.bounds(np.round(rng.normal(0, 1, n)), k)[0] > 0 for _ in range(trials))
    assert missed / trials <= attained + 3 * math.sqrt(attained / trials)


def test_the_estimate_of_all_the_same_is_that() -> None:
    assert stats.hodges_lehmann([2.0] * 9) == 2.0
    assert stats.bounds([2.0] * 9, 1) == (2.0, 2.0)
    assert math.isnan(stats.hodges_lehmann([]))


def test_the_standard_error_is_that_of_the_estimate() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 1, (600, 24))
    claimed = np.mean([stats.standard_error(row) for row in samples])
    assert claimed == pytest.approx(np.std([stats.hodges_lehmann(row) for row in samples]), rel=0.08)


# --- Looks ---


@pytest.mark.parametrize("error", [0.005, 0.0025, 0.00125])
def test_the_looks_spend_the_error_and_no_more(error: float) -> None:
    plan = stats.look_plan(error)
    assert sum(look.level for look in plan) <= error
    assert sum(look.level for look in plan) > 0.97 * error
    for look in plan:
        assert look.level == (float(stats.signed_rank_cdf(look.processes)[look.k - 1]) if look.k else 0.0)


def test_a_bound_is_wrong_at_any_look_no_more_often_than_said() -> None:
    """The whole procedure, without change and with any symmetric noise: here Student's t with 2 degrees of freedom."""
    rng, trials, error = np.random.default_rng(2), 1500, 0.04
    plan = stats.look_plan(error, (8, 12, 16, 20))
    wrong = 0
    for values in rng.standard_t(2, (trials, 20)):
        wrong += any(stats.bounds(values[: look.processes], look.k)[0] > 0 for look in plan)
    assert wrong / trials <= error + 3 * math.sqrt(error / trials)
    assert wrong / trials >= error / 4  # and the looks are not so careful that they see nothing


def test_the_error_over_all_looks_by_exact_enumeration() -> None:
    """Given the sizes, signs alone decide: all 2^14 sequences of them."""
    plan = stats.look_plan(0.05, (8, 11, 14))
    sizes = np.random.default_rng(3).permutation(np.arange(1.0, 15.0))
    wrong = 0
    for bits in range(2**14):
        values = np.where([(bits >> place) & 1 for place in range(14)], sizes, -sizes)
        wrong += any(stats.bounds(values[: look.processes], look.k)[0] > 0 for look in plan)
    assert 0 < wrong / 2**14 <= sum(look.level for look in plan)


# --- Medians and two samples ---


@pytest.mark.parametrize("n", [8, 15, 31])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_order_statistics_bound_the_median(n: int, level: float) -> None:
    k = stats.order_count(n, level)
    binomial = scipy_stats.binom(n, 0.5)
    assert (binomial.cdf(k - 1) if k else 0.0) <= level < binomial.cdf(k)
    values = list(range(n))
    low, median, high = stats.median_bounds(values, level)
    assert median == np.median(values)
    assert (low, high) == ((k - 1, n - k) if k else (-math.inf, math.inf))


@pytest.mark.parametrize(("m", "n"), [(3, 4), (8, 12), (12, 12)])
def test_the_shift_is_mann_whitneys_test_inverted(m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    a, b = rng.normal(0, 1, m), rng.normal(0.5, 1, n)
    low, estimate, high = stats.shift_bounds(a, b, 0.05)
    assert estimate == np.median(np.subtract.outer(b, a))
    for location, alternative, rejected in ((low - 1e-9, "greater", True), (low + 1e-9, "greater", False)):
        p = scipy_stats.mannwhitneyu(b - location, a, alternative=alternative, method="exact").pvalue
        assert (p <= 0.05) == rejected
    p = scipy_stats.mannwhitneyu(b - high - 1e-9, a, alternative="less", method="exact").pvalue
    assert p <= 0.05


def test_a_shift_needs_both_sides() -> None:
    with pytest.raises(ValueError, match="both sides"):
        stats.shift_bounds([], [1.0], 0.05)
    assert stats.shift_bounds([1.0], [2.0], 0.005) == (-math.inf, 1.0, math.inf)
