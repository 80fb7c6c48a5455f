"""What `bench MODEL...` is asked, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from edgeticket.arguments import Place, paths_of, several
from edgeticket.artifact import checks
from edgeticket.errors import InputError


@dataclass(frozen=True)
class BenchRequest:
    """`models`: one or several; `providers` and `threads` likewise; `seconds` for each provider and number of threads.

    Raises:
        InputError: no model, or more threads than this process may use cores.
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
        if not self.paths or max(self.thread_counts) > cores:
            raise InputError(f"give a model at least, and no more threads than {checks.plural(cores, 'core')}")

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
