"""Measurement: samples with their unit, method and machine; never a bare float."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median


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
