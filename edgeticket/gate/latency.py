"""What a duel answers, as gates with a sentence each: the comparison, and the budget."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import Any

from edgeticket import text
from edgeticket.gate.gate import SHOWN, Gate
from edgeticket.gate.limit import Limit
from edgeticket.gate.request import ComparisonRequest
from edgeticket.measure.duel import AGAIN, CANDIDATE, Duel
from edgeticket.measure.stats import standard_error
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, Judgement, resolvable


def judged(label: str, done: Duel, request: ComparisonRequest, limit: Limit, threads: int) -> Iterator[Gate]:
    """Make the gates that a duel answers: the comparison, and the budget."""
    if done.failed_arm is not None:
        verdict = REGRESSION if done.failed_arm == CANDIDATE else INCONCLUSIVE
        yield Gate(f"latency, {label}", verdict, f"{done.stopped}", {})
        return
    if request.baseline is not None:
        yield _latency(label, done, request.max_latency)
    limit_ms = limit.at(threads)
    if limit_ms is not None:
        yield _budgeted(label, done, limit, limit_ms)


def _latency(label: str, done: Duel, tolerance: float | None) -> Gate:
    name, seen = f"latency, {label}", done.judgement
    count, looks = len(done.used), done.plan.looks()
    if tolerance is None:
        return Gate(name, SHOWN, _milliseconds(done), {})
    if seen is None:
        fewest = f"{looks[0].processes} are the fewest for a verdict" if looks else "too many gates share the error"
        sentence = f"{count} processes counted, {fewest}; {done.stopped}; {_expected_effect(done)}"
        return Gate(name, INCONCLUSIVE, sentence, {"processes": count})
    interval = f"{_percent(seen.estimate)} [{_percent(seen.low)}, {_percent(seen.high)}]"
    measured = f"{interval} against the baseline, {_milliseconds(done)}"
    effect = smallest_effect(seen)
    verdict = done.verdict
    if verdict == PASS:
        sentence = f"{measured}: no slow-down of {100 * tolerance:g} % or more"
    elif verdict == REGRESSION:
        sentence = f"{measured}: slower (of {100 * tolerance:g} %, what is beyond a half of it may be called so)"
    elif not seen.fit:
        control = f"[{_percent(seen.control_low)}, {_percent(seen.control_high)}]"
        sentence = f"{measured}: this host is unfit, the baseline against itself is {control}; {done.stopped}; {effect}"
    else:
        sentence = f"{measured}: open, {done.stopped}; {effect}"
    return Gate(name, verdict, sentence, seen.to_dict() | {"tolerance": tolerance, "looks_error": done.plan.error})


def _budgeted(label: str, done: Duel, limit: Limit, limit_ms: float) -> Gate:
    name = f"budget, {label}"
    values: dict[str, Any] = {"budget_ms": limit_ms, "host": limit.host}
    if not limit.holds_here:
        where = f"the budget of {limit_ms:g} ms is for host {limit.host}, and this is {limit.here}"
        return Gate(name, INCONCLUSIVE, f"{_milliseconds(done)}; {where}", values)
    if done.limit_bounds_ms is None or done.interrupted:
        return Gate(name, INCONCLUSIVE, f"too few processes for a verdict; {done.stopped}", values)
    low, middle, high = done.limit_bounds_ms
    verdict = done.limit_verdict or INCONCLUSIVE
    word = {PASS: "under", REGRESSION: "over"}.get(verdict, "and inside is")
    sentence = (
        f"{text.latency(middle)} [{text.latency(low)}, {text.latency(high)}], {word} the budget of {limit_ms:g} ms"
    )
    return Gate(name, verdict, sentence, values | {"low_ms": low, "median_ms": middle, "high_ms": high})


def _expected_effect(done: Duel) -> str:
    """Say what the first look could have told, by the spread between the few processes there are."""
    differences, looks = done.differences(), done.plan.looks()
    error = standard_error(differences)
    if not looks or not math.isfinite(error):
        return "what this host resolves is not known from so few"
    effect = resolvable(error * math.sqrt(len(differences) / looks[0].processes), looks[0])
    return f"with {looks[0].processes} this host would resolve {100 * effect:.1f} %, given as the tolerance"


def smallest_effect(seen: Judgement, noun: str = "slow-down") -> str:
    """Say what this host can tell at best."""
    if not math.isfinite(seen.resolvable):
        return "what this host resolves is not known from so few processes"
    return f"the smallest {noun} this host resolves, given as the tolerance, is {100 * seen.resolvable:.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _milliseconds(done: Duel) -> str:
    """Say the latency of the candidate, and of the baseline where there is one; it is shown and never gated."""
    if not done.used:
        return "nothing was measured"
    return " and ".join(text.latency(median(done.latency_ms(arm))) for arm in done.arms if arm != AGAIN)
