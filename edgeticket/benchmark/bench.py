"""`bench`: several models side by side, interleaved in fresh processes; percentiles with intervals, load, memory.

Format history of edgeticket-bench
1  2026-11  first version
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeticket import text
from edgeticket.artifact import checks
from edgeticket.benchmark.figures import Figures
from edgeticket.errors import InputError
from edgeticket.measure import conditions
from edgeticket.measure.duel import Arm, Process, blocks_request
from edgeticket.measure.process import NoAnswerError, ask
from edgeticket.subject.providers import provider, short
from edgeticket.subject.subject import Subject, open_subject, require_alike, shared_feed
from edgeticket.version import __version__

FORMAT, VERSION = "edgeticket-bench", 1
PROCESSES, FEWEST, LOADS, PROCESS_S = 12, 8, 5, 60.0
SLOT = {"runs": 5, "ms": 20.0, "most": 200}
METHOD = (
    f"{PROCESSES} fresh processes, fewer where the time is over; all models in each, loaded anew and timed in random "
    "order in up to 15 blocks; a slot is one discarded inference, then 5 or more until 20 ms or 200 inferences; blocks "
    "that were disturbed are dropped. A percentile is the median over processes of each process's own, in a "
    "distribution-free 99 % interval; processes are the samples. Pinned, no spinning, denormals as zero. Memory is the "
    "peak above an empty runtime."
)


@dataclass
class Bench:
    """One run of `bench`."""

    subjects: Sequence[Subject]
    names: Sequence[str]
    host: Mapping[str, Any]
    figures: list[Figures]
    remarks: list[str]
    interrupted: bool = False
    seconds: float = 0.0
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    @property
    def exit_code(self) -> int:
        """0, 3 where a model was not measured, 130 after Ctrl-C."""
        if self.interrupted:
            return 130
        return 0 if self.figures and all(each.samples_ms for each in self.figures) else 3

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "edgeticket": __version__,
            "created": self.created,
            "host": self.host,
            "method": METHOD,
            "seconds": round(self.seconds, 2),
            "interrupted": self.interrupted,
            "models": {name: subject.about() for name, subject in zip(self.names, self.subjects, strict=True)},
            "remarks": self.remarks,
            "measurements": [checks.finite(each.document()) for each in self.figures if each.samples_ms],
        }


def bench(
    paths: Sequence[Path],
    *,
    providers: Sequence[str] = ("cpu",),
    threads: Sequence[int] = (1,),
    seconds: float = 60.0,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    watch: Callable[[str, int], None] = lambda *_: None,
) -> Bench:
    """Measure. `watch` is called with a label and the number of processes done.

    Raises:
        InputError: a model cannot be used, they differ in inputs or outputs, or there are fewer cores than threads.
        IntegrityError: an artifact's file is missing or altered.
    """
    begin, load = time.monotonic(), os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    host = checks.host()
    if not paths or max(threads) > host["cores"]:
        raise InputError(f"give a model at least, and no more threads than {checks.plural(host['cores'], 'core')}")
    full = {name: provider(name) for name in providers}
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        subjects = [open_subject(path, folder, f"model-{number}") for number, path in enumerate(paths)]
        for other in subjects[1:]:
            require_alike(other, subjects[0])
        names = _names(subjects)
        inputs = folder / "feed.npz"
        done = Bench(subjects, names, host, [], [])
        chance = random.Random(seed)  # noqa: S311
        try:
            shared_feed(dict(zip(names, subjects, strict=True)), input_shapes or {}, inputs, PROCESS_S)
            for each in full.values():
                for count in threads:
                    _measure(done, each, count, str(inputs), seconds, chance, watch)
        except NoAnswerError as error:
            done.remarks.append(f"Nothing was measured: {error}.")
        except KeyboardInterrupt:
            done.interrupted = True
        for name, subject in zip(names, subjects, strict=True):
            if not subject.unchanged():
                done.remarks.append(f"{name} was changed while it was measured: its figures are of two models.")
    blocks = sum(len(each) for figures in done.figures for each in figures.samples_ms)
    dropped = sum(figures.dropped for figures in done.figures)
    hot = any(figures.throttled for figures in done.figures)
    done.remarks += conditions.remarks(host, load, host["cores"], dropped / max(1, dropped + blocks), throttled=hot)
    done.seconds = time.monotonic() - begin
    return done


def _names(subjects: Sequence[Subject]) -> list[str]:
    """The models' names, or their paths where two share one."""
    names = [subject.name for subject in subjects]
    if len(set(names)) == len(names):
        return names
    paths = [str(subject.path) for subject in subjects]
    return [path if path not in paths[:place] else f"{path} ({place + 1})" for place, path in enumerate(paths)]


def _measure(
    done: Bench,
    full: str,
    threads: int,
    inputs: str,
    seconds: float,
    chance: random.Random,
    watch: Callable[[str, int], None],
) -> None:
    label = f"{short(full)}, {text.plural(threads, 'thread')}"
    figures = {name: Figures(name, label, full, threads) for name in done.names}
    done.figures += figures.values()
    arms = {name: Arm(str(subject.model), full) for name, subject in zip(done.names, done.subjects, strict=True)}
    begin = time.monotonic()
    for number in range(PROCESSES):
        if number >= FEWEST and time.monotonic() - begin > seconds:
            done.remarks.append(f"{label}: {number} of {PROCESSES} processes, the time was over.")
            break
        request = blocks_request(arms, inputs, threads, chance.getrandbits(32), samples=True, slot=SLOT)
        answer = _asked(done, request, label)
        if answer is None:
            return
        process = Process.of(answer, 0.0)
        for each in figures.values():
            each.throttled |= conditions.THROTTLED in process.faults
        if not process.usable:
            for each in figures.values():
                each.dropped += len(answer["blocks"])
            continue
        for name, each in figures.items():
            kept = [block["samples_ms"][name] for block in answer["blocks"] if block["fault"] is None]
            each.samples_ms.append([[float(f"{sample:.6g}") for sample in block] for block in kept])
            each.dropped += len(answer["blocks"]) - len(kept)
        watch(label, number + 1)
    order = [(name, cold) for name in arms for cold in (True, False)] * LOADS
    chance.shuffle(order)
    for name, cold in order:
        if cold and not evict(Path(arms[name].path)):
            continue
        request = {"kind": "load", "arms": {name: arms[name].request()}, "feed": inputs, "threads": threads}
        answer = _asked(done, request, label)
        if answer is None:
            return
        each = figures[name]
        (each.cold_load_ms if cold else each.warm_load_ms).append(answer["load_ms"])
        if not cold:
            each.first_inference_ms.append(answer["first_inference_ms"])
            if answer["peak_memory_bytes"] is not None:
                each.peak_memory_bytes.append(answer["peak_memory_bytes"])


def _asked(done: Bench, request: Mapping[str, Any], label: str) -> dict[str, Any] | None:
    try:
        return ask(request, PROCESS_S)
    except NoAnswerError as error:
        done.remarks.append(f"{label}: {f'{error.arm} ' if error.kind == 'model' else ''}{error}.")
        return None


def evict(path: Path) -> bool:
    """Take a file out of the page cache, so that it is read from the disk; False where the system cannot be told."""
    if not hasattr(os, "posix_fadvise"):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # only what is on the disk can be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
