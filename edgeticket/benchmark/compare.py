"""What two saved runs of `bench` allow one to conclude, and what not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from edgeticket.benchmark.bench import FORMAT, VERSION
from edgeticket.benchmark.figures import LEVEL
from edgeticket.errors import InputError
from edgeticket.measure.stats import shift_bounds
from edgeticket.tables import Table

Document = Mapping[str, Any]
BESIDE = {
    "cold_load_ms": "cold load",
    "warm_load_ms": "warm load",
    "first_inference_ms": "first inference",
    "peak_memory_bytes": "peak memory",
}


class Conclusions(NamedTuple):
    """What two results allow one to conclude, and whether anything about latency could be compared."""

    sentences: list[str]
    comparable: bool

    @property
    def table(self) -> Table:
        """What is shown."""
        heading = "latencies can be compared" if self.comparable else "latencies cannot be compared"
        return Table(heading, sentences=self.sentences)

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()


def read(path: Path) -> Document:
    """Read a document of `bench --json`.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        document = json.loads(path.read_bytes())
        known = (document["format"], document["version"]) == (FORMAT, VERSION)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a result of `edgeticket bench MODEL --json {path.name}` ({error})") from error
    if not known:
        raise InputError(
            f"{path}: {document['format']!r} version {document['version']}, and {FORMAT!r} {VERSION} is read"
        )
    return dict(document)


def conclusions(a: Document, b: Document) -> Conclusions:
    """Conclude what can be: sentences, and whether anything about latency could be compared.

    Milliseconds of two hosts are not compared at all. Of one host at two times they are, with bounds that say how far
    the two runs differ; not why, as the host itself may have changed in between.
    """
    said = []
    here, there = a["host"], b["host"]
    for name in sorted(a["models"].keys() & b["models"].keys()):
        one, two = a["models"][name], b["models"][name]
        if one["sha256"] == two["sha256"]:
            said.append(f"{name}: the same file in both, {one['size_bytes']:,} bytes.")
        else:
            said.append(f"{name}: {one['size_bytes']:,} bytes, then {two['size_bytes']:,}: exact, on any host.")
    if here["fingerprint"] != there["fingerprint"]:
        differing = [key for key in here if key != "fingerprint" and here.get(key) != there.get(key)]
        shown = ", ".join(f"{key}: {here[key]} and {there.get(key)}" for key in differing)
        said.append(
            f"The runs are from different hosts ({shown}): nothing can be concluded about latency, load time or "
            "memory. Run `edgeticket check` with both on one host."
        )
        return Conclusions(said, False)
    pairs = _pairs(a, b)
    if not pairs:
        said.append("No model was measured in both on the same provider and number of threads: nothing to compare.")
        return Conclusions(said, False)
    drift = [_change(one, two) for one, two, same in pairs if same]
    for one, two, same in pairs:
        low, estimate, high = _change(one, two)
        interval = f"{_percent(estimate)} [{_percent(low)}, {_percent(high)}]"
        where = f"{one['model']}, {one['label']}"
        if low > 0 or high < 0:
            said.append(f"{where}: {interval}: the two runs differ.")
        else:
            said.append(f"{where}: {interval}: the two runs are not told apart; less than these bounds stays unseen.")
        if same and (low > 0 or high < 0):
            said.append(
                "  It is the same file, so the host has changed in between, and other models' changes hold that too."
            )
        said += [f"  {sentence}" for sentence in _beside(one, two)]
    known = "" if drift else " No file was measured in both, so how far the host drifted is not known."
    said.append(
        "That a model is slower than another cannot be concluded: they did not run at the same time, and hosts drift."
        f"{known} `edgeticket check CANDIDATE --baseline OTHER` runs both side by side."
    )
    return Conclusions(said, True)


def _pairs(a: Document, b: Document) -> list[tuple[Document, Document, bool]]:
    """Pair what was measured in both, and say whether on the same file."""
    later = {(each["model"], each["provider"], each["threads"]): each for each in b["measurements"]}
    found = []
    for each in a["measurements"]:
        other = later.get((each["model"], each["provider"], each["threads"]))
        if other is not None:
            same = a["models"][each["model"]]["sha256"] == b["models"][each["model"]]["sha256"]
            found.append((each, other, same))
    return found


def _change(one: Document, two: Document) -> tuple[float, float, float]:
    """Bound ln(second / first), over medians of processes."""
    return shift_bounds(_logs(one), _logs(two), LEVEL)


def _beside(one: Document, two: Document) -> list[str]:
    """Say how far the two runs differ in what is measured once a process."""
    said = []
    for key, what in BESIDE.items():
        before, after = ([math.log(value) for value in each.get(key, ()) if value > 0] for each in (one, two))
        if not before or not after:
            continue
        low, estimate, high = shift_bounds(before, after, LEVEL)
        if math.isfinite(low):
            word = "the two runs differ" if low > 0 or high < 0 else "not told apart"
            said.append(f"{what}: {_percent(estimate)} [{_percent(low)}, {_percent(high)}]: {word}.")
        else:
            said.append(f"{what}: {_percent(estimate)}, of too few processes to conclude anything.")
    return said


def _logs(figures: Document) -> list[float]:
    return [math.log(median(sample for block in blocks for sample in block)) for blocks in figures["samples_ms"]]


def _percent(log: float) -> str:
    return f"{100 * math.expm1(log):+.1f} %" if math.isfinite(log) else "unknown"
