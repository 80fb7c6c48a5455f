"""A line for each run of a model in a file that grows, and where its latency changed for good.

Format history of edgeticket-history
1  2026-11  first version
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgeticket.errors import InputError, StorageError

FORMAT, VERSION = "edgeticket-history", 1
FEWEST = 3  # runs on each side of a change
PENALTY = 5.0  # times ln n and the variance; Schwarz's criterion takes 3, and the variance is estimated from few runs
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_VCS_NUMBER")


def records(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Take what is kept of a comparison's or a bench's document: an entry for each model."""
    kept = {key: document[key] for key in ("created", "host")} | {"format": FORMAT, "version": VERSION}
    kept["host"] = kept["host"]["fingerprint"]
    kept["commit"] = next((os.environ[name] for name in _COMMITS if os.environ.get(name)), None)
    if document["format"] == "edgeticket-comparison":
        kept |= {"name": document["name"], "verdict": document["verdict"], "sha256": document["candidate"]["sha256"]}
        return [kept | {"latency_ms": {e["label"]: e["latency_ms"]["candidate"] for e in document["measurements"]}}]
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for each in document["measurements"]:
        if each["p50_ms"] is not None:
            found[each["model"]][each["label"]] = each["p50_ms"]["value"]
    models = document["models"]
    return [kept | {"name": name, "sha256": models[name]["sha256"], "latency_ms": ms} for name, ms in found.items()]


def append(path: Path, document: Mapping[str, Any]) -> None:
    """Add a line for each model, synced.

    Raises:
        StorageError: the disk refused it; lines that were there are whole.
    """
    data = "".join(json.dumps(record) + "\n" for record in records(document)).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            start = stream.tell()
            try:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                os.ftruncate(stream.fileno(), start)
                raise
    except OSError as error:
        raise StorageError(f"{path}: nothing could be added ({error.strerror or error}); free some space") from error


def read(path: Path) -> list[dict[str, Any]]:
    """Read the runs in order; lines that are none of ours (a torn one at the end) are left out.

    Raises:
        InputError: the file cannot be read, or no line of it is a run.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a file made by --append") from error
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["format"] == FORMAT and entry["version"] == VERSION and isinstance(entry["latency_ms"], dict):
                found.append(entry)
        except (ValueError, KeyError, TypeError):
            continue
    if not found:
        raise InputError(f"{path}: no run in it; `edgeticket check ... --append {path}` adds one")
    return found


@dataclass(frozen=True)
class Trend:
    """A series of medians in ms of every run on one host, cut where the level changed."""

    name: str
    label: str
    host: str
    values_ms: tuple[float, ...]
    commits: tuple[str | None, ...]
    created: tuple[str, ...]
    starts: tuple[int, ...]  # the first run of each segment, 0 first

    def levels_ms(self) -> tuple[float, ...]:
        """Give the median of each segment in ms."""
        ends = (*self.starts[1:], len(self.values_ms))
        return tuple(median(self.values_ms[a:b]) for a, b in zip(self.starts, ends, strict=True))

    def sentences(self) -> list[str]:
        """Say one sentence on the series, and one on each change."""
        levels = self.levels_ms()
        said = [f"{self.name}, {self.label}, host {self.host}: {len(self.values_ms)} runs, now {levels[-1]:.4g} ms"]
        for number, start in enumerate(self.starts[1:], start=1):
            change = 100 * (levels[number] / levels[number - 1] - 1)
            where = self.commits[start][:12] if self.commits[start] else self.created[start]  # type: ignore[index]
            said.append(f"  {change:+.1f} % from run {start + 1} on ({where})")
        if len(self.values_ms) < 2 * FEWEST:
            said.append(f"  too few runs for a change point: {2 * FEWEST} are needed")
        return said


def trends(entries: Iterable[Mapping[str, Any]]) -> list[Trend]:
    """Sort a history into series by model, label and host, since milliseconds of two hosts say nothing together."""
    series: dict[tuple[str, str, str], list[tuple[float, str | None, str]]] = defaultdict(list)
    for entry in entries:
        for label, value in entry["latency_ms"].items():
            if isinstance(value, int | float) and value > 0:
                key = (str(entry["name"]), str(label), str(entry["host"]))
                series[key].append((float(value), entry.get("commit"), str(entry["created"])))
    made = []
    for (name, label, host), rows in series.items():
        values, commits, created = zip(*rows, strict=True)
        made.append(Trend(name, label, host, values, commits, created, change_points(values)))
    return made


def change_points(values: Iterable[float]) -> tuple[int, ...]:
    """Find where each steady level begins, 0 first: exact (PELT) on ln, with the spread taken from neighbours."""
    logs = np.log(np.fromiter(values, np.float64))
    n = len(logs)
    if n < 2 * FEWEST:
        return (0,)
    import ruptures

    steps = np.diff(logs)
    spread = float(np.median(np.abs(steps))) / (0.6745 * math.sqrt(2))  # robust against the very steps looked for
    if spread == 0:
        spread = float(np.std(steps)) / math.sqrt(2) or 1e-9
    found = (
        ruptures.Pelt(model="l2", min_size=FEWEST, jump=1)
        .fit(logs[:, None])
        .predict(pen=PENALTY * math.log(n) * spread**2)
    )
    return (0, *(int(end) for end in found[:-1]))
