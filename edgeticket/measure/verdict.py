"""The verdict over paired log ratios: pass, regression or inconclusive, and the smallest effect that can be told.

With tolerance τ, bounds L and U, and the Hodges-Lehmann estimate of ln(candidate / baseline), asked in this order:

    pass          U < ln(1 + τ), which proves that there is no slow-down of τ
    regression    L > ln 1.01 and the estimate > ln(1 + τ/2)
    inconclusive  else; also where the 90 % interval of the baseline against itself leaves ±2 %: the host is then unfit

So τ is the slow-down that must be caught, not one that is allowed: between τ/2 and τ either verdict may come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

from edgeticket.measure.stats import Look, bounds, hodges_lehmann, standard_error, tail_count

PASS, REGRESSION, INCONCLUSIVE = "pass", "regression", "inconclusive"
FLOOR = math.log(1.01)  # a regression is at least this, proved
CONTROL_LIMIT = math.log(1.02)  # of the baseline against itself
CONTROL_LEVEL = 0.05  # one-sided: the control guards against bias, and no error rate rests on it
POWER = 0.95  # with which the smallest effect is caught


@dataclass(frozen=True)
class Judgement:
    """What one look says. Ratios are candidate / baseline - 1, so 0.03 is 3 % slower; infinite: not known."""

    verdict: str
    processes: int
    estimate: float
    low: float
    high: float
    control_low: float  # the baseline against itself
    control_high: float
    fit: bool  # the control stayed within ±2 %
    resolvable: float  # the smallest tolerance: a slow-down of just that is caught with 95 % at this spread and look
    level: float  # one-sided error of low, and of high, at this look

    def to_dict(self) -> dict[str, Any]:
        """Give the fields for a document."""
        return asdict(self)


def judge(differences: Sequence[float], controls: Sequence[float], tolerance: float, look: Look) -> Judgement:
    """Judge the first `look.processes` values: ln(candidate/baseline) and ln(baseline again/baseline), one a process.

    Raises:
        ValueError: there are fewer values than the look is made for.
    """
    n = look.processes
    if len(differences) < n or len(controls) < n:
        raise ValueError(f"{len(differences)} processes, and the look is for {n}")
    seen, control = differences[:n], controls[:n]
    low, high = bounds(seen, look.k)
    estimate = hodges_lehmann(seen)
    control_low, control_high = bounds(control, tail_count(n, CONTROL_LEVEL)[0])
    fit = control_low > -CONTROL_LIMIT and control_high < CONTROL_LIMIT
    verdict = INCONCLUSIVE
    if fit and high < math.log1p(tolerance):
        verdict = PASS
    elif fit and low > FLOOR and estimate > math.log1p(tolerance / 2):
        verdict = REGRESSION
    return Judgement(
        verdict,
        n,
        math.expm1(estimate),
        math.expm1(low),
        math.expm1(high),
        math.expm1(control_low),
        math.expm1(control_high),
        fit,
        resolvable(standard_error(seen), look),
        look.level,
    )


def resolvable(error: float, look: Look) -> float:
    """Give the smallest slow-down that a look catches with 95 % as its tolerance; `error` is the estimate's.

    The lower bound lies about z(level) errors under the estimate and must clear ln 1.01, and the estimate scatters. It
    is then beyond a half of the tolerance, and the upper bound beyond all of it. Under a larger tolerance a slow-down
    between a half of it and all of it may also pass, however well it is told.
    """
    if look.k == 0 or not math.isfinite(error):
        return math.inf
    normal = NormalDist()
    reach = FLOOR + (normal.inv_cdf(1 - look.level) + normal.inv_cdf(POWER)) * error
    return math.expm1(reach) if reach < 700 else math.inf


def judge_limit(low: float, high: float, limit: float) -> str:
    """Judge an absolute limit: pass if the upper bound is under it, regression if the lower bound is over it."""
    return PASS if high < limit else REGRESSION if low > limit else INCONCLUSIVE


def worst(verdicts: Sequence[str]) -> str:
    """Sum up several gates: one regression is a regression, else one open question leaves the whole open."""
    return next((verdict for verdict in (REGRESSION, INCONCLUSIVE) if verdict in verdicts), PASS)
