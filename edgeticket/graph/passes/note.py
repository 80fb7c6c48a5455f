"""What a pass reports: one Note for each thing done or declined."""

from __future__ import annotations

from dataclasses import dataclass

NO_ZEROS = "the weights hold no zeros: there is nothing to remove, export is dense"


@dataclass(frozen=True)
class Note:
    """One sentence of a pass: what it did (`changed` counts it) or why it declined (`changed` is 0)."""

    pass_name: str
    changed: int
    sentence: str
