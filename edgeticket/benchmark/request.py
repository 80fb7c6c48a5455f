"""What `bench MODEL...` is asked, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from edgeticket.arguments import Place, paths_of, require_positive, several
from edgeticket.artifact import checks
from edgeticket.errors import InputError


@dataclass(frozen=True)
class BenchRequest:
    """`models`: one or several; `providers` and `threads` likewise; `seconds` for each provider and number of threads.

    Raises:
        InputError: no model, no provider, no time, or threads that this process has no cores for.
    """

    models: Place | Sequence[Place]
    _: KW_ONLY
    providers: str | Sequence[str] = ("cpu",)
    threads: int | Sequence[int] = (1,)
    seconds: float = 60.0
    seed: int = 0
    input_shapes: Mapping[str, tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        cores = checks.cores()
        if not self.paths or max(self.thread_counts, default=1) > cores:
            raise InputError(f"give a model at least, and no more threads than {checks.plural(cores, 'core')}")
        if not self.provider_names or min(self.thread_counts, default=0) < 1:
            raise InputError("--providers and --threads need one value at least, and threads count from 1")
        require_positive("seconds", self.seconds)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The models, in order."""
        return paths_of(self.models)

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The providers to measure on, in order."""
        return several(self.providers)

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The numbers of threads to measure at, in order."""
        return several(self.threads)
