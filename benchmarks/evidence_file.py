"""docs/results/evidence.jsonl holds one comparison a line. What measures and what makes the document read it here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "docs" / "results" / "evidence.jsonl"
VOID = "void"  # a kind: measured with a fault that is mended since; kept, and never counted
Entry = dict[str, Any]


def read(path: Path = FILE) -> list[Entry]:
    """All comparisons as they were measured, void ones too; a torn line is none, and a missing file is empty."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "key" in entry:
            found.append(entry)
    return found


def counted(entries: Iterable[Entry]) -> list[Entry]:
    """Return the comparisons that are not void."""
    return [entry for entry in entries if entry["kind"] != VOID]
