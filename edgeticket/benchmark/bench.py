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
from edgeticket.benchmark.figures import HEADER, Figures, rows
from edgeticket.benchmark.request import BenchRequest
from edgeticket.errors import Exit
from edgeticket.measure import conditions
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.process import Process
from edgeticket.measure.protocol import Answer, Arm, BlocksRequest, LoadRequest, Request, Slot
from edgeticket.subject.providers import provider, short
from edgeticket.subject.shared_feed import shared_feed
from edgeticket.subject.subject import Subject, open_subject, require_alike
from edgeticket.tables import ShowsTable, Table
from edgeticket.version import __version__

FORMAT, VERSION = "edgeticket-bench", 1
PROCESSES, FEWEST, LOADS, PROCESS_S = 12, 8, 5, 60.0
SLOT = Slot(runs=5, ms=20.0, most=200)
METHOD = (
    f"{PROCESSES} fresh processes, fewer where the time is over; all models in each, loaded anew and timed in random "
    "order in up to 15 blocks; a slot is one discarded inference, then 5 or more until 20 ms or 200 inferences; blocks "
    "that were disturbed are dropped. A percentile is the median over processes of each process's own, in a "
    "distribution-free 99 % interval; processes are the samples. Pinned, no spinning, denormals as zero. Memory is the "
    "peak above an empty runtime."
)


@dataclass(repr=False)
class Bench(ShowsTable):
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
        """The exit code: 0, 3 where a model was not measured, 130 after Ctrl-C."""
        if self.interrupted:
            return int(Exit.INTERRUPTED)
        return int(Exit.YES if self.figures and all(each.samples_ms for each in self.figures) else Exit.INCONCLUSIVE)

    @property
    def table(self) -> Table:
        """What is shown."""
        return Table(f"{', '.join(self.names)}: {self.seconds:.0f} s", HEADER, rows(self.figures), self.remarks)

    def document(self) -> dict[str, Any]:
        """Give the document for JSON."""
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


def bench(request: BenchRequest, watch: Callable[[str, int], None] = lambda *_: None, host: Host = LOCAL) -> Bench:
    """Measure on a host. `watch` is called with a label and the number of processes done.

    Raises:
        InputError: a model cannot be used, or they differ in inputs or outputs.
        IntegrityError: an artifact's file is missing or altered.
    """
    begin, load = time.monotonic(), os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    about = checks.host()
    full = {name: provider(name) for name in request.provider_names}
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        subjects = [
            open_subject(path, folder, f"model-{number}", host=host) for number, path in enumerate(request.paths)
        ]
        for other in subjects[1:]:
            require_alike(other, subjects[0])
        names = _names(subjects)
        inputs = folder / "feed.npz"
        done = Bench(subjects, names, about, [], [])
        chance = random.Random(request.seed)  # noqa: S311
        try:
            shared_feed(dict(zip(names, subjects, strict=True)), request.input_shapes or {}, inputs, PROCESS_S, host)
            for each in full.values():
                for count in request.thread_counts:
                    _measure(done, _Setting(host, each, count), str(inputs), request.seconds, chance, watch)
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
    done.remarks += conditions.remarks(about, load, about["cores"], dropped / max(1, dropped + blocks), throttled=hot)
    done.seconds = time.monotonic() - begin
    return done


def _names(subjects: Sequence[Subject]) -> list[str]:
    """Give the models' names, or their paths where two share one."""
    names = [subject.name for subject in subjects]
    if len(set(names)) == len(names):
        return names
    paths = [str(subject.path) for subject in subjects]
    return [path if path not in paths[:place] else f"{path} ({place + 1})" for place, path in enumerate(paths)]


@dataclass(frozen=True)
class _Setting:
    """Where all models are measured: on a host, with a provider, at a number of threads."""

    host: Host
    provider: str  # the runtime's name
    threads: int

    @property
    def label(self) -> str:
        return f"{short(self.provider)}, {text.plural(self.threads, 'thread')}"


def _measure(
    done: Bench,
    setting: _Setting,
    inputs: str,
    seconds: float,
    chance: random.Random,
    watch: Callable[[str, int], None],
) -> None:
    """Time all models side by side, then load each; what could not be done becomes a remark."""
    figures = {name: Figures(name, setting.label, setting.provider, setting.threads) for name in done.names}
    done.figures += figures.values()
    models = zip(done.names, done.subjects, strict=True)
    arms = {name: Arm(str(subject.model), setting.provider) for name, subject in models}
    if _time(done, setting, arms, figures, inputs, seconds, chance, watch):
        _load(done, setting, arms, figures, inputs, chance)


def _time(
    done: Bench,
    setting: _Setting,
    arms: Mapping[str, Arm],
    figures: Mapping[str, Figures],
    inputs: str,
    seconds: float,
    chance: random.Random,
    watch: Callable[[str, int], None],
) -> bool:
    """Add the samples of PROCESSES processes, fewer where the time is over; False where one gave no answer."""
    begin = time.monotonic()
    for number in range(PROCESSES):
        if number >= FEWEST and time.monotonic() - begin > seconds:
            done.remarks.append(f"{setting.label}: {number} of {PROCESSES} processes, the time was over.")
            break
        request = BlocksRequest(arms, inputs, setting.threads, chance.getrandbits(32), samples=True, slot=SLOT)
        answer = _asked(done, setting, request)
        if answer is None:
            return False
        process = Process.of(answer, 0.0)
        kept = [block for block in answer.blocks if block.fault is None] if process.usable else []
        for name, each in figures.items():
            each.throttled |= conditions.THROTTLED in process.faults
            each.dropped += len(answer.blocks) - len(kept)
            if kept:
                each.samples_ms.append([[float(f"{ms:.6g}") for ms in block.samples_ms[name]] for block in kept])
        if kept:
            watch(setting.label, number + 1)
    return True


def _load(
    done: Bench,
    setting: _Setting,
    arms: Mapping[str, Arm],
    figures: Mapping[str, Figures],
    inputs: str,
    chance: random.Random,
) -> None:
    """Load each model LOADS times with its file in the page cache, and as often without, in random order."""
    order = [(name, cold) for name in arms for cold in (True, False)] * LOADS
    chance.shuffle(order)
    for name, cold in order:
        if cold and not evict(Path(arms[name].path)):
            continue
        answer = _asked(done, setting, LoadRequest({name: arms[name]}, inputs, setting.threads))
        if answer is None:
            return
        each = figures[name]
        (each.cold_load_ms if cold else each.warm_load_ms).append(answer.load_ms)
        if not cold:
            each.first_inference_ms.append(answer.first_inference_ms)
            if answer.peak_memory_bytes is not None:
                each.peak_memory_bytes.append(answer.peak_memory_bytes)


def _asked(done: Bench, setting: _Setting, request: Request[Answer]) -> Answer | None:
    """Ask; None and a remark where there is no answer."""
    try:
        return setting.host.ask(request, PROCESS_S)
    except NoAnswerError as error:
        done.remarks.append(f"{setting.label}: {f'{error.arm} ' if error.kind == 'model' else ''}{error}.")
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
