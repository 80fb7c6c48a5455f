"""docs/results.md: a claim is seen where the seeds' interval says so, and nowhere else."""

from __future__ import annotations

import pytest
from make_results import Claim
from scipy import stats


@pytest.mark.parametrize(
    ("seeds", "limit", "above", "said"),
    [
        ((-0.02, 0.52, -0.04), 0.0, True, "not decided by three seeds"),
        ((0.40, 0.42, 0.44), 0.3, True, "seen"),
        ((0.40, 0.42, 0.44), 0.5, True, "**not seen**"),
        ((0.40, 0.74, 0.49), 0.3, True, "not decided by three seeds, though each of them says so"),
        ((-0.1, -0.11, -0.12), 0.0, False, "seen"),
        ((0.1, 0.7, 0.2), 0.0, False, "not decided by three seeds, though none of them says so"),
    ],
)
def test_a_claim_is_as_certain_as_its_seeds(seeds: tuple[float, ...], limit: float, above: bool, said: str) -> None:
    assert Claim(seeds, limit, above).verdict == said


def test_the_interval_is_students() -> None:
    seeds = (0.40, 0.74, 0.49)
    known = stats.t.interval(0.95, 2, loc=sum(seeds) / 3, scale=stats.sem(seeds))
    assert Claim(seeds).interval == pytest.approx(known, rel=1e-3)


def test_every_seed_is_shown() -> None:
    assert Claim((-0.02, 0.52, -0.04)).shown() == "+0.15 (-0.02, +0.52, -0.04)"
    assert Claim((0.1, 0.2, 0.3)).size(0.5, ".2f") == "the paper's 0.5 lies outside the seeds' interval, -0.05 to 0.45"
