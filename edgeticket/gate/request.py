"""What a comparison is asked (`check CANDIDATE --baseline OTHER`): every option with its default, checked when made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

from edgeticket.arguments import (
    Place,
    require_points,
    require_positive,
    require_seconds,
    require_shapes,
    require_share,
    require_whole,
)
from edgeticket.errors import InputError
from edgeticket.measure.asked import AskedRuns, require_budget_host

COUNTS = ("nonzeros", "macs", "nodes", "instructions")  # what `max_counts` may gate


@dataclass(frozen=True)
class ComparisonRequest(AskedRuns):
    """A candidate, what it is compared with or held to, and how.

    Tolerances are shares (0.05 is 5 %), `max_accuracy_drop` is in points; None leaves a figure ungated. What is
    measured, latency and memory, cannot be held to 0, and counts can. `max_latency` is the slow-down that must be
    caught, not one that is allowed: between half of it and all of it either verdict may come. Without a baseline only
    `budget_ms` is judged.

    Args:
        candidate: an artifact, a folder with one inside, or an ONNX file.
        baseline: the same, to compare with.
        max_latency: the slow-down that must be caught.
        max_size: how much more bytes there may be.
        max_accuracy_drop: by how much the metric may fall on the baseline's labelled slice.
        accuracy_asked: accuracy that cannot be compared is inconclusive, rather than left out.
        max_memory: how much more memory there may be at the peak.
        max_counts: the same of exact counts, by name: nonzeros, macs, nodes, instructions.
        providers: cpu, sparse or any that is installed, one or several; a duel for each, at each number of threads.
        baseline_provider: another one for the baseline.
        threads: one number of threads, or several.
        budget_ms: what the median inference may take.
        budget_host: where that holds: any, this, or a fingerprint.
        seconds: the time for each duel.
        process_s: the time after which one process is taken to hang.
        seed: of the random orders.
        input_shapes: shapes for free axes, by the input's name.

    Raises:
        InputError: a value has no meaning, or cannot be met on this host.
    """

    candidate: Place
    baseline: Place | None = None
    _: KW_ONLY
    max_latency: float | None = 0.05
    max_size: float | None = 0.01
    max_accuracy_drop: float | None = 0.5
    accuracy_asked: bool = False
    max_memory: float | None = None
    max_counts: Mapping[str, float] = field(default_factory=dict)
    providers: str | Sequence[str] = ("cpu",)
    baseline_provider: str | None = None
    threads: int | Sequence[int] = (1,)
    budget_ms: float | None = None
    budget_host: str = "any"
    seconds: float = 60.0
    process_s: float = 30.0
    seed: int = 0
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.baseline is None and self.budget_ms is None:
            raise InputError("give --baseline, a model to compare with, or --budget-ms, a limit")
        if self.baseline is None and (self.max_memory is not None or self.max_counts or self.baseline_provider):
            raise InputError("limits of memory and counts, and --baseline-provider, compare; give --baseline")
        self._check_numbers()
        require_budget_host(self.budget_host)
        if self.budget_ms is None and self.budget_host != "any":
            raise InputError("--budget-host says where a budget holds; give the budget, --budget-ms")
        if self.baseline_provider is not None and not self.baseline_provider:
            raise InputError("--baseline-provider '': give the name of a provider, or leave it out")
        self.require_runs()

    def _check_numbers(self) -> None:
        """Raise InputError where a number is out of its range, or a count has no such name."""
        if not isinstance(self.max_counts, Mapping):
            raise InputError(f"max_counts {self.max_counts!r}: give shares by name, as in {{'macs': 0.05}}")
        unknown = [name for name in self.max_counts if name not in COUNTS]
        if unknown:
            raise InputError(f"a limit of {unknown[0]!r}: counted are {', '.join(COUNTS)}")
        require_share("max_latency", self.max_latency, measured=True)
        require_share("max_memory", self.max_memory, measured=True)
        for name, share in {"max_size": self.max_size, **self.max_counts}.items():
            require_share(name, share)
        require_points("max_accuracy_drop", self.max_accuracy_drop)
        require_positive("budget_ms", self.budget_ms)
        require_seconds("seconds", self.seconds)
        require_seconds("process_s", self.process_s)
        require_whole("seed", self.seed)
        require_shapes(self.input_shapes)
