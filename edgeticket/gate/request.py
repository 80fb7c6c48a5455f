"""What `check CANDIDATE --baseline OTHER` is asked, with its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeticket.artifact import checks
from edgeticket.errors import InputError


@dataclass(frozen=True)
class Request:
    """Tolerances are shares (0.05 is 5 %), of accuracy points; None leaves a figure ungated.

    `max_latency` is the slow-down that must be caught, not one that is allowed: between half of it and all of it either
    verdict may come.
    """

    candidate: Path
    baseline: Path | None
    max_latency: float | None = 0.05
    max_size: float | None = 0.01
    max_accuracy_drop: float | None = 0.5
    accuracy_asked: bool = False
    max_memory: float | None = None
    max_counts: Mapping[str, float] = field(default_factory=dict)  # nonzeros, macs, nodes, instructions
    providers: Sequence[str] = ("cpu",)
    baseline_provider: str | None = None
    threads: Sequence[int] = (1,)
    budget_ms: float | None = None
    budget_host: str = "any"
    seconds: float = 60.0
    process_s: float = 30.0
    seed: int = 0
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.providers or not self.threads:
            raise InputError("--providers and --threads need one value at least")
        if self.baseline is None and self.budget_ms is None:
            raise InputError("give --baseline, a model to compare with, or --budget-ms, a limit")
        if not re.fullmatch("any|this|[0-9a-f]{12}", self.budget_host):
            raise InputError(
                f"--budget-host {self.budget_host!r}: give any, this, or the fingerprint of a host, 12 digits and "
                f"letters (here it is {checks.host()['fingerprint']})"
            )
        cores = checks.cores()
        if max(self.threads) > cores:
            raise InputError(
                f"--threads {max(self.threads)}: this process may use {checks.plural(cores, 'core')}, and threads that "
                "share one measure the scheduler"
            )
