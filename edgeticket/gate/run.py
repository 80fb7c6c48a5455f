"""One comparison: open both, the exact gates first, then a duel for each provider and number of threads."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgeticket import text
from edgeticket.gate import exact, memory
from edgeticket.gate.exact import Gate
from edgeticket.gate.latency import Budget, judged
from edgeticket.gate.report import Measured, Report
from edgeticket.gate.request import Request, provider, short
from edgeticket.gate.subject import Subject, open_subject, require_alike, shared_feed
from edgeticket.measure import checks, conditions, duel
from edgeticket.measure.duel import Arm, Duel, Plan
from edgeticket.measure.latency import write_feed
from edgeticket.measure.stats import ERROR

Watch = Callable[[str, Duel], None]


def check(request: Request, watch: Watch = lambda *_: None) -> Report:
    """Measure and judge. `watch` is called with a label after every process.

    Raises:
        InputError: the models cannot be compared, or an option cannot be met.
        IntegrityError: an artifact's file is missing or altered.
    """
    begin, load = time.monotonic(), _load_average()
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        candidate = open_subject(request.candidate, folder, "candidate")
        baseline = open_subject(request.baseline, folder, "baseline") if request.baseline is not None else None
        pair = (candidate,) if baseline is None else (baseline, candidate)
        if baseline is not None:
            require_alike(candidate, baseline)
        arms = list(_arms(request, candidate, baseline))
        feed = shared_feed(pair, request.input_shapes)
        gates = [] if baseline is None else _exact(request, candidate, baseline, feed)
        path = write_feed(folder / "feed.npz", feed)
        host, measured = checks.host(), []
        budget = Budget(request, candidate, host["fingerprint"])
        error = ERROR / _questions(request, baseline, budget)
        for label, ours, theirs, threads in arms:
            plan = Plan(
                threads,
                request.max_latency if baseline is not None else None,
                budget.limit_ms(threads) if budget.holds_here else None,
                request.seconds,
                request.process_s,
                request.seed,
                error,
            )
            done = duel.run(ours, theirs, path, plan, lambda state, label=label: watch(label, state))  # type: ignore[misc]
            measured.append(Measured(label, ours.provider, theirs.provider, threads, done))
            gates += judged(label, done, request, budget, threads)
            if done.interrupted:
                break
        interrupted = any(each.duel.interrupted for each in measured)
        if baseline is not None and request.max_memory is not None and not interrupted:
            label, ours, theirs, threads = arms[0]
            gates.append(memory.judge_memory(ours, theirs, path, threads, request.max_memory, error, request.seed))
        if baseline is not None:
            counted = next(
                (p for each in measured for p in each.duel.processes if p.instructions or p.not_counted), None
            )
            gates.append(
                exact.judge_instructions(
                    counted.instructions if counted else {},
                    counted.not_counted if counted else None,
                    request.max_counts.get("instructions"),
                )
            )
    dropped = max((each.duel.dropped_share() for each in measured), default=0.0)
    hot = any(conditions.THROTTLED in each.duel.dropped() for each in measured)
    remarks = conditions.remarks(host, load, host["cores"], dropped, throttled=hot)
    remarks += [sentence for each in measured for sentence in duel.used_summary(each.duel)]
    return Report(
        candidate.name,
        candidate.about(),
        None if baseline is None else baseline.about(),
        host,
        tuple(gates),
        tuple(measured),
        tuple(dict.fromkeys(remarks)),
        time.monotonic() - begin,
        request.seed,
        interrupted,
    )


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _arms(request: Request, candidate: Subject, baseline: Subject | None) -> Iterator[tuple[str, Arm, Arm, int]]:
    """(label, candidate, baseline, threads); without a baseline the candidate stands for it."""
    other = provider(request.baseline_provider) if request.baseline_provider else None
    for name in request.providers:
        full = provider(name)
        for threads in request.threads:
            shown = short(full) if other in (None, full) else f"{short(full)} against {short(other or full)}"
            ours = Arm(str(candidate.model if candidate.opened else candidate.path), full)
            theirs = ours
            if baseline is not None:
                theirs = Arm(str(baseline.model if baseline.opened else baseline.path), other or full)
            yield f"{shown}, {text.plural(threads, 'thread')}", ours, theirs, threads


def _instructions(measured: list[Measured], allowed: float | None) -> Gate:
    """As the first process that was asked counted them."""
    asked = (each for done in measured for each in done.duel.processes if each.instructions or each.not_counted)
    found = next(asked, None)
    return exact.judge_instructions(found.instructions if found else {}, found.not_counted if found else None, allowed)


def _questions(request: Request, baseline: Subject | None, budget: Budget) -> int:
    """How many statistical gates share the error of the run."""
    count = 0
    for threads in request.threads:
        compared = baseline is not None and request.max_latency is not None
        count += len(request.providers) * (compared + (budget.holds_here and budget.limit_ms(threads) is not None))
    return max(1, count + (baseline is not None and request.max_memory is not None))


def _exact(request: Request, candidate: Subject, baseline: Subject, feed: checks.Feed) -> list[Gate]:
    ours, theirs = exact.counts(candidate, feed), exact.counts(baseline, feed)
    allowed = {"size": request.max_size, **request.max_counts}
    gates = [exact.judge_count(name, ours[name], theirs[name], allowed.get(name)) for name in exact.COUNTED]
    wanted = request.max_accuracy_drop
    accuracy = exact.judge_accuracy(candidate, baseline, wanted, asked=request.accuracy_asked and wanted is not None)
    return [accuracy, *gates] if accuracy else gates
