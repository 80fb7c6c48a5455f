"""The limit that a median inference is held to: a budget that was asked for, or the one an artifact carries."""

from __future__ import annotations

from dataclasses import dataclass

from edgeticket.gate.request import ComparisonRequest
from edgeticket.subject.subject import Subject


@dataclass(frozen=True)
class Limit:
    """What an inference may take in ms (None: there is no limit), on which host and at how many threads (None: any)."""

    here: str  # the fingerprint of this host
    ms: float | None = None
    host: str = "any"  # or a fingerprint
    threads: int | None = None

    @classmethod
    def of(cls, request: ComparisonRequest, candidate: Subject, here: str) -> Limit:
        """Take what was asked for, else what the artifact carries."""
        carried = candidate.budget
        if request.budget_ms is not None:
            return cls(here, request.budget_ms, here if request.budget_host == "this" else request.budget_host)
        if carried is not None:
            return cls(here, float(carried["latency_ms"]), str(carried["host"]), int(carried["threads"]))
        return cls(here)

    @property
    def holds_here(self) -> bool:
        """Whether it is for this host."""
        return self.host in ("any", self.here)

    def at(self, threads: int) -> float | None:
        """The limit in ms at this number of threads."""
        return self.ms if self.threads in (None, threads) else None
