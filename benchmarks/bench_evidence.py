"""Error rates of `check --baseline` on this host, from real runs: `make bench-evidence`, in parts with --minutes N.

Every comparison is appended to docs/results/evidence.jsonl with its raw samples (the block medians of every process in
µs, five digits, and a letter for each dropped block). What is there is not measured again. Jobs come in a random but
fixed order, so a part is a fair sample of the whole. make_evidence.py writes docs/evidence.md from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence_file import FILE, read
from evidence_models import PLAIN, REAL, Models

import edgeticket
from edgeticket.artifact import checks
from edgeticket.measure import conditions, duel
from edgeticket.measure.duel import CANDIDATE, Duel, Plan
from edgeticket.measure.protocol import Arm

LETTERS = {conditions.STOLEN: "s", conditions.WAITED: "w", conditions.THROTTLED: "t", conditions.CLOCK: "c"}
# Slow-down -> comparisons without and with company: one hog that goes where it likes, and one for each core.
EFFECTS = {0.0: (188, 20, 20), 0.01: (20, 0, 0), 0.02: (28, 0, 0), 0.03: (20, 0, 0), 0.05: (100, 0, 0), 0.1: (27, 0, 0)}
IDLE = 1e-12  # a slow-down that spins nothing: the baseline runs the code that spins, so that only the spin differs
REAL_TIMES = 5
HOG = "import sys\nwhile True:\n    pass\n"


@dataclass(frozen=True)
class Job:
    """One comparison. `key` names it for good."""

    kind: str  # 'injected' or the name of a real regression
    effect: float
    hogs: int  # 0, 1, or -1 for one on every core
    number: int

    @property
    def key(self) -> str:
        """Return the name of this comparison, which is unique and the same in every run."""
        return f"{self.kind}|{self.effect:g}|{self.hogs}|{self.number}"


def jobs() -> list[Job]:
    """Return all comparisons that are wanted, in a random order that is always the same."""
    made = [
        Job("injected", effect, hogs, number)
        for effect, counts in EFFECTS.items()
        for hogs, count in zip((0, 1, -1), counts, strict=True)
        for number in range(count)
    ]
    made += [Job(kind, 0.0, 0, number) for kind in REAL for number in range(REAL_TIMES)]
    random.Random(1).shuffle(made)
    return made


@contextmanager
def company(hogs: int) -> Iterator[None]:
    """Keep `hogs` processes burning CPU within the `with`; -1 asks for one a core."""
    count = (os.cpu_count() or 1) if hogs < 0 else hogs
    started = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def compare(job: Job, models: Models) -> dict[str, Any]:
    """Run one comparison as `check` would with its defaults."""
    name = job.kind
    if job.kind == "injected":
        name = PLAIN[job.number % len(PLAIN)]
        model, feed = models.masked(name, 0.0)
        candidate, baseline = Arm(model, slowdown=job.effect), Arm(model, slowdown=IDLE if job.effect else 0.0)
    else:
        candidate, baseline, feed = models.real(job.kind)
    load = os.getloadavg()[0]
    with company(job.hogs):
        found = duel.run(candidate, baseline, feed, Plan(seed=random.Random(job.key).getrandbits(31)))
    if found.interrupted:
        raise KeyboardInterrupt
    return {"key": job.key, "kind": job.kind, "effect": job.effect, "hogs": job.hogs, "model": name} | row(found, load)


def row(found: Duel, load: float) -> dict[str, Any]:
    """Return what is kept of a comparison, as a line of the file."""
    host = checks.host()
    seen = found.judgement
    judgement = {k: round(v, 6) if isinstance(v, float) else v for k, v in seen.to_dict().items()} if seen else None
    realised = sorted(process.slowdown.get(CANDIDATE, 0.0) for process in found.used)
    return {
        "verdict": found.verdict,
        "stopped": found.stopped,
        "seconds": round(found.seconds, 1),
        "realised": round(realised[len(realised) // 2], 5) if realised else None,
        "judgement": checks.finite(judgement),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": round(load, 2),
        "host": {key: host[key] for key in ("cpu", "cores", "onnxruntime", "fingerprint")},
        "edgeticket": edgeticket.__version__,
        "failures": found.failures,
        "processes": [
            {
                "us": {arm: [float(f"{1e3 * ms:.5g}") for ms in times] for arm, times in process.ms.items()},
                "faults": "".join(LETTERS[fault] if fault else "." for fault in process.faults),
            }
            for process in found.processes
        ],
    }


def append(path: Path, entry: dict[str, Any]) -> None:
    """Append one synced line, after a newline where an earlier line was torn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write((json.dumps(entry, separators=(",", ":")) + "\n").encode())
        stream.flush()
        os.fsync(stream.fileno())


def main() -> None:
    """Measure what is missing, as long as it may take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="begin nothing new after this")
    parser.add_argument("--only", help="a kind: injected, or a part of a real regression's name")
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args()
    begin, have = time.monotonic(), {entry["key"] for entry in read(given.file)}
    missing = [job for job in jobs() if job.key not in have and (given.only or "") in job.kind]
    print(f"{len(have)} comparisons are in {given.file.name}, {len(missing)} are missing", flush=True)
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        models = Models(Path(folder))
        for job in missing:
            if given.minutes is not None and time.monotonic() - begin > 60 * given.minutes:
                break
            entry = compare(job, models)
            append(given.file, entry)
            print(f"{job.key:45}{entry['model']:36}{entry['verdict']:14}{entry['seconds']:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
