"""Estimates and bounds for paired differences that hold at any sample size, and looks that share one error rate.

One-sample location of a symmetric distribution: the Hodges-Lehmann estimate, and bounds by inverting Wilcoxon's
signed-rank test with its exact null distribution (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods,
3rd ed., 3.1 to 3.3). Differences of two arms that ran in random order are symmetric about the true one, whatever the
noise. numpy only: a device runs this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@lru_cache(maxsize=512)
def signed_rank_cdf(n: int) -> Floats:
    """Give P(W <= w) for w = 0 ... n(n+1)/2, where W is the sum of those ranks 1 ... n whose fair coin shows heads."""
    probability = np.zeros(n * (n + 1) // 2 + 1)
    probability[0] = 1.0
    for rank in range(1, n + 1):
        moved = np.zeros_like(probability)
        moved[rank:] = probability[:-rank]
        probability = (probability + moved) / 2  # exact in binary up to 2**-53
    return np.cumsum(probability)


def tail_count(n: int, level: float) -> tuple[int, float]:
    """Give (k, P(W < k)) for the largest k with P(W < k) <= level.

    The k-th smallest Walsh average of n values then exceeds the true location with that probability at most; k = 0
    where even the smallest is too likely to.
    """
    cdf = signed_rank_cdf(n)
    k = int(np.searchsorted(cdf, level * (1 + 1e-12), side="right"))
    return k, float(cdf[k - 1]) if k else 0.0


def walsh_averages(values: Sequence[float]) -> Floats:
    """Give the means of all pairs of values, each with itself too, ascending: n(n+1)/2 of them."""
    array = np.asarray(values, np.float64)
    rows, columns = np.triu_indices(len(array))
    return np.sort((array[rows] + array[columns]) / 2)


def hodges_lehmann(values: Sequence[float]) -> float:
    """Give the median of the Walsh averages; NaN without values."""
    return float(np.median(walsh_averages(values))) if len(values) else math.nan


def bounds(values: Sequence[float], k: int) -> tuple[float, float]:
    """Give the k-th smallest and largest Walsh average; infinite for k = 0. Ties make them wider, never narrower."""
    if k < 1:
        return -math.inf, math.inf
    walsh = walsh_averages(values)
    return float(walsh[k - 1]), float(walsh[-k])


def standard_error(values: Sequence[float]) -> float:
    """Give that of the Hodges-Lehmann estimate, from its interval's length (Lehmann 1963): outliers weigh little."""
    k, attained = tail_count(len(values), 0.025)
    if k == 0:
        return math.inf
    low, high = bounds(values, k)
    return (high - low) / 2 / NormalDist().inv_cdf(1 - attained)


# --- Looks ---

LOOKS = (12, 16, 20, 24, 28, 34, 40, 56, 80)  # numbers of processes at which a verdict may fall
ERROR = 0.005  # of each bound, over all looks and all gated metrics of a run together


@dataclass(frozen=True)
class Look:
    """A look after `processes`, with the k-th Walsh average as the bound, at an exact one-sided error `level`."""

    processes: int
    k: int
    level: float


def look_plan(error: float = ERROR, looks: Sequence[int] = LOOKS) -> tuple[Look, ...]:
    """Plan looks whose levels add up to at most `error`.

    By Boole's inequality a bound is then wrong at any look with probability `error` at most, however the looks depend
    on one another. Each look is given an equal share, and what the discrete distribution leaves of it goes to the next.
    """
    plan, spent = [], 0.0
    for number, processes in enumerate(looks, start=1):
        k, level = tail_count(processes, error * number / len(looks) - spent)
        spent += level
        plan.append(Look(processes, k, level))
    return tuple(plan)


def order_count(n: int, level: float) -> int:
    """Give the largest k with P(Binomial(n, 1/2) < k) <= level: the k-th smallest of n bounds the median from below.

    It needs no distribution and no symmetry (David and Nagaraja, Order Statistics, 3rd ed., 7.1); 0 if n is too small.
    """
    k, tail = 0, 1
    while tail <= level * 2.0**n * (1 + 1e-12):
        k += 1
        tail += math.comb(n, k)
    return k


def median_bounds(values: Sequence[float], level: float) -> tuple[float, float, float]:
    """Give (low, median, high): each bound misses the true median with probability `level` at most."""
    ordered, k = sorted(values), order_count(len(values), level)
    median = float(np.median(ordered)) if ordered else math.nan
    return (ordered[k - 1], median, ordered[-k]) if k else (-math.inf, median, math.inf)


# --- Two independent samples ---


@lru_cache(maxsize=64)
def rank_sum_cdf(m: int, n: int) -> Floats:
    """Give P(U <= u) for u = 0 ... mn: Mann and Whitney's U of samples of m and n that do not differ, no ties."""
    counts = np.zeros((m + 1, m * n + m * (m + 1) // 2 + 1))
    counts[0, 0] = 1.0
    for rank in range(1, m + n + 1):  # of all sets of m ranks, the distribution of their sum
        for size in range(min(m, rank), 0, -1):
            counts[size, rank:] += counts[size - 1, :-rank]
    sums = counts[m, m * (m + 1) // 2 :]
    return np.cumsum(sums / sums.sum())


def shift_bounds(a: Sequence[float], b: Sequence[float], level: float) -> tuple[float, float, float]:
    """Give (low, estimate, high) of the shift from a to b: the median of all b - a, and Mann-Whitney's bounds of it.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(a) or not len(b):
        raise ValueError("a shift needs values on both sides")
    differences = np.sort(np.subtract.outer(np.asarray(b, np.float64), np.asarray(a, np.float64)), axis=None)
    k = int(np.searchsorted(rank_sum_cdf(len(a), len(b)), level * (1 + 1e-12), side="right"))
    estimate = float(np.median(differences))
    return (float(differences[k - 1]), estimate, float(differences[-k])) if k else (-math.inf, estimate, math.inf)
