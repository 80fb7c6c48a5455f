"""One comparison: open both, run each once, the exact gates, then a duel for each provider and number of threads."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from edgeticket import text
from edgeticket.arguments import path_of
from edgeticket.artifact import checks
from edgeticket.gate import baseline_form, exact, memory
from edgeticket.gate.accuracy import Samples, judge_accuracy, require_slice
from edgeticket.gate.comparison import Comparison, Measured
from edgeticket.gate.gate import SHOWN, Gate
from edgeticket.gate.latency import judged
from edgeticket.gate.limit import Limit
from edgeticket.gate.request import ComparisonRequest
from edgeticket.measure import conditions, duel
from edgeticket.measure.duel import BASELINE, CANDIDATE, SLOW_HINT, Duel, Plan
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm
from edgeticket.measure.stats import ERROR
from edgeticket.measure.verdict import INCONCLUSIVE
from edgeticket.subject.providers import provider, short
from edgeticket.subject.shared_feed import shared_feed
from edgeticket.subject.subject import Subject, open_subject, require_alike

ONE_THREAD = "they are counted at one thread only; give --threads 1"
Watch = Callable[[str, Duel], None]
Pairing = tuple[str, Arm, Arm | None, int]  # label, candidate, baseline if there is one, threads


def check(request: ComparisonRequest, watch: Watch = lambda *_: None, host: Host = LOCAL) -> Comparison:
    """Measure on a host and judge. `watch` is called with a label after every process.

    Ctrl-C, once both models are open, ends it with what was judged by then.

    Raises:
        InputError: the models cannot be compared, or an option cannot be met.
        IntegrityError: an artifact's file is missing or altered.
    """
    begin, load = time.monotonic(), _load_average()
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        candidate = open_subject(path_of(request.candidate), folder, CANDIDATE, request.process_s, host)
        baseline = None
        if request.baseline is not None:
            baseline = open_subject(path_of(request.baseline), folder, BASELINE, request.process_s, host)
            require_alike(candidate, baseline)
            if request.accuracy_asked and request.max_accuracy_drop is not None:
                require_slice(baseline, request.max_accuracy_drop)
        pairings = list(_pairings(request, candidate, baseline))
        run = _Run(request, candidate, baseline, pairings, folder, host, checks.host(), watch)
        try:
            run.all()
        except KeyboardInterrupt:
            run.interrupted = True
    measured = run.measured
    dropped = max((each.duel.dropped_share() for each in measured), default=0.0)
    hot = any(conditions.THROTTLED in each.duel.dropped() for each in measured)
    remarks = conditions.remarks(run.about, load, run.about["cores"], dropped, throttled=hot) if run.times else []
    remarks += [sentence for each in measured for sentence in duel.used_summary(each.duel)]
    remarks += baseline_form.remarks(baseline) if baseline is not None and not run.interrupted else []
    return Comparison(
        candidate.name,
        candidate.about(),
        None if baseline is None else baseline.about(),
        run.about,
        tuple(run.gates),
        tuple(measured),
        tuple(dict.fromkeys(remarks)),
        time.monotonic() - begin,
        request.seed,
        run.interrupted,
    )


@dataclass
class _Run:
    """What was judged and measured so far."""

    request: ComparisonRequest
    candidate: Subject
    baseline: Subject | None
    pairings: list[Pairing]
    folder: Path
    host: Host
    about: dict[str, Any]  # the host, for the document
    watch: Watch
    gates: list[Gate] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    interrupted: bool = False

    @cached_property
    def limit(self) -> Limit:
        """The limit of the request, else the one that the candidate carries."""
        return Limit.of(self.request, self.candidate, self.about["fingerprint"])

    @property
    def times(self) -> bool:
        """Whether a latency is asked for at all."""
        return any(self._is_timed(theirs, threads) for _, _, theirs, threads in self.pairings)

    def _is_timed(self, theirs: Arm | None, threads: int) -> bool:
        return self.limit.at(threads) is not None or (theirs is not None and self.request.max_latency is not None)

    def all(self) -> None:
        """Judge every gate in turn."""
        subjects = {CANDIDATE: self.candidate}
        if self.baseline is not None:
            subjects = {BASELINE: self.baseline, CANDIDATE: self.candidate}
        path = self.folder / "feed.npz"
        try:
            feed = shared_feed(subjects, self.request.input_shapes, path, self.request.process_s, self.host)
        except NoAnswerError as error:
            hint = SLOW_HINT if error.kind == "hung" else ""
            sentence = f"{error}{hint}; nothing was compared"
            self.gates.append(Gate("first run", INCONCLUSIVE, sentence, {"model": error.arm}))
            return
        if self.baseline is not None:
            self._exact(self.baseline, feed)
        error_share = ERROR / self._questions(self.limit)
        self._duels(str(path), error_share)
        if self.baseline is not None:
            if self.request.max_memory is not None and not self.interrupted:
                self._memory(str(path), self.request.max_memory, error_share)
            allowed = self.request.max_counts.get("instructions")
            untimed = "nothing was timed" if 1 in self.request.thread_counts else ONE_THREAD
            found = _instructions(self.measured, allowed) if self.measured else None
            self.gates.append(found or exact.judge_instructions({}, untimed, allowed))
        for subject in subjects.values():
            if not subject.unchanged():
                sentence = f"{subject.path} was changed while it was measured; run the same again"
                self.gates.append(Gate("file", INCONCLUSIVE, sentence, {}))

    def _exact(self, baseline: Subject, feed: checks.Feed) -> None:
        wanted = self.request.max_accuracy_drop
        limit_s = max(self.request.process_s, self.request.seconds)
        pairs = {(ours.provider, theirs.provider): label for label, ours, theirs, _ in self.pairings if theirs}
        for (ours, theirs), label in pairs.items():
            samples = Samples(self.candidate, baseline, ours, theirs, self.folder, limit_s, self.host)
            name = "accuracy" if len(pairs) == 1 else f"accuracy, {label.rpartition(',')[0]}"
            gate = judge_accuracy(samples, wanted, name=name)
            self.gates += [gate] if gate else []
        mine, others = exact.counts(self.candidate, feed), exact.counts(baseline, feed)
        allowed = {"size": self.request.max_size, **self.request.max_counts}
        self.gates += [exact.judge_count(name, mine[name], others[name], allowed.get(name)) for name in exact.COUNTED]

    def _duels(self, feed: str, error: float) -> None:
        limit = self.limit
        counted = self.request.max_counts.get("instructions") is not None
        for label, ours, theirs, threads in self.pairings:
            timed = self._is_timed(theirs, threads)
            if not timed:
                self.gates.append(Gate(f"latency, {label}", SHOWN, "not measured, as its limit is off", {}))
            if not timed and not (counted and threads == 1):
                continue
            plan = Plan(
                threads,
                self.request.max_latency if theirs is not None else None,
                limit.at(threads) if limit.holds_here else None,
                self.request.seconds,
                self.request.process_s,
                self.request.seed,
                error,
                most=None if timed else 1,  # the first counts the instructions
            )
            done = duel.run(ours, theirs, feed, plan, partial(self.watch, label), self.host)
            other = ours.provider if theirs is None else theirs.provider
            self.measured.append(Measured(label, ours.provider, other, threads, done))
            if timed or done.failed_arm is not None:
                self.gates += judged(label, done, self.request, limit, threads)
            if done.interrupted:
                self.interrupted = True
                return

    def _memory(self, feed: str, allowed: float, error: float) -> None:
        _, ours, theirs, threads = self.pairings[0]
        assert theirs is not None
        given = (feed, threads, allowed, error, self.request.seed, self.host)
        try:
            self.gates.append(memory.judge_memory(ours, theirs, *given))
        except KeyboardInterrupt:
            self.interrupted = True
            self.gates.append(Gate("memory", INCONCLUSIVE, "interrupted before there was a verdict", {}))

    def _questions(self, limit: Limit) -> int:
        """Count the statistical gates that share the error of the run."""
        request, compared, count = self.request, self.baseline is not None, 0
        for threads in request.thread_counts:
            judged_here = limit.holds_here and limit.at(threads) is not None
            count += len(request.provider_names) * ((compared and request.max_latency is not None) + judged_here)
        return max(1, count + (compared and request.max_memory is not None))


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _pairings(request: ComparisonRequest, candidate: Subject, baseline: Subject | None) -> Iterator[Pairing]:
    other = provider(request.baseline_provider) if request.baseline_provider else None
    for name in request.provider_names:
        full = provider(name)
        for threads in request.thread_counts:
            shown = short(full) if other in (None, full) else f"{short(full)} against {short(other or full)}"
            theirs = None if baseline is None else Arm(str(baseline.model), other or full)
            yield f"{shown}, {text.plural(threads, 'thread')}", Arm(str(candidate.model), full), theirs, threads


def _instructions(measured: list[Measured], allowed: float | None) -> Gate:
    """Judge what the first process at one thread counted: the kernel counts the calling thread alone."""
    single = [process for done in measured if done.threads == 1 for process in done.duel.processes]
    if measured and all(done.threads != 1 for done in measured):
        return exact.judge_instructions({}, ONE_THREAD, allowed)
    found = next((process for process in single if process.instructions or process.not_counted), None)
    return exact.judge_instructions(found.instructions if found else {}, found.not_counted if found else None, allowed)
