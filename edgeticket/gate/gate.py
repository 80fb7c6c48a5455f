"""A gate: one question about a candidate, and its answer. The other modules here each make some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = "shown"  # measured, and gated by nobody


@dataclass(frozen=True)
class Gate:
    """One question, its verdict (or 'shown'), one sentence, and the numbers behind it."""

    name: str
    verdict: str
    sentence: str
    values: Mapping[str, Any]
