"""The result of a comparison, and its JSON document (comparison.schema.json).

Format history of edgeticket-comparison
1  2026-11  first version
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from edgeticket.artifact import checks
from edgeticket.errors import Exit
from edgeticket.gate.gate import SHOWN, Gate
from edgeticket.measure.duel import AGAIN, BASELINE, Duel
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, worst
from edgeticket.tables import ShowsTable, Table
from edgeticket.version import __version__

FORMAT, VERSION = "edgeticket-comparison", 1
SCHEMA = Path(__file__).resolve().parent / "comparison.schema.json"
EXITS = {PASS: Exit.YES, REGRESSION: Exit.NO, INCONCLUSIVE: Exit.INCONCLUSIVE}


@dataclass(frozen=True)
class Measured:
    """One duel, and what it was about."""

    label: str
    provider: str
    baseline_provider: str
    threads: int
    duel: Duel

    @property
    def verdict(self) -> str:
        """The verdict on what was asked of it: comparison, limit, the worse of both; 'shown' where nothing was."""
        plan, duel = self.duel.plan, self.duel
        given = [duel.verdict] if plan.tolerance is not None or duel.failed_arm is not None else []
        if plan.limit_ms is not None:
            given.append(INCONCLUSIVE if duel.interrupted else duel.limit_verdict or INCONCLUSIVE)
        return worst(given) if given else SHOWN

    def document(self) -> dict[str, Any]:
        """Give for JSON every block median of every process, and why blocks were dropped."""
        about = {"label": self.label, "provider": self.provider, "baseline_provider": self.baseline_provider}
        found = {arm: self.duel.latency_ms(arm) for arm in self.duel.arms if arm != AGAIN}
        return about | {
            "threads": self.threads,
            "verdict": self.verdict,
            "stopped": self.duel.stopped,
            "seconds": round(self.duel.seconds, 2),
            "tolerance": self.duel.plan.tolerance,
            "error": self.duel.plan.error,
            "judgement": self.duel.judgement.to_dict() if self.duel.judgement else None,
            "latency_ms": {arm: median(ms) if ms else None for arm, ms in found.items()},
            "dropped_blocks": self.duel.dropped(),
            "failures": self.duel.failures,
            "processes": [
                {
                    "used": process.usable,
                    "pinned": process.pinned,
                    "seconds": round(process.seconds, 3),
                    "ms": process.ms,
                    "faults": process.faults,
                    **({"slowdown": process.slowdown} if process.slowdown else {}),
                }
                for process in self.duel.processes
            ],
        }


@dataclass(frozen=True, repr=False)
class Comparison(ShowsTable):
    """All gates of one run, and what they rest on."""

    name: str
    candidate: Mapping[str, Any]
    baseline: Mapping[str, Any] | None
    host: Mapping[str, Any]
    gates: tuple[Gate, ...]
    measured: tuple[Measured, ...]
    remarks: tuple[str, ...]
    seconds: float
    seed: int
    interrupted: bool = False  # by Ctrl-C
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    @property
    def baseline_failed(self) -> bool:
        """The baseline cannot be run, so there is nothing to compare with: bad input."""
        return any(each.duel.failed_arm == BASELINE for each in self.measured)

    @property
    def verdict(self) -> str:
        """The worst of the gates; without the gates that were still to come there is no pass."""
        found = [gate.verdict for gate in self.gates]
        return worst([*found, INCONCLUSIVE] if self.interrupted else found)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regression, 2 the baseline cannot be run, 3 inconclusive, 130 interrupted."""
        if self.interrupted:
            return int(Exit.INTERRUPTED)
        return int(Exit.USAGE if self.baseline_failed else EXITS[self.verdict])

    @property
    def table(self) -> Table:
        """What is shown."""
        gates = [(gate.name, gate.verdict, gate.sentence) for gate in self.gates]
        return Table(f"{self.name}: {self.verdict} in {self.seconds:.0f} s", rows=gates, sentences=self.remarks)

    def to_json(self) -> str:
        """Give the document as text; infinity, which JSON has not, becomes a string."""
        return json.dumps(checks.finite(self.document()), indent=1) + "\n"

    def document(self) -> dict[str, Any]:
        """Give the document, as comparison.schema.json describes it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "edgeticket": __version__,
            "created": self.created,
            "name": self.name,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 2),
            "seed": self.seed,
            "candidate": self.candidate,
            "baseline": self.baseline,
            "host": self.host,
            "gates": [asdict(gate) for gate in self.gates],
            "remarks": self.remarks,
            "measurements": [each.document() for each in self.measured],
        }
