"""What a pass reports: one Note for each thing done or declined."""

from __future__ import annotations

from dataclasses import dataclass

NO_ZEROS = "the weights of convolutions and matrix products hold no zeros: no unit was removed"

NEGATIVE_ZEROS = "negative zeros are stored like other numbers"


@dataclass(frozen=True)
class Note:
    """One sentence of a pass: what it did (`changed` counts it) or why it declined (`changed` is 0)."""

    pass_name: str
    changed: int
    sentence: str
