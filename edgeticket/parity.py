"""What the sparse engine claims of a model, and how far its outputs lie from the CPU provider's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeticket import engine, runtime
from edgeticket.errors import EngineError, InputError
from edgeticket.measure import checks

RAN, NOTHING, MISSING, FAILED = "ran", "claims nothing", "missing", "failed"


@dataclass(frozen=True)
class Parity:
    """`state` is one of the four above. The golden outputs are the CPU provider's; their tolerances hold here too."""

    state: str
    sentence: str
    claimed: int = 0
    nodes: int = 0
    max_abs_delta: float | None = None
    tolerance: float | None = None  # of that output
    within: bool | None = None


@dataclass(frozen=True)
class _Running:
    """A session that `checks.check_golden` can ask."""

    session: runtime.Session

    def run(self, names: Sequence[str], feed: checks.Feed) -> list[checks.Array]:
        return [np.asarray(output) for output in runtime.run(self.session, feed, names).values()]


def parity(opened: checks.Opened, threads: int = 1) -> Parity:
    """Run the golden inputs of an artifact on the sparse engine. What stands in the way is a state, not an error."""
    try:
        runtime.register()
    except EngineError as error:
        return Parity(MISSING, f"the sparse engine was not measured: {error}")
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        report = Path(folder) / "report.json"
        try:
            made = runtime.session(
                opened.files[checks.MODEL], threads=threads, provider_options={"report": str(report)}
            )
            records = engine.read_report(report)
            claimed = sum(record.claimed for record in records)
            if not claimed:
                return Parity(NOTHING, engine.summary(records), 0, len(records))
            found = checks.check_golden(opened, _Running(made))
        except InputError as error:
            return Parity(FAILED, f"the sparse engine failed: {error}")
    pairs = zip(found.values["deltas"], found.values["atol"], strict=True)
    delta, atol = max(pairs, key=lambda pair: pair[0], default=(0.0, 0.0))
    sentence = f"{engine.summary(records)}; golden outputs of the CPU provider: {found.sentence}"
    return Parity(RAN, sentence, claimed, len(records), delta, atol, found.verdict == checks.PASS)
