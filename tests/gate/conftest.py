"""Comparisons without the waiting: workers are answered for, unless a test wants real ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from fake_hosts import FakeHost

from edgeticket.gate import run, selftest
from edgeticket.measure.hosts.host import Host
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import BlocksAnswer, BlocksRequest, LoadRequest, TimedBlock

Play = Callable[..., None]


def answer(asked: BlocksRequest, seed: int, slower: float, spread: float, base_ms: float) -> BlocksAnswer:
    """What a worker would say, the candidate being slower by a share."""
    rng, blocks = np.random.default_rng(seed), []
    shifts = {name: base_ms * math.exp(spread * rng.standard_normal()) for name in asked.arms}
    if "candidate" in shifts:
        shifts["candidate"] *= 1 + slower
    for _ in range(15):
        ms = {name: shift * math.exp(spread / 10 * rng.standard_normal()) for name, shift in shifts.items()}
        blocks.append(TimedBlock(ms))
    given = {name: arm.slowdown for name, arm in asked.arms.items() if arm.slowdown}
    return BlocksAnswer(tuple(blocks), pinned=(0,), slowdown=given, not_counted="not here")


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch) -> Callable[[Host], None]:
    """on_host(host): from now on `check` measures there."""
    check, test = run.check, selftest.selftest

    def start(host: Host) -> None:
        monkeypatch.setattr(run, "check", partial(check, host=host))
        monkeypatch.setattr(selftest, "selftest", partial(test, host=host))

    return start


@pytest.fixture
def play(on_host: Callable[[Host], None]) -> Play:
    """play(slower=0.05, spread=0.01): from now on workers time so. `failing` replaces the answer, `others` the rest."""

    def start(
        slower: float = 0.0,
        spread: float = 0.005,
        base_ms: float = 1.0,
        failing: Callable[..., Any] | None = None,
        others: Callable[[Any, float], Any] = LOCAL.ask,
    ) -> None:
        seeds = itertools.count()

        def reply(asked: BlocksRequest | LoadRequest, limit_s: float) -> Any:
            if isinstance(asked, LoadRequest):
                return LOCAL.ask(asked, limit_s)
            if failing is not None:
                return failing(asked)
            slowed = max((arm.slowdown for arm in asked.arms.values()), default=0.0)
            return answer(asked, next(seeds), slower or slowed, spread, base_ms)

        on_host(FakeHost(reply, others))

    return start
