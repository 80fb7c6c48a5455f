"""Comparisons without the waiting: workers are answered for, unless a test wants real ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from edgeticket.measure import duel

Play = Callable[..., None]


def answer(asked: Mapping[str, Any], seed: int, slower: float, spread: float, base_ms: float) -> dict[str, Any]:
    """What a worker would say, the candidate being slower by a share."""
    rng, blocks = np.random.default_rng(seed), []
    shifts = {name: base_ms * math.exp(spread * rng.standard_normal()) for name in asked["arms"]}
    if "candidate" in shifts:
        shifts["candidate"] *= 1 + slower
    for _ in range(15):
        ms = {name: shift * math.exp(spread / 10 * rng.standard_normal()) for name, shift in shifts.items()}
        blocks.append({"ms": ms, "fault": None})
        if asked["samples"]:
            blocks[-1]["samples_ms"] = {name: [value] * 20 for name, value in ms.items()}
    given = {name: spec["slowdown"] for name, spec in asked["arms"].items() if spec["slowdown"]}
    return {"blocks": blocks, "pinned": [0], "slowdown": given, "instructions": {}, "not_counted": "not here"}


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """play(slower=0.05, spread=0.01): from now on workers answer so. `failing` replaces the whole answer."""
    real = duel.run

    def start(
        slower: float = 0.0, spread: float = 0.005, base_ms: float = 1.0, failing: Callable[..., Any] | None = None
    ) -> None:
        seeds = itertools.count()

        def ask(asked: Mapping[str, Any], _: float) -> dict[str, Any]:
            if failing is not None:
                return dict(failing(asked))
            slowed = max((spec["slowdown"] for spec in asked["arms"].values()), default=0.0)
            return answer(asked, next(seeds), slower or slowed, spread, base_ms)

        monkeypatch.setattr(duel, "run", partial(real, ask=ask))

    return start
