"""What one process measured of all arms: the unit of replication, of which a comparison has a dozen or more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from edgeticket.measure.protocol import BlocksAnswer
from edgeticket.measure.stats import hodges_lehmann

FEWEST_BLOCKS, FEWEST_SHARE = 3, 1 / 3  # undisturbed, for a process to count
DIGITS = 6  # significant, of every recorded millisecond


@dataclass(frozen=True)
class Process:
    """What one process measured: block medians in ms by arm, and why blocks were dropped (None: kept)."""

    ms: Mapping[str, tuple[float, ...]]
    faults: tuple[str | None, ...]
    seconds: float
    pinned: tuple[int, ...] | None
    slowdown: Mapping[str, float] = field(default_factory=dict)
    instructions: Mapping[str, int] = field(default_factory=dict)
    not_counted: str | None = None

    @classmethod
    def of(cls, answer: BlocksAnswer, seconds: float) -> Process:
        """Take over a worker's answer; the process took `seconds` in all."""
        blocks = answer.blocks
        ms = {name: tuple(float(f"{block.ms[name]:.{DIGITS}g}") for block in blocks) for name in blocks[0].ms}
        faults = tuple(block.fault for block in blocks)
        return cls(ms, faults, seconds, answer.pinned, answer.slowdown, answer.instructions, answer.not_counted)

    def kept(self, arm: str) -> list[float]:
        """Give the medians in ms of the undisturbed blocks."""
        return [ms for ms, fault in zip(self.ms[arm], self.faults, strict=True) if fault is None]

    @property
    def usable(self) -> bool:
        """Whether enough of it was undisturbed to count."""
        kept = sum(fault is None for fault in self.faults)
        return kept >= max(FEWEST_BLOCKS, FEWEST_SHARE * len(self.faults))

    def log_ratio(self, arm: str, to: str) -> float:
        """Estimate ln(arm / to) by Hodges and Lehmann over blocks, in each of which the models lay elsewhere."""
        return hodges_lehmann([math.log(a / b) for a, b in zip(self.kept(arm), self.kept(to), strict=True)])

    def latency_ms(self, arm: str) -> float:
        """Give the median over blocks in ms."""
        return median(self.kept(arm))
