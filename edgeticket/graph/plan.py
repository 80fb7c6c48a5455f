"""What simplification reports: one Note for each thing done or declined, one Layer for each weight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One sentence of a pass: what it did (`changed` counts it) or why it declined (`changed` is 0)."""

    pass_name: str
    changed: int
    sentence: str


@dataclass(frozen=True)
class Layer:
    """The plan for one weight: what the stored file must hold under the initializer's `name`.

    `shape_after` is () and `nonzeros_after` 0 where the whole layer was removed.
    """

    name: str
    op: str
    shape_before: tuple[int, ...]
    shape_after: tuple[int, ...]
    nonzeros_before: int
    nonzeros_after: int

    @property
    def removed(self) -> bool:
        """Nothing of this layer is left."""
        return self.shape_after == ()
