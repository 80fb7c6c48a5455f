"""`check` on both providers: the CPU provider's checks, and one line about the sparse engine on this host."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgeticket import text
from edgeticket.artifact import checks, parity
from edgeticket.gate.gate import SHOWN
from edgeticket.measure import profile

NAME = "engine"


def with_engine(folder: Path, outcome: checks.Outcome, threads: int) -> checks.Outcome:
    """Add a line about the engine to the outcome: fail where its golden outputs are beyond their tolerance.

    Nothing is added where the CPU provider's own golden outputs were not met: the model itself is in doubt then.
    """
    if not any(check.name == "golden" and check.verdict == checks.PASS for check in outcome.checks):
        return outcome
    opened = checks.open_artifact(folder)
    found = parity.engine_parity(opened, threads)
    if found.state == parity.RAN:
        line = _timed(opened, found, threads)
    else:
        verdict = checks.FAIL if found.state == parity.FAILED else SHOWN
        line = checks.Check(NAME, verdict, found.sentence, asdict(found))
    return replace(outcome, checks=(*outcome.checks, line))


def _timed(opened: checks.Opened, found: parity.Parity, threads: int) -> checks.Check:
    """Time both providers in one fresh process, in which they take turns."""
    feed = next(checks.golden_feeds(opened))[0]
    if opened.manifest["golden"]["single"]:
        feed = checks.single(opened.manifest["inputs"], feed)
    models = {"model": opened.files[checks.MODEL]}
    measured = profile.measure(models, feed, sparse=("model",), threads=(threads,), loads=False)
    values: dict[str, Any] = asdict(found)
    own, cpu = (measured.get("latency", "model", threads, name) for name in ("sparse", "cpu"))
    sentence = "; ".join(measured.failures)
    if own and cpu:
        values |= {"sparse_ms": own.median, "cpu_ms": cpu.median, "threads": threads}
        sentence = (
            f"sparse engine {text.latency(own.median)} at {text.plural(threads, 'thread')}, "
            f"{cpu.median / own.median:.2f} times as fast as the same file on the CPU provider "
            f"({text.latency(cpu.median)})"
        )
    return checks.Check(NAME, checks.PASS if found.within else checks.FAIL, f"{sentence}; {found.sentence}", values)
