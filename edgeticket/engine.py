"""The sparse engine's library and what it says of a model; `edgeticket.runtime` is what loads it.

The library is libedgeticket_ep.so, a plugin execution provider for ONNX Runtime built from export/. Its report is a
JSON list of one record a node: name, op, claimed, reason (why a node was left to the CPU provider), kernel, weight and
output (shapes; a free axis is null), density (the nonzero share of the weights), macs (an item), and, an item or null,
predicted_us, cpu_us (predicted for the CPU provider) and measured_us (with option `measure`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeticket.errors import EngineError

EP_NAME = "EdgeTicketExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"  # ONNX Runtime's own
LIBRARY = "libedgeticket_ep.so"
PREFIX = f"ep.{EP_NAME.lower()}."  # of a provider option among the session's configuration entries
CLAIMS = ("auto", "timed", "always")
ISAS = ("avx512", "avx2", "neon", "portable")  # as the plugin's own table has them (export/src/isa/isa.h)
OPTIONS = {  # name -> the values that it takes, in words and as a pattern
    "claim": (f"{', '.join(CLAIMS[:-1])} or {CLAIMS[-1]}", "|".join(CLAIMS)),
    "isa": (f"{', '.join(ISAS[:-1])} or {ISAS[-1]}", "|".join(ISAS)),
    "measure": ("0 or 1", "[01]"),
    "report": ("a path", ".+"),
    "threads": ("1 to 1024", "[1-9][0-9]{0,2}|10[01][0-9]|102[0-4]"),
}
SIZE_UNKNOWN = ", is not known before it runs"  # how the reason ends (export/src/onnx/read_node.cpp)
_MOST_REASONS = 4


def library_path() -> Path:
    """Where the plugin lies, for C, C++, C# and Java.

    Raises:
        EngineError: it was not built.
    """
    path = Path(__file__).resolve().parent / LIBRARY
    if not path.is_file():
        raise EngineError(
            f"{path} is missing: this edgeticket was installed where no C++ compiler was found, or from a checkout "
            "that was never built. Install g++ or clang (or `pip install ziglang`) and install edgeticket again, or "
            "run `make engine` in a checkout; without it everything runs on ONNX Runtime's CPU provider"
        )
    return path


def entries(options: Mapping[str, object]) -> dict[str, str]:
    """Provider options as session configuration entries; numbers and paths are written out.

    Raises:
        EngineError: an option or a value that the provider does not have. Depending on how it is given, ONNX Runtime
            would ignore it or go on without the provider.
    """
    for key, value in options.items():
        if key not in OPTIONS:
            raise EngineError(f"the provider has no option {key!r}, only {', '.join(OPTIONS)}")
        words, pattern = OPTIONS[key]
        if not re.fullmatch(pattern, str(value), re.DOTALL):
            raise EngineError(f"the provider's option {key} is {value!r}; it takes {words}")
    return {PREFIX + key: str(value) for key, value in options.items()}


@dataclass(frozen=True)
class NodeRecord:
    """What became of one node of a model's graph, as ONNX Runtime optimised it."""

    name: str
    op: str
    claimed: bool
    reason: str
    kernel: str
    density: float
    macs: int
    predicted_us: float | None
    cpu_us: float | None
    measured_us: float | None
    weight: tuple[int, ...] = ()
    output: tuple[int | None, ...] = ()


def read_report(path: Path) -> list[NodeRecord]:
    """The report that option `report` wrote.

    Raises:
        EngineError: it is missing or no report.
    """
    try:
        records: list[dict[str, Any]] = json.loads(path.read_bytes().decode("utf-8", "replace"))
        shapes = ("weight", "output")
        return [NodeRecord(**{**each, **{key: tuple(each.get(key, ())) for key in shapes}}) for each in records]
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(f"{path}: not a report of {EP_NAME}: {error}") from error


def summary(records: list[NodeRecord]) -> str:
    """One line: how many nodes were claimed, how many were left, and why.

    >>> summary([])
    'EdgeTicketExecutionProvider claimed 0 of 0 nodes'
    """
    claimed = sum(record.claimed for record in records)
    text = f"{EP_NAME} claimed {claimed} of {len(records)} nodes"
    left = Counter((record.op, record.reason) for record in records if not record.claimed)
    if not left:
        return text
    reasons = [f"{count} {op} ({reason})" for (op, reason), count in left.most_common(_MOST_REASONS)]
    more = len(left) - len(reasons)
    if more > 0:
        reasons.append(f"{more} more reason{'s' if more > 1 else ''}")
    return f"{text}; left to the CPU provider: " + "; ".join(reasons)
