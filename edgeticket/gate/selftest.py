"""Does this host tell 5 % from nothing? The same model twice must pass, and one slowed down by 5 % must be caught."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, stdev
from typing import Any

import numpy as np

from edgeticket import text
from edgeticket.artifact import checks
from edgeticket.errors import Exit
from edgeticket.measure import duel
from edgeticket.measure.duel import CANDIDATE, SLOW_HINT, Duel, Plan
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm
from edgeticket.measure.sample_model import SIZES, sample_model
from edgeticket.measure.stats import standard_error
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, resolvable
from edgeticket.subject.shared_feed import shared_feed
from edgeticket.subject.subject import open_subject

SLOWDOWN = 0.05
SECONDS = (30, 60, 120)


@dataclass(frozen=True)
class SelfTest:
    """The result of both duels, and what they say about this host."""

    model: str
    host: dict[str, Any]
    same: Duel
    slowed: Duel

    @property
    def realised(self) -> float | None:
        """The slow-down as it was spun: the median over processes, of the model's own time."""
        found = [process.slowdown[CANDIDATE] for process in self.slowed.used if CANDIDATE in process.slowdown]
        return median(found) if found else None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended one of them."""
        return self.same.interrupted or self.slowed.interrupted

    @property
    def spread(self) -> float | None:
        """One standard deviation of ln(candidate / baseline) between processes, of the same model."""
        differences = self.same.differences()
        return stdev(differences) if len(differences) > 1 else None

    def resolves(self, seconds: float) -> float | None:
        """Give the smallest slow-down that is caught with 95 % in this time as the tolerance, by the spread seen."""
        differences = self.same.differences()
        if len(differences) < 12:
            return None
        each = self.same.seconds / len(differences)
        reached = [look for look in self.same.plan.looks() if look.processes <= seconds / each]
        if not reached:
            return None
        error = standard_error(differences) * (len(differences) / reached[-1].processes) ** 0.5
        return resolvable(error, reached[-1])

    @property
    def verdict(self) -> str:
        """The verdict: pass where both came out right, regression where one came out wrong, else inconclusive."""
        found = (self.same.verdict, self.slowed.verdict)
        if self.interrupted:
            return INCONCLUSIVE
        if found == (PASS, REGRESSION):
            return PASS
        return REGRESSION if found[0] == REGRESSION or found[1] == PASS else INCONCLUSIVE

    @property
    def exit_code(self) -> int:
        """The exit code: 0 both right, 1 one wrong, 3 open, 130 interrupted."""
        codes = {PASS: Exit.YES, REGRESSION: Exit.NO, INCONCLUSIVE: Exit.INCONCLUSIVE}
        return int(Exit.INTERRUPTED if self.interrupted else codes[self.verdict])

    def sentences(self) -> list[str]:
        """Give the sentences to be printed."""
        said = [f"{self.model} twice: {_told(self.same)} (wanted: pass)"]
        realised = "" if self.realised is None else f", of its own time {text.percent(self.realised)} were spun"
        said.append(f"slowed down by {SLOWDOWN:.0%}{realised}: {_told(self.slowed)} (wanted: regression)")
        if self.spread is not None:
            each = self.same.seconds / max(1, len(self.same.used))
            said.append(f"spread between processes: {text.percent(self.spread)} of one, {each:.2f} s a process")
        for seconds in SECONDS:
            effect = self.resolves(seconds)
            if effect is not None:
                said.append(
                    f"in {seconds} s this host resolves a slow-down of {100 * effect:.1f} %, given as the tolerance"
                )
        return said + duel.used_summary(self.same) + duel.used_summary(self.slowed)

    def document(self) -> dict[str, Any]:
        """Give the document for JSON."""
        judged = {name: each.judgement.to_dict() if each.judgement else None for name, each in self._duels().items()}
        return {
            "format": "edgeticket-selftest",
            "version": 1,
            "model": self.model,
            "host": self.host,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "slowdown": SLOWDOWN,
            "realised": self.realised,
            "spread": self.spread,
            "resolves": {str(seconds): self.resolves(seconds) for seconds in SECONDS},
            "verdicts": {name: each.verdict for name, each in self._duels().items()},
            "judgements": judged,
            "seconds": {name: round(each.seconds, 2) for name, each in self._duels().items()},
            "processes": {name: [process.ms for process in each.processes] for name, each in self._duels().items()},
        }

    def _duels(self) -> dict[str, Duel]:
        return {"same": self.same, "slowed": self.slowed}


def _told(done: Duel) -> str:
    seen = done.judgement
    if seen is None:
        return f"{done.verdict}, {done.stopped}"
    interval = f"{100 * seen.estimate:+.1f} % [{100 * seen.low:+.1f} %, {100 * seen.high:+.1f} %]"
    return f"{done.verdict}, {interval} after {seen.processes} processes and {done.seconds:.0f} s"


def selftest(
    path: Path | None,
    seconds: float,
    process_s: float,
    seed: int,
    watch: Callable[[str, Duel], None],
    host: Host = LOCAL,
) -> SelfTest:
    """Run both duels on a model of the user's, or on a small one that comes with edgeticket.

    Raises:
        InputError: the model cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        feed = folder / "feed.npz"
        if path is None:
            model, shown = folder / "sample.onnx", "a sample network"
            model.write_bytes(sample_model())
            write_feed(feed, {"x": np.random.default_rng(1).standard_normal((1, SIZES[0])).astype(np.float32)})
        else:
            subject = open_subject(path, folder, "model", process_s, host)
            model, shown = subject.model, subject.name
            try:
                shared_feed({"model": subject}, {}, feed, process_s, host)
            except NoAnswerError as error:
                stopped = Duel(Plan(seconds=seconds), stopped=f"{error}{SLOW_HINT if error.kind == 'hung' else ''}")
                return SelfTest(shown, checks.host(), stopped, stopped)
        plan, arm = Plan(seconds=seconds, process_s=process_s, seed=seed), Arm(str(model))
        same = duel.run(arm, arm, str(feed), plan, lambda state: watch("the same model twice", state), host)
        slowed = Duel(plan, interrupted=same.interrupted, stopped=same.stopped)
        if not same.interrupted and same.failed_arm is None:
            arms = Arm(str(model), slowdown=SLOWDOWN), arm
            label = f"slowed down by {SLOWDOWN:.0%}"
            slowed = duel.run(*arms, str(feed), plan, lambda state: watch(label, state), host)
    return SelfTest(shown, checks.host(), same, slowed)
