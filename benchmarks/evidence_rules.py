"""How common CI rules would have judged the samples of a comparison. They know two answers, regression and pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean

from evidence_file import Entry

from edgeticket.measure.verdict import PASS, REGRESSION

OURS = "edgeticket"
THRESHOLD = 1.05
Samples = dict[str, list[float]]


def samples(entry: Entry) -> list[Samples]:
    """{arm: block medians in µs} of each process that measured anything; these rules drop no block."""
    return [process["us"] for process in entry["processes"] if all(process["us"].values())]


def pytest_benchmark(entry: Entry, field: Callable[[Sequence[float]], float]) -> str | None:
    """--benchmark-compare-fail=FIELD:5%: a field of one run against the same field of one stored run."""
    processes = samples(entry)
    if len(processes) < 2:
        return None
    stored, now = processes[:2]
    return REGRESSION if field(now["candidate"]) > THRESHOLD * field(stored["baseline"]) else PASS


def mean_against_threshold(entry: Entry, previous: Entry | None) -> str | None:
    """The mean of everything against the stored mean of an earlier run, alert above 105 %."""
    if previous is None or not samples(entry) or not samples(previous):
        return None
    now = fmean(us for process in samples(entry) for us in process["candidate"])
    stored = fmean(us for process in samples(previous) for us in process["baseline"])
    return REGRESSION if now > THRESHOLD * stored else PASS


def side_by_side(injected: Iterable[Entry]) -> Iterator[tuple[Entry, dict[str, str]]]:
    """Each comparison for which every rule has an answer, and the answers.

    The mean's stored run is the last one of the same model on the same host that had no hog beside it.
    """
    before: dict[tuple[str, str], Entry] = {}
    for entry in injected:
        place = entry["model"], entry["host"]["fingerprint"]
        answers = {
            OURS: entry["verdict"],
            "pytest-benchmark, min:5%": pytest_benchmark(entry, min),
            "pytest-benchmark, mean:5%": pytest_benchmark(entry, fmean),
            "mean against the last run's, 105 %": mean_against_threshold(entry, before.get(place)),
        }
        if entry["hogs"] == 0:
            before[place] = entry
        if None not in answers.values():
            yield entry, answers
