"""docs/models.md is what its command makes of the exports, and its rows cover what the package says it follows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import make_models
import model_draft
import model_operators
import model_standard
import model_types
import numpy as np
import pytest
from model_trial import Case, Trial, grouped, short, tried
from onnx import numpy_helper

from edgeticket.artifact.manifest import GraphProof, ProofInfo
from edgeticket.graph.channels.rules import CONTRIB_RULES, RULES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models.md"


@pytest.mark.slow
def test_the_page_is_what_the_command_makes(tmp_path: Path) -> None:
    """All but the operators of the standard, of which the next test takes a few."""
    command = [sys.executable, str(ROOT / "benchmarks" / "make_models.py"), "--quick", str(tmp_path / "models.md")]
    subprocess.run(command, check=True, capture_output=True)
    made = (tmp_path / "models.md").read_text(encoding="utf-8")
    kept = PAGE.read_text(encoding="utf-8")
    assert made.splitlines() == kept.partition(f"\n{make_models.STANDARD}")[0].splitlines(), (
        "make models writes it anew"
    )


@pytest.mark.slow
def test_operators_of_the_standard_stand_where_they_came_out() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    kept = {name: results for names, *results in rows if len(results) == 2 for name in names.split(", ")}
    for case in model_standard.standard():
        if case.name in ("Attention", "Conv", "Resize", "Scan", "TopK"):
            trial = tried(case)
            assert kept[case.name] == [trial.read, trial.proved], "make models writes it anew"


def test_every_operator_that_channels_are_followed_through_has_an_example() -> None:
    examples = {
        name.partition(" (")[0].partition(",")[0] for name in (case.name for case in model_operators.followed())
    }
    assert (set(RULES) | set(CONTRIB_RULES)) - examples == set()


def test_the_dead_channels_of_an_example_are_constant_whatever_the_input_is() -> None:
    for case in model_operators.followed():
        weight = numpy_helper.to_array(case.model.graph.initializer[0])
        channels = np.moveaxis(weight, 0 if weight.ndim == 4 else 1, 0)
        assert [index for index, filters in enumerate(channels) if not filters.any()] == list(model_draft.DEAD)


def test_a_trial_is_an_export() -> None:
    trial = tried(Case("plain", model_types.plain()))
    assert (trial.read, trial.proved) == ("yes", "yes")
    assert trial.size_bytes > 4 * 50_432 > 5 * trial.exported_bytes


def test_a_trial_says_how_many_channels_went() -> None:
    assert tried(model_operators.built("Relu", lambda d: d.read(d.op("Relu", d.h)))).removed == 2


def test_a_trial_says_why_channels_stayed() -> None:
    trial = tried(model_operators.built("Pad", model_operators.padded))
    assert trial.removed == 0
    assert trial.kept == ("kept channels that are constant: 2 before Pad, behind which they vary",)


def test_a_trial_says_how_many_units_went() -> None:
    assert tried(Case("plain", model_types.plain())).units == 48


def test_a_refusal_is_a_row() -> None:
    broken = model_types.plain()
    broken.graph.node[0].input[0] = "nowhere"
    trial = tried(Case("broken", broken))
    assert trial.read.startswith("no: ")
    assert "nowhere" in trial.read
    assert (trial.proved, trial.bytes) == ("–", "–")


def test_what_no_user_should_see_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise AssertionError("an invariant")

    monkeypatch.setattr("edgeticket.api.export", fails)
    assert tried(Case("plain", model_types.plain())).read == "no: **AssertionError**, an invariant"


def test_what_the_artifact_says_of_itself_counts() -> None:
    def said(verdict: str, graph: GraphProof | None) -> str:
        proof = ProofInfo("proved", "no output moved", in_float64=graph)
        return Trial(1, proof=proof, verdict=verdict, exported_bytes=1).proved

    assert said("pass", GraphProof("proved", "")) == "yes"
    assert said("pass", GraphProof("proved", "", in_float32=("QLinearMatMul",))) == "yes, QLinearMatMul in float32"
    assert said("pass", GraphProof("not proved", "")) == said("pass", None) == "in float32 alone"
    assert said("regression", GraphProof("proved", "")) == "the artifact's own check says regression"


def test_what_stands_in_a_cell() -> None:
    assert short("one; two") == "one"
    assert short("a | b") == "a / b"
    assert short("word " * 50).endswith("word …")
    assert short("the model: ONNX Runtime 1.2.3 cannot load it: [Error] : 9") == "ONNX Runtime 1.2.3 cannot load it"
    assert grouped({"a": ("1",), "b": ("2",), "c": ("1",)}) == [(["a", "c"], ("1",)), (["b"], ("2",))]
    assert make_models.span(["7", "8", "9", "27", "28"]) == "7 to 9; 27 to 28"
    assert make_models.span(["3, listed", "4", "5", "8, listed"]) == "3, listed; 4 to 5; 8, listed"
