"""Gates that need no statistics: bytes, nonzeros, multiplications, nodes, instructions, and accuracy on one slice."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeticket import runtime, text
from edgeticket.errors import InputError
from edgeticket.gate.subject import Subject
from edgeticket.measure import checks
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION

SHOWN = "shown"  # measured, and gated by nobody
COUNTED = ("size", "nonzeros", "macs", "nodes")
WORDS = {"size": "bytes", "nonzeros": "nonzero weights", "macs": "multiply-accumulates", "nodes": "nodes"}


@dataclass(frozen=True)
class Gate:
    """One question, its verdict (or 'shown'), one sentence, and the numbers behind it."""

    name: str
    verdict: str
    sentence: str
    values: Mapping[str, Any]


def counts(subject: Subject, feed: checks.Feed) -> dict[str, int | None]:
    """The exact figures of a model by the names of their gates; None for what is not known without onnx installed."""
    try:
        from edgeticket.graph.counts import count
    except ModuleNotFoundError:
        return {**dict.fromkeys(COUNTED), "size": subject.size_bytes}
    found = count(subject.model, {name: array.shape for name, array in feed.items()})
    return {"size": found.size_bytes, "nonzeros": found.nonzeros, "macs": found.macs, "nodes": found.nodes}


def judge_count(name: str, ours: int | None, theirs: int | None, allowed: float | None) -> Gate:
    """A figure against the baseline's: a regression where it is more than `allowed` (a share) larger. None: shown."""
    values = {"candidate": ours, "baseline": theirs, "allowed": allowed}
    word = WORDS.get(name, name)
    if ours is None or theirs is None:
        verdict = SHOWN if allowed is None else INCONCLUSIVE
        return Gate(name, verdict, f"{word}: not counted; pip install 'edgeticket[export]'", values)
    change = ours / theirs - 1 if theirs else float(ours > 0)
    sentence = (
        f"{ours:,} {word}, {f'{100 * change:+.2f} % against' if change else 'as many as'} the baseline's {theirs:,}"
    )
    if allowed is None:
        return Gate(name, SHOWN, sentence, values | {"change": change})
    verdict = PASS if change <= allowed else REGRESSION
    return Gate(name, verdict, f"{sentence} (allowed {100 * allowed:+g} %)", values | {"change": change})


def judge_instructions(counted: Mapping[str, int], reason: str | None, allowed: float | None) -> Gate:
    """Instructions of one inference, where the kernel counted them."""
    if "candidate" in counted and "baseline" in counted:
        return judge_count("instructions", counted["candidate"], counted["baseline"], allowed)
    verdict = SHOWN if allowed is None else INCONCLUSIVE
    return Gate("instructions", verdict, f"not counted: {reason or 'no process answered'}", {"allowed": allowed})


def judge_accuracy(candidate: Subject, baseline: Subject, allowed: float | None, *, asked: bool) -> Gate | None:
    """The metric of both on the baseline's slice, sample for sample. None where nobody asked and there is no slice.

    `allowed` is in the metric's own unit (points of a percentage).

    Raises:
        InputError: it was asked for, and the baseline brings no labelled slice with a known metric.
    """
    if not baseline.has_slice:
        if not asked:
            return None
        raise InputError(
            f"{baseline.path}: --max-accuracy-drop needs a baseline with a labelled slice of a test set: an artifact "
            "that was exported from a ticket with a built-in metric"
        )
    assert baseline.opened is not None
    manifest = baseline.opened.manifest
    metric, spec = manifest["metric"], manifest["slice"]
    with np.load(io.BytesIO(baseline.opened.files[checks.SLICE]), allow_pickle=False) as arrays:
        inputs, targets = checks.decode(arrays["inputs"], spec), arrays["targets"]
    port, names = baseline.inputs[0], [baseline.outputs[0].name]
    outputs, scores = [], []
    for subject in (candidate, baseline):
        session = runtime.cpu_session(subject.model)
        batch = subject.inputs[0].shape[0] if subject.inputs[0].shape else None

        def run(feed: checks.Feed, session: Any = session) -> list[Any]:
            return list(runtime.run(session, feed, names).values())

        outputs.append(checks.run_batches(run, port.name, inputs, batch))
        scores.append(checks.metric_range(metric["name"], outputs[-1], targets, 0.0)[1])
    drop = (scores[1] - scores[0]) if metric["higher_is_better"] else (scores[0] - scores[1])
    values = {"candidate": scores[0], "baseline": scores[1], "drop": drop, "allowed": allowed, "samples": len(inputs)}
    unit = f" {metric['unit']}".rstrip()
    sentence = (
        f"{metric['name']} {scores[0]:.4g}{unit} against {scores[1]:.4g}{unit} on the baseline's "
        f"{text.plural(len(inputs), 'sample')}"
    )
    if metric["name"] == "accuracy":
        right = [(output.argmax(axis=1) == targets) & ~np.isnan(output).any(axis=1) for output in outputs]
        lost, won = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
        values |= {"lost": lost, "won": won}
        sentence += f" ({lost} lost, {won} won)"
    unknown = int(np.isnan(outputs[0]).reshape(len(outputs[0]), -1).any(axis=1).sum())
    if unknown:
        sentence += f"; the candidate's outputs for {text.plural(unknown, 'sample')} have NaN in them"
    if allowed is None:
        return Gate("accuracy", SHOWN, sentence, values)
    # Scores are multiples of 100/n, so a drop of just the tolerance must not fail by the last bit.
    verdict = PASS if drop <= allowed + 1e-9 else REGRESSION
    return Gate("accuracy", verdict, f"{sentence}; allowed to drop by {allowed:g}", values)
