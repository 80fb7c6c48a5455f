"""Engine parity: what the sparse engine claims of a model, and how far its outputs lie from the CPU provider's.

The CPU provider is the yardstick here, and its own outputs are judged elsewhere: by graph/proving/ at export, and by
checks.py on the device.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from edgeticket import engine, runtime, text
from edgeticket.artifact import checks, outputs
from edgeticket.errors import EngineError, InputError

RAN, CLAIMS_NOTHING, MISSING, FAILED = "ran", "claims nothing", "missing", "failed"


@dataclass(frozen=True)
class Parity:
    """`state` is one of the four above. The golden outputs are the CPU provider's; their tolerances hold here too."""

    state: str
    sentence: str
    claimed: int = 0
    nodes: int = 0
    max_abs_delta: float | None = None  # None too where shapes differ, or a number became NaN or infinite
    tolerance: float | None = None  # of that output
    within: bool | None = None
    output_range: float | None = None  # the largest less the smallest finite number of that output
    sizes_unknown: int = 0  # nodes that were left because a size is not known before the model runs


@dataclass(frozen=True)
class OnEngine:
    """A model that was loaded on the sparse engine, and what that reports of each node."""

    session: runtime.Session
    records: list[engine.NodeRecord]


def on_engine(model: bytes, threads: int = 1) -> OnEngine:
    """Load a model on the sparse engine.

    Raises:
        EngineError: there is no engine here, or it made no report.
        ModelError: the runtime cannot load the model.
    """
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        report = Path(folder) / "report.json"
        runtime.register()
        made = runtime.session(model, threads=threads, provider_options={"report": str(report)})
        return OnEngine(made, engine.read_report(report))


def engine_parity(opened: checks.Opened, threads: int = 1, load: Callable[[], OnEngine] | None = None) -> Parity:
    """Run the golden inputs of an artifact on the sparse engine. What stands in the way is a state, not an error.

    `load` gives what on_engine() gave of the artifact's model, or raises what that raised, where it was begun before.
    """
    try:
        runtime.register()
    except EngineError as error:
        return Parity(MISSING, f"the sparse engine was not measured: {error}")
    try:
        made = on_engine(opened.files[checks.MODEL], threads) if load is None else load()
        records = made.records
        claimed = sum(record.claimed for record in records)
        unknown = sum(record.reason.endswith(engine.SIZE_UNKNOWN) for record in records)
        if not claimed:
            return Parity(CLAIMS_NOTHING, engine.summary(records), 0, len(records), sizes_unknown=unknown)
        found = _deltas(opened, made.session)
    except InputError as error:
        return Parity(FAILED, f"the sparse engine failed: {error}")
    beyond = [each for each in found if each.delta > each.atol]
    worst = max(beyond or found, key=attrgetter("delta"), default=_Delta(0.0, 0.0, 0.0, 0))
    skipped = sum(each.skipped for each in found)
    sentence = (
        f"{engine.summary(records)}; max |Δ| {worst.delta:.3g} to the CPU provider on "
        f"{text.plural(len(found), 'golden output')}, {'beyond' if beyond else 'within'} its tolerance of "
        f"{worst.atol:.3g}, where that output has a range of {worst.output_range:.3g}"
    )
    if skipped:
        sentence += f"; {text.plural(skipped, 'value')} not compared, which there are NaN or infinite"
    delta = worst.delta if math.isfinite(worst.delta) else None
    return Parity(
        RAN, sentence, claimed, len(records), delta, worst.atol, not beyond, worst.output_range, sizes_unknown=unknown
    )


@dataclass(frozen=True)
class _Delta:
    """Of one feed and output: the largest |difference|, the tolerance, its range, and the values not compared."""

    delta: float
    atol: float
    output_range: float
    skipped: int


def _deltas(opened: checks.Opened, session: runtime.Session) -> list[_Delta]:
    """The differences of every feed and output.

    Not compared is what the golden output has as NaN or infinity: a zero weight does not read its input here, so that
    an infinity inside of the network may take another way.
    """
    golden = opened.manifest["golden"]
    found = []
    for (feed, wanted), allowed in zip(checks.golden_feeds(opened), golden["atol"], strict=True):
        got = outputs.run(session, feed, golden["outputs"])
        for name, exact, atol in zip(golden["outputs"], wanted, allowed, strict=True):
            here = got[name]
            floating = np.issubdtype(exact.dtype, np.floating) and here.shape == exact.shape
            kept = np.isfinite(exact) if floating else np.ones(exact.shape, np.bool_)
            pair = (here[kept], exact[kept]) if floating else (here, exact)
            numbers = exact[kept].astype(np.float64) if exact.dtype.kind in "fiu" else np.zeros(0)
            spread = float(np.ptp(numbers)) if numbers.size else 0.0
            found.append(_Delta(checks.max_delta(*pair), float(atol), spread, int(kept.size - kept.sum())))
    return found
