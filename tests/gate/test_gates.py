"""Gates one by one: counts against nothing, instructions, where accuracy is judged, files that change meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
import sample_artifacts
from click.testing import CliRunner, Result

from edgeticket import api, runtime
from edgeticket.artifact import checks
from edgeticket.cli import main
from edgeticket.errors import EngineError, InputError
from edgeticket.gate import exact
from edgeticket.gate.comparison import Measured
from edgeticket.gate.run import _instructions
from edgeticket.measure import duel
from edgeticket.measure.duel import Duel, Plan
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.process import Process
from edgeticket.measure.protocol import Arm, OutputsRequest

Play = Callable[..., None]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


# --- Counts ---


@pytest.mark.parametrize("allowed", [0.0, 1.0, 10.0])
def test_no_share_of_nothing_allows_anything(allowed: float) -> None:
    gate = exact.judge_count("nonzeros", 5, 0, allowed)
    assert gate.verdict == "regression"
    assert gate.sentence.startswith("5 nonzero weights, and the baseline has none")
    assert exact.judge_count("nonzeros", 0, 0, allowed).verdict == "pass"


def test_one_of_a_thing_is_not_several() -> None:
    assert exact.judge_count("nodes", 1, 1, None).sentence == "1 node, as many as the baseline's 1"
    assert exact.judge_count("nodes", 2, 1, None).sentence == "2 nodes, +100.00 % against the baseline's 1"


def measured(threads: int, counted: dict[str, int]) -> Measured:
    process = Process({}, (), 1.0, None, instructions=counted)
    return Measured("cpu", "cpu", "cpu", threads, Duel(Plan(threads=threads), processes=[process]))


def test_instructions_are_those_of_one_thread() -> None:
    both = [measured(2, {}), measured(1, {"candidate": 110, "baseline": 100})]
    gate = _instructions(both, 0.05)
    assert gate.verdict == "regression"
    assert gate.sentence.startswith("110 instructions at 1 thread, +10.00 % against")
    only = _instructions(both[:1], 0.05)
    assert only.verdict == "inconclusive"
    assert "counted at one thread only; give --threads 1" in only.sentence


# --- Accuracy ---


def test_accuracy_is_judged_on_the_providers_that_are_compared(artifact: Path, play: Play) -> None:
    try:
        runtime.library_path()
    except EngineError as error:
        pytest.skip(str(error))
    asked: list[Mapping[str, Arm]] = []

    def watched(request: Any, limit_s: float) -> Any:
        if isinstance(request, OutputsRequest):
            asked.append(request.arms)
        return LOCAL.ask(request, limit_s)

    play(others=watched)
    done = run("check", artifact, "--baseline", artifact, "--providers", "cpu,sparse", "--baseline-provider", "cpu")
    assert done.exit_code == 0, done.output
    where = [(arms["candidate"].provider, arms["baseline"].provider) for arms in asked]
    assert where == [(name, checks.CPU_PROVIDER) for name in (checks.CPU_PROVIDER, runtime.EP_NAME)]
    assert "accuracy, sparse against cpu" in done.stdout


def test_a_drop_that_no_metric_in_percent_can_have_is_refused(artifact: Path, play: Play) -> None:
    play()
    with pytest.raises(InputError, match="--max-accuracy-drop 101 can never fail, as accuracy runs from 0 to 100 %"):
        api.check(artifact, artifact, max_accuracy_drop=101, max_latency=None)
    assert api.check(artifact, artifact, max_accuracy_drop=100, max_latency=None).verdict == "pass"


def test_accuracy_that_cannot_be_compared_is_said(artifact: Path, play: Play) -> None:
    play()
    done = run("check", artifact, "--baseline", artifact / "model.onnx")
    assert done.exit_code == 0
    assert "not compared: the baseline brings no labelled slice" in done.stdout


def test_a_slice_that_takes_too_long_leaves_accuracy_open(artifact: Path, play: Play) -> None:
    def hung(request: Any, limit_s: float) -> Any:
        if isinstance(request, OutputsRequest):
            raise NoAnswerError("hung", "no answer from the model 'candidate' within 60 s", "candidate")
        return LOCAL.ask(request, limit_s)

    play(others=hung)
    done = run("check", artifact, "--baseline", artifact)
    assert done.exit_code == 3
    assert "--process-seconds" in done.stdout


# --- Files ---


def test_a_file_that_changes_while_it_is_measured_leaves_the_verdict_open(
    model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play()
    moving = tmp_path / "moving.onnx"
    moving.write_bytes(model.read_bytes())
    real = duel.run

    def changed(*given: Any, **rest: Any) -> Duel:
        done = real(*given, **rest)
        onnx.save(sample_artifacts.network(sample_artifacts.weights(1)), moving)
        return done

    monkeypatch.setattr(duel, "run", changed)
    done = run("check", moving, "--baseline", model)
    assert done.exit_code == 3
    assert f"{moving} was changed while it was measured" in " ".join(done.stdout.split())


def fixed_batch(path: Path, batch: int) -> Path:
    proto = sample_artifacts.network(sample_artifacts.weights(0))
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(proto, path)
    return path


def test_a_batch_that_suits_one_model_only_names_the_way_out(model: Path, tmp_path: Path, play: Play) -> None:
    play()
    candidate = fixed_batch(tmp_path / "fixed.onnx", 4)
    done = run("check", candidate, "--baseline", model)
    assert done.exit_code == 2
    assert "--input-shape" in done.stderr
    options = ["--input-shape", "x=4x64", "--max-size-regression", "off"]
    assert run("check", candidate, "--baseline", model, *options).exit_code == 0


def test_annotations_never_stand_in_a_document(model: Path, play: Play) -> None:
    play()
    done = run("check", model, "--baseline", model, "--action-benchmark", "-", "--github")
    json.loads(done.stdout)
    assert "::notice" in done.stderr
