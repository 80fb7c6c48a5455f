"""What `bench MODEL...` is asked, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from edgeticket.arguments import Place, paths_of, require_seconds, require_shapes, require_whole
from edgeticket.errors import InputError
from edgeticket.measure.asked import AskedRuns


@dataclass(frozen=True)
class BenchRequest(AskedRuns):
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
        if not self.paths:
            raise InputError("give a model at least")
        self.require_runs()
        require_seconds("seconds", self.seconds)
        require_whole("seed", self.seed)
        require_shapes(self.input_shapes)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The models, in order."""
        return paths_of(self.models)
