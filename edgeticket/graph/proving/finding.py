"""What the proof of the graph runs on, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from edgeticket.artifact.manifest import GraphProof
from edgeticket.graph.proving.samples import Feed

Array = NDArray[Any]
Part = Callable[[Array], Array]


@dataclass(frozen=True)
class Sample:
    """One feed with the original's outputs in float32 and float64, sequences and maps as tensors.

    `parts` take from an output what `double` holds of it, where that is not all.
    """

    feed: Feed
    single: Mapping[str, Array]
    double: Mapping[str, Array]
    parts: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphFinding:
    """The proof of the graph, and what it does not cover.

    chosen: outputs of which it compared what they are chosen from, where that moved.
    not_seen: outputs that are chosen, where what they are chosen from has no counterpart.
    not_run: branches and bodies that no input ran, each in a clause.
    left_out: how many values that choices read were too many, or have no counterpart.
    """

    proof: GraphProof | None
    chosen: frozenset[str] = frozenset()
    not_seen: frozenset[str] = frozenset()
    not_run: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def unseen(self) -> tuple[str, ...]:
        """What the proof does not cover, in clauses."""
        said = [f"output {name!r}: what it is chosen from was not compared" for name in sorted(self.not_seen)]
        values = "value that choices are" if self.left_out == 1 else "values that choices are"
        many = f"{self.left_out:,} more {values} made of: not compared"
        return (*said, *self.not_run, *((many,) if self.left_out else ()))
