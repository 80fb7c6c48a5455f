"""Simulated comparisons with known answers: normal noise, with and without outliers, judged by the code of `check`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from evidence_file import FILE, Entry

from edgeticket.measure.stats import ERROR, LOOKS, look_plan
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, judge

SIMULATED = FILE.with_name("evidence-simulation.json")
EFFECTS, SPREADS, TRIALS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1), (0.01, 0.02, 0.03, 0.05), 2000
MOST_PROCESSES = 40


def simulated(effect: float, spread: float, outliers: float, looks: Sequence[int], rng: np.random.Generator) -> str:
    """One comparison: three normal arms in each process, `outliers` of all values ten times as wide."""
    wide = np.where(rng.random((3, looks[-1])) < outliers, 10.0, 1.0)
    candidate, baseline, again = spread / math.sqrt(2) * wide * rng.standard_normal((3, looks[-1]))
    shifted = (candidate - baseline + math.log1p(effect)).tolist()
    controls = (again - baseline).tolist()
    for look in look_plan(ERROR, LOOKS):
        if look.processes > looks[-1]:
            break
        seen = judge(shifted, controls, 0.05, look)
        if seen.verdict != INCONCLUSIVE:
            return seen.verdict
    return INCONCLUSIVE


def simulate() -> list[Entry]:
    """Every cell, from a seed of its own."""
    cells = []
    looks = [look for look in LOOKS if look <= MOST_PROCESSES]
    for outliers in (0.0, 0.1):
        for spread in SPREADS:
            for effect in EFFECTS:
                rng = np.random.default_rng([1, round(1e4 * effect), round(1e4 * spread), round(100 * outliers)])
                found = [simulated(effect, spread, outliers, looks, rng) for _ in range(TRIALS)]
                cell = {"effect": effect, "spread": spread, "outliers": outliers, "trials": TRIALS}
                cells.append(cell | {verdict: found.count(verdict) for verdict in (PASS, REGRESSION, INCONCLUSIVE)})
    return cells
