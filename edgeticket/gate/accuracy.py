"""The metric of two models on the baseline's labelled slice, sample for sample."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket import text
from edgeticket.artifact import checks
from edgeticket.errors import InputError
from edgeticket.gate.gate import SHOWN, Gate
from edgeticket.measure.duel import BASELINE, CANDIDATE, SLOW_HINT
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.protocol import Arm, OutputsRequest
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION
from edgeticket.subject.subject import Subject


@dataclass(frozen=True)
class Samples:
    """Two models, each on its provider, and the baseline's slice. Both run in one process of `limit_s` seconds."""

    candidate: Subject
    baseline: Subject
    provider: str
    baseline_provider: str
    folder: Path
    limit_s: float
    host: Host

    def outputs(self, inputs: checks.Array) -> tuple[checks.Array, checks.Array]:
        """Run both: the first output of candidate and of baseline for inputs [n, ...].

        Raises:
            NoAnswerError: the process hung or was killed, or a model failed in it.
        """
        port, output = self.baseline.inputs[0], self.baseline.outputs[0]
        subjects = {CANDIDATE: (self.candidate, self.provider), BASELINE: (self.baseline, self.baseline_provider)}
        out = {name: str(self.folder / f"{name}.npy") for name in subjects}
        request = OutputsRequest(
            {name: Arm(str(each.model), where) for name, (each, where) in subjects.items()},
            write_feed(self.folder / "slice.npz", {port.name: inputs}),
            output.name,
            {name: _batch(each) for name, (each, _) in subjects.items()},
            out,
        )
        self.host.ask(request, self.limit_s)
        return np.load(out[CANDIDATE], allow_pickle=False), np.load(out[BASELINE], allow_pickle=False)


def _batch(subject: Subject) -> int | None:
    return subject.inputs[0].shape[0] if subject.inputs[0].shape else None


def require_slice(baseline: Subject, allowed: float) -> None:
    """A limit of accuracy was asked for: refuse a baseline on which nothing can be judged, before anything runs.

    Raises:
        InputError: it brings no labelled slice with a known metric.
    """
    if not baseline.has_slice:
        raise InputError(
            f"{baseline.path}: --max-accuracy-drop {allowed:g} needs a baseline with a labelled slice of a test set, "
            "and this one brings none. An artifact that was exported from a ticket with a built-in metric brings one; "
            "with another baseline leave the option out, and all other limits are judged"
        )


def judge_accuracy(samples: Samples, allowed: float | None, *, name: str = "accuracy") -> Gate | None:
    """Judge the metric; None where neither model brings a slice. `allowed` is in the metric's unit.

    Raises:
        InputError: the baseline does not run on its slice, or `allowed` is more than the metric can fall.
    """
    baseline = samples.baseline
    if not baseline.has_slice:
        sentence = "not compared: the baseline brings no labelled slice, and only on that both are judged"
        return Gate(name, SHOWN, sentence, {"allowed": allowed}) if samples.candidate.has_slice else None
    assert baseline.opened is not None
    manifest = baseline.opened.manifest
    metric, spec = manifest["metric"], manifest["slice"]
    if allowed is not None and metric["unit"] == "%" and allowed > 100:
        raise InputError(
            f"{baseline.path}: --max-accuracy-drop {allowed:g} can never fail, as {metric['name']} runs from 0 to "
            "100 %; give points, as in 0.5, or off"
        )
    with np.load(io.BytesIO(baseline.opened.files[checks.SLICE]), allow_pickle=False) as arrays:
        inputs, targets = checks.decode(arrays["inputs"], spec), arrays["targets"]
    try:
        outputs = samples.outputs(inputs)
    except NoAnswerError as error:
        return _unanswered(name, error, baseline)
    scores = [checks.metric_range(metric["name"], each, targets, 0.0)[1] for each in outputs]
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
    unknown = _with_nan(outputs[0])
    if unknown:
        sentence += f"; the candidate's outputs for {text.plural(unknown, 'sample')} have NaN in them"
    if allowed is None:
        return Gate(name, SHOWN, sentence, values)
    # Scores are multiples of 100/n, so a drop of just the tolerance must not fail by the last bit; NaN never passes.
    verdict = PASS if drop <= allowed + 1e-9 else REGRESSION
    points = " points" if metric["unit"] == "%" else unit
    return Gate(name, verdict, f"{sentence}; allowed to drop by {allowed:g}{points}", values)


def _with_nan(outputs: checks.Array) -> int:
    """How many samples of outputs [n, ...] have NaN in them."""
    return int(np.isnan(outputs).reshape(len(outputs), -1).any(axis=1).sum())


def _unanswered(name: str, error: NoAnswerError, baseline: Subject) -> Gate:
    values: dict[str, Any] = {"model": error.arm}
    if error.kind != "model":
        hint = SLOW_HINT if error.kind == "hung" else ""
        return Gate(name, INCONCLUSIVE, f"{error}{hint}", values)
    if error.arm == BASELINE:
        raise InputError(f"{baseline.path}: it {error}") from error
    return Gate(name, REGRESSION, f"the {error.arm} {error}", values)
