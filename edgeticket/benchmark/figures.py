"""What `bench` found out about one model: percentiles with intervals, load, memory, and a table's row of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from edgeticket import text
from edgeticket.measure.stats import median_bounds

LEVEL = 0.005  # one-sided, of every interval: 99 % in all
PERCENTS = (50, 90, 99)
HEADER = ("model", "on", "p50", "p90", "p99", "cold load", "warm load", "first", "peak memory")  # of `rows`


@dataclass
class Figures:
    """What was measured of one model on one provider at one number of threads; samples by process and block."""

    model: str
    label: str
    provider: str
    threads: int
    samples_ms: list[list[list[float]]] = field(default_factory=list)  # of undisturbed blocks
    dropped: int = 0
    throttled: bool = False
    cold_load_ms: list[float] = field(default_factory=list)
    warm_load_ms: list[float] = field(default_factory=list)
    first_inference_ms: list[float] = field(default_factory=list)
    peak_memory_bytes: list[int] = field(default_factory=list)

    def percentile(self, percent: int) -> dict[str, float] | None:
        """Give {value, low, high} in ms; None where no process holds enough samples to have one beyond it."""
        found = []
        for blocks in self.samples_ms:
            flat = [sample for block in blocks for sample in block]
            if len(flat) * (100 - percent) >= 100:
                found.append(float(np.percentile(flat, percent, method="inverted_cdf")))
        if not found:
            return None
        low, middle, high = median_bounds(found, LEVEL)
        return {"value": middle, "low": low, "high": high}

    def document(self) -> dict[str, Any]:
        """Give for JSON every sample, and what follows from them."""
        about = {"model": self.model, "label": self.label, "provider": self.provider, "threads": self.threads}
        figures = {f"p{percent}_ms": self.percentile(percent) for percent in PERCENTS}
        rest = ("cold_load_ms", "warm_load_ms", "first_inference_ms", "peak_memory_bytes", "dropped", "samples_ms")
        return about | figures | {name: getattr(self, name) for name in rest}


def rows(found: Sequence[Figures]) -> list[tuple[str, ...]]:
    """Give rows of a table: model, where, p50, p90, p99, cold load, warm load, first inference, peak memory."""
    made = []
    for each in found:
        cells = [_interval(each.percentile(percent)) for percent in PERCENTS]
        for values in (each.cold_load_ms, each.warm_load_ms, each.first_inference_ms):
            cells.append(text.latency(median(values)) if values else "-")
        cells.append(text.size(median(each.peak_memory_bytes)) if each.peak_memory_bytes else "-")
        made.append((each.model, each.label, *cells))
    return made


def _interval(found: Mapping[str, float] | None) -> str:
    if found is None:
        return "too few"
    if not math.isfinite(found["low"]):
        return f"{text.latency(found['value'])} [too few processes]"
    return f"{text.latency(found['value'])} [{text.latency(found['low'])}, {text.latency(found['high'])}]"
