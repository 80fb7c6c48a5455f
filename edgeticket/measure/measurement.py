"""Measurement: samples with their unit, method and machine; never a bare float."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from edgeticket.measure.stats import bounds, hodges_lehmann, tail_count


@dataclass(frozen=True)
class Measurement:
    """Repeated measurements of one quantity of one model.

    `what` is 'latency', 'load', 'first-inference' or 'peak-memory'; `host` is the fingerprint of the machine;
    `provider` is 'cpu' or 'sparse', the sparse engine.

    Raises:
        ValueError: there is no sample, or one is not finite.
    """

    what: str
    model: str  # 'dense' or 'exported'
    threads: int
    unit: str  # 'ms' or 'bytes'
    samples: tuple[float, ...]
    method: str
    host: str
    provider: str = "cpu"
    blocks: tuple[float, ...] = ()  # of latency: the median of each block, in which every model had its turn

    def __post_init__(self) -> None:
        if not self.samples or not all(math.isfinite(sample) for sample in self.samples):
            raise ValueError(f"{self.what} of {self.model}: a measurement needs finite samples, got {self.samples[:3]}")

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self.samples)

    @property
    def median(self) -> float:
        """The middle sample, in `unit`."""
        return float(median(self.samples))

    def percentile(self, percent: float) -> float | None:
        """The nearest-rank percentile; None where the samples are too few to hold one sample beyond it."""
        if self.count * (100 - percent) < 100:
            return None
        return sorted(self.samples)[math.ceil(self.count * percent / 100) - 1]


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one model is as another, with the 95 % interval over the blocks that they shared.

    `same` says that both are one file, which was measured once.
    """

    low: float
    estimate: float
    high: float
    same: bool = False

    @property
    def seen(self) -> bool:
        """Whether the interval leaves 1 out: a difference, as far as this host and these blocks tell."""
        return not self.low <= 1 <= self.high


def speed(model: Measurement, other: Measurement) -> Ratio:
    """How many times as fast `model` is as `other`, by Hodges and Lehmann over the logarithms of paired blocks.

    Without paired blocks the medians are divided and the interval is infinite.
    """
    if model.samples == other.samples and model.provider == other.provider:
        return Ratio(1.0, 1.0, 1.0, same=True)
    if not model.blocks or len(model.blocks) != len(other.blocks):
        return Ratio(0.0, other.median / model.median, math.inf)
    logs = [math.log(there / here) for here, there in zip(model.blocks, other.blocks, strict=True)]
    low, high = bounds(logs, tail_count(len(logs), 0.025)[0])
    return Ratio(math.exp(low), math.exp(hodges_lehmann(logs)), math.exp(high) if math.isfinite(high) else math.inf)
