"""Gates that need no statistics: bytes, nonzeros, multiplications, nodes and instructions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec

from edgeticket import text
from edgeticket.artifact import checks
from edgeticket.gate.gate import SHOWN, Gate
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION
from edgeticket.subject.subject import Subject

COUNTED = ("size", "nonzeros", "macs", "nodes")
WORDS = {"size": "byte", "nonzeros": "nonzero weight", "macs": "multiply-accumulate", "nodes": "node"}
WORDS["instructions"] = "instruction"  # of an inference at one thread


def counts(subject: Subject, feed: checks.Feed) -> dict[str, int | None]:
    """Count a model's exact figures, by the names of their gates; None for what needs onnx where it is missing."""
    try:
        from edgeticket.graph.counts import count
    except ModuleNotFoundError:
        return {**dict.fromkeys(COUNTED), "size": subject.size_bytes}
    found = count(subject.model, {name: array.shape for name, array in feed.items()})
    return {"size": found.size_bytes, "nonzeros": found.nonzeros, "macs": found.macs, "nodes": found.nodes}


def judge_count(name: str, ours: int | None, theirs: int | None, allowed: float | None) -> Gate:
    """Judge a figure against the baseline's: a regression if larger by more than `allowed`, a share; None shows it."""
    values = {"candidate": ours, "baseline": theirs, "allowed": allowed}
    word = WORDS[name]
    if ours is None or theirs is None:
        verdict = SHOWN if allowed is None else INCONCLUSIVE
        without = find_spec("onnx") is None
        reason = (
            "pip install 'edgeticket[export]'" if without else "a shape or a number of runs is known at run time only"
        )
        return Gate(name, verdict, f"{word}s: not counted; {reason}", values)
    change = ours / theirs - 1 if theirs else math.inf if ours else 0.0  # no share of nothing allows anything
    counted = text.plural(ours, word) + (" at 1 thread" if name == "instructions" else "")
    if not theirs and ours:
        sentence = f"{counted}, and the baseline has none"
    else:
        sentence = (
            f"{counted}, {f'{100 * change:+.2f} % against' if change else 'as many as'} the baseline's {theirs:,}"
        )
    if allowed is None:
        return Gate(name, SHOWN, sentence, values | {"change": change})
    verdict = PASS if change <= allowed else REGRESSION
    return Gate(name, verdict, f"{sentence} (allowed {100 * allowed:+g} %)", values | {"change": change})


def judge_instructions(counted: Mapping[str, int], reason: str | None, allowed: float | None) -> Gate:
    """Judge the instructions of one inference, where the kernel counted them."""
    if "candidate" in counted and "baseline" in counted:
        return judge_count("instructions", counted["candidate"], counted["baseline"], allowed)
    verdict = SHOWN if allowed is None else INCONCLUSIVE
    return Gate("instructions", verdict, f"not counted: {reason or 'no process answered'}", {"allowed": allowed})
