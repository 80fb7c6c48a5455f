"""How common CI rules would have judged the samples of a comparison. They know two answers, regression and pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean, median

from evidence_file import Entry

from edgeticket.measure.verdict import PASS, REGRESSION

OURS = "edgeticket"
TOLERANCE = 0.05
SHARES = (1.0, 0.5)  # of the tolerance: the rules' own threshold, and the one beyond which `check` may call it slower
Samples = dict[str, list[float]]


def samples(entry: Entry) -> list[Samples]:
    """{arm: block medians in µs} of each process that measured anything; these rules drop no block."""
    return [process["us"] for process in entry["processes"] if all(process["us"].values())]


def pytest_benchmark(
    entry: Entry, field: Callable[[Sequence[float]], float], threshold: float = TOLERANCE
) -> str | None:
    """--benchmark-compare-fail=FIELD:5%: a field of one run against the same field of one stored run."""
    processes = samples(entry)
    if len(processes) < 2:
        return None
    stored, now = processes[:2]
    return REGRESSION if field(now["candidate"]) > (1 + threshold) * field(stored["baseline"]) else PASS


def mean_against_threshold(entry: Entry, previous: Entry | None, threshold: float = TOLERANCE) -> str | None:
    """The mean of everything against the stored mean of an earlier run, alert above 105 %."""
    if previous is None or not samples(entry) or not samples(previous):
        return None
    now = fmean(us for process in samples(entry) for us in process["candidate"])
    stored = fmean(us for process in samples(previous) for us in process["baseline"])
    return REGRESSION if now > (1 + threshold) * stored else PASS


def ratio_of_medians(entry: Entry, threshold: float) -> str | None:
    """No statistics at all: the median of all our interleaved processes' medians, candidate by baseline."""
    processes = samples(entry)
    if not processes:
        return None
    now, there = (median(median(process[arm]) for process in processes) for arm in ("candidate", "baseline"))
    return REGRESSION if now > (1 + threshold) * there else PASS


def side_by_side(injected: Iterable[Entry]) -> Iterator[tuple[Entry, dict[str, str]]]:
    """Each comparison for which every rule has an answer, and the answers.

    The mean's stored run is the last one of the same model on the same host that had no hog beside it.
    """
    before: dict[tuple[str, str], Entry] = {}
    for entry in injected:
        place = entry["model"], entry["host"]["fingerprint"]
        answers = {OURS: entry["verdict"]}
        for share in SHARES:
            threshold = share * TOLERANCE
            of = f"{100 * threshold:g}%"
            answers |= {
                f"pytest-benchmark, min:{of}": pytest_benchmark(entry, min, threshold),
                f"pytest-benchmark, mean:{of}": pytest_benchmark(entry, fmean, threshold),
                f"mean against the last run's, {100 + 100 * threshold:g} %": mean_against_threshold(
                    entry, before.get(place), threshold
                ),
                f"ratio of medians over our processes, {of}": ratio_of_medians(entry, threshold),
            }
        if entry["hogs"] == 0:
            before[place] = entry
        if None not in answers.values():
            yield entry, answers
