"""`check --baseline`, from the command line: verdicts, exit codes, every output, and whatever can be wrong with it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import onnx
import pytest
import sample_artifacts
from click.testing import CliRunner, Result
from fake_hosts import FakeHost

from edgeticket.artifact import checks
from edgeticket.cli import main
from edgeticket.gate import comparison
from edgeticket.measure import process, verdict
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import BlocksAnswer, BlocksRequest, Slot, TimedBlock

Play = Callable[..., None]
SCHEMA = json.loads(comparison.SCHEMA.read_text(encoding="utf-8"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def document(path: Path) -> dict[str, Any]:
    """A result, which is as its schema says."""
    found: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(found, SCHEMA)
    return found


def gates(found: dict[str, Any]) -> dict[str, str]:
    return {gate["name"].split(",")[0]: gate["verdict"] for gate in found["gates"]}


@pytest.mark.parametrize(
    ("slower", "spread", "code", "verdict"),
    [(0.0, 0.005, 0, "pass"), (0.1, 0.005, 1, "regression"), (0.035, 0.2, 3, "inconclusive")],
)
def test_the_verdict_is_the_exit_code(
    model: Path, tmp_path: Path, play: Play, slower: float, spread: float, code: int, verdict: str
) -> None:
    play(slower, spread)
    done = run("check", model, "--baseline", model, "--json", tmp_path / "r.json")
    found = document(tmp_path / "r.json")
    assert (done.exit_code, found["exit_code"], found["verdict"]) == (code, code, verdict)
    assert gates(found)["latency"] == verdict
    assert f"small: {verdict} in" in done.stdout


def test_an_open_verdict_names_the_smallest_effect(model: Path, play: Play) -> None:
    """In the tolerance's terms: one of that size would have caught a slow-down of that size."""
    play(0.035, 0.2)
    done = run("check", model, "--baseline", model)
    assert done.exit_code == 3
    (effect,) = re.findall(r"the smallest slow-down this host resolves, given as the tolerance, is (.+) %", done.stdout)
    assert 5 < float(effect) < 100


def test_an_unfit_host_is_told_with_the_smallest_effect(
    model: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "CONTROL_LIMIT", 1e-9)
    play()
    done = run("check", model, "--baseline", model)
    assert done.exit_code == 3
    assert "this host is unfit" in done.stdout
    assert "the smallest slow-down this host resolves, given as the tolerance, is" in done.stdout


def test_too_few_processes_for_a_look_say_why_no_effect_is_known(
    model: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FEWEST_BLOCKS", 99)
    play()
    done = run("check", model, "--baseline", model, "--seconds", "1")
    assert done.exit_code == 3
    assert "0 processes counted, 12 are the fewest for a verdict" in done.stdout
    assert "what this host resolves is not known from so few" in done.stdout


def test_processes_before_the_first_look_say_what_it_could_have_told(model: Path, play: Play) -> None:
    count = 0

    def failing(asked: BlocksRequest) -> BlocksAnswer:
        nonlocal count
        count += 1
        if count > 10:
            raise NoAnswerError("killed", "the process was killed")
        noise = np.random.default_rng(count).standard_normal(len(asked.arms))
        ms = {name: float(np.exp(0.05 * each)) for name, each in zip(asked.arms, noise, strict=True)}
        return BlocksAnswer((TimedBlock(ms),) * 15, pinned=(0,), not_counted="not here")

    play(failing=failing)
    done = run("check", model, "--baseline", model)
    assert done.exit_code == 3
    said = " ".join(done.stdout.split())
    (effect,) = re.findall(r"with 12 this host would resolve (\S+) %, given as the tolerance", said)
    assert 2 < float(effect) < 50


def test_a_real_comparison(model: Path, tmp_path: Path, on_host: Callable[[Host], None]) -> None:
    """Real processes, few blocks: every arm of every one is in the document, whatever the verdict."""

    def shortened(asked: Any, limit_s: float) -> Any:
        return LOCAL.ask(dataclasses.replace(asked, blocks=3, slot=Slot(2, 0.2, 5)), limit_s)

    on_host(FakeHost(shortened))
    options = ["--seconds", 2, "--process-seconds", 300, "--json", tmp_path / "r.json"]
    done = run("check", model, "--baseline", model, *options)
    found = document(tmp_path / "r.json")
    assert done.exit_code == found["exit_code"] in (0, 1, 3)
    (measured,) = found["measurements"]
    assert measured["processes"]
    for each in measured["processes"]:
        assert set(each["ms"]) == {"candidate", "baseline", "baseline again"}
    assert {gate["name"] for gate in found["gates"]} >= {"size", "nonzeros", "macs", "nodes", "instructions"}


def test_exact_gates(model: Path, tmp_path: Path, play: Play) -> None:
    """The candidate has all weights, the baseline one in five."""
    dense = tmp_path / "dense.onnx"
    onnx.save(sample_artifacts.network(sample_artifacts.weights(0)), dense)
    play()
    run("check", dense, "--baseline", model, "--json", tmp_path / "r.json")
    found = document(tmp_path / "r.json")
    values = {gate["name"]: gate["values"] for gate in found["gates"]}
    assert values["nonzeros"]["candidate"] == 64 * 30 + 30 * 10 == values["macs"]["candidate"]
    assert values["nonzeros"]["baseline"] < 500
    assert values["nodes"] == values["nodes"] | {"candidate": 5, "baseline": 5, "change": 0.0}
    assert gates(found)["nonzeros"] == "shown"
    done = run("check", dense, "--baseline", model, "--max-nonzeros-regression", "10%", "--max-macs-regression", "0")
    assert done.exit_code == 1
    assert "(allowed +10 %)" in done.stdout


def test_a_larger_file_is_a_regression_and_off_is_off(model: Path, tmp_path: Path, play: Play) -> None:
    play()
    proto = onnx.load(model)
    proto.doc_string = "x" * 2000
    onnx.save(proto, tmp_path / "larger.onnx")
    assert run("check", tmp_path / "larger.onnx", "--baseline", model).exit_code == 1
    off = run("check", tmp_path / "larger.onnx", "--baseline", model, "--max-size-regression", "off")
    assert off.exit_code == 0
    assert run("check", model, "--baseline", tmp_path / "larger.onnx").exit_code == 0


def test_instructions_that_nobody_counts_are_open_where_they_are_gated(model: Path, play: Play) -> None:
    play()
    done = run("check", model, "--baseline", model, "--max-instructions-regression", "1%")
    assert done.exit_code == 3
    assert "not counted: not here" in done.stdout


# --- Accuracy ---


def biased(artifact: Path, out: Path, bias_of_0: float = 1e3) -> Path:
    """The model of an artifact with another bias of class 0, which it then always answers, as an ONNX file."""
    proto = onnx.load(artifact / "model.onnx")
    (bias,) = [tensor for tensor in proto.graph.initializer if tensor.name == "fc2.bias"]
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] = bias_of_0
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(proto, out)
    return out


def test_accuracy_is_judged_on_the_baselines_slice(artifact: Path, tmp_path: Path, play: Play) -> None:
    play()
    done = run("check", artifact, "--baseline", artifact, "--json", tmp_path / "same.json")
    found = document(tmp_path / "same.json")
    (gate,) = [gate for gate in found["gates"] if gate["name"] == "accuracy"]
    assert (done.exit_code, gate["verdict"], gate["values"]["drop"]) == (0, "pass", 0.0)
    assert gate["values"]["lost"] == gate["values"]["won"] == 0
    assert gate["values"]["candidate"] == pytest.approx(
        json.loads((artifact / "manifest.json").read_text())["metric"]["slice_value"], abs=0.5
    )
    candidate = biased(artifact, tmp_path / "worse.onnx")
    worse = run("check", candidate, "--baseline", artifact, "--max-size-regression", "off")
    assert worse.exit_code == 1
    assert "accuracy" in worse.stdout
    allowed = run(
        "check", candidate, "--baseline", artifact, "--max-size-regression", "off", "--max-accuracy-drop", "99"
    )
    assert allowed.exit_code == 0


def test_a_model_that_answers_nan_is_a_regression(artifact: Path, tmp_path: Path, play: Play) -> None:
    """NaN is neither before nor behind any number, and must not be taken for right."""
    play()
    candidate = biased(artifact, tmp_path / "nan.onnx", float("nan"))
    options = ["--max-size-regression", "off", "--json", tmp_path / "r.json"]
    assert run("check", candidate, "--baseline", artifact, *options).exit_code == 1
    (gate,) = [gate for gate in document(tmp_path / "r.json")["gates"] if gate["name"] == "accuracy"]
    assert (gate["verdict"], gate["values"]["candidate"]) == ("regression", 0.0)
    assert gate["values"]["won"] == 0
    assert "samples have NaN in them" in gate["sentence"]


def test_accuracy_of_two_bare_files_cannot_be_asked_for(model: Path, play: Play) -> None:
    play()
    assert run("check", model, "--baseline", model).exit_code == 0  # and by default it is not


def test_accuracy_of_two_bare_files_is_refused_before_anything_runs(model: Path, play: Play) -> None:
    def refuse(asked: Any) -> Any:
        raise AssertionError("a model ran")

    play(failing=refuse)
    done = run("check", model, "--baseline", model, "--max-accuracy-drop", "0.5")
    assert done.exit_code == 2
    assert "needs a baseline with a labelled slice" in done.stderr
    assert f"{model}: --max-accuracy-drop 0.5" in done.stderr
    assert "leave the option out" in done.stderr


# --- Budgets ---


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--budget-ms", "2"], 0, "under the budget of 2 ms"),
        (["--budget-ms", "0.5"], 1, "over the budget of 0.5 ms"),
        (["--budget-ms", "2", "--budget-host", "0123456789ab"], 3, "is for host 0123456789ab, and this is"),
        (["--budget-ms", "2", "--budget-host", "this"], 0, "under the budget"),
    ],
)
def test_a_budget(model: Path, play: Play, options: list[str], code: int, sentence: str) -> None:
    play()
    alone = run("check", model, *options)
    assert alone.exit_code == code
    assert sentence in alone.stdout
    assert run("check", model, "--baseline", model, *options).exit_code == code


@pytest.mark.parametrize(("limit", "verdict"), [("2", "pass"), ("0.5", "regression"), ("1.0", "inconclusive")])
def test_the_document_of_a_budget_says_the_budgets_verdict_of_one_model(
    model: Path, tmp_path: Path, play: Play, limit: str, verdict: str
) -> None:
    play(spread=0.02)
    run("check", model, "--budget-ms", limit, "--json", tmp_path / "r.json")
    found = document(tmp_path / "r.json")
    (measured,) = found["measurements"]
    assert (found["verdict"], measured["verdict"]) == (verdict, verdict)
    assert set(measured["latency_ms"]) == {"candidate"}
    assert all(set(process["ms"]) == {"candidate"} for process in measured["processes"])


def test_the_budget_of_another_host_claims_no_verdict(model: Path, tmp_path: Path, play: Play) -> None:
    play()
    done = run("check", model, "--budget-ms", 2, "--budget-host", "0123456789ab", "--json", tmp_path / "r.json")
    (measured,) = document(tmp_path / "r.json")["measurements"]
    assert (measured["verdict"], measured["stopped"]) == ("shown", "no verdict was asked for")
    assert re.search(r"inconclusive +\S+ [mµ]s; the budget of 2 ms is for host", done.stdout)


def test_a_budget_inside_the_interval_is_open(model: Path, play: Play) -> None:
    play(base_ms=1.0, spread=0.02)
    done = run("check", model, "--budget-ms", "1.0")
    assert done.exit_code == 3
    assert "and inside is the budget of 1 ms" in done.stdout


def test_an_artifacts_own_budget_is_judged_at_its_threads(tmp_path: Path, model: Path, play: Play) -> None:
    out = tmp_path / "a"
    assert run("export", model, "--out", out, "--no-bench", "--budget-ms", "0.1").exit_code == 0
    play(base_ms=1.0)
    assert run("check", out, "--baseline", out).exit_code == 1


# --- Latency that nobody asked for ---


OFF = ("--max-latency-regression", "off")


def test_no_process_is_timed_where_the_limit_of_latency_is_off(
    model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything said of a busy machine, on which a time would have been less sure."""

    def refuse(asked: Any) -> Any:
        raise AssertionError("it was timed")

    monkeypatch.setattr("os.getloadavg", lambda: (1e3, 1e3, 1e3))
    play(failing=refuse)
    out = [part for name in ("json", "junit", "append") for part in (f"--{name}", tmp_path / name)]
    done = run("check", model, "--baseline", model, *OFF, *out)
    assert done.exit_code == 0, done.output
    assert re.search(r"latency, cpu, 1 thread +shown +not measured, as its limit is off", done.stdout)
    assert re.search(r"instructions +shown +not counted: nothing was timed", done.stdout)
    assert document(tmp_path / "json")["measurements"] == []
    assert "busy" not in done.stdout
    play()
    assert "The machine is busy: a load of 1000.0" in run("check", model, "--baseline", model).stdout


def test_what_is_counted_while_timing_takes_one_process(model: Path, tmp_path: Path, play: Play) -> None:
    play()
    counted = ("--max-instructions-regression", "1%", "--threads", "1")
    run("check", model, "--baseline", model, *OFF, *counted, "--json", tmp_path / "r.json")
    (measured,) = document(tmp_path / "r.json")["measurements"]
    assert (len(measured["processes"]), measured["stopped"]) == (1, "no more was asked for")


def test_a_budget_is_timed_whatever_the_limit_of_latency(model: Path, play: Play) -> None:
    play()
    assert run("check", model, "--baseline", model, *OFF, "--budget-ms", "0.5").exit_code == 1


# --- Outputs ---


@pytest.fixture
def outputs(model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> tuple[Result, Path]:
    """One regression and one open gate, in every form."""
    play(0.1)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    targets = [
        part
        for name in ("json", "junit", "bencher", "action-benchmark", "append")
        for part in (f"--{name}", str(tmp_path / name))
    ]
    options = ["--github", "--max-instructions-regression", "1%", *targets]
    return run("check", model, "--baseline", model, *options), tmp_path


def test_junit(outputs: tuple[Result, Path]) -> None:
    suite = ElementTree.parse(outputs[1] / "junit").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {"size": [], "latency, cpu, 1 thread": ["failure"], "instructions": ["skipped"]}


def test_github(outputs: tuple[Result, Path]) -> None:
    lines = [line for line in outputs[0].stdout.splitlines() if line.startswith("::")]
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert "%25" in lines[0]
    assert " % " not in lines[0]
    summary = (outputs[1] / "summary.md").read_text()
    assert "### ❌ small: regression" in summary
    assert "| latency, cpu, 1 thread | regression |" in summary


def test_bencher(outputs: tuple[Result, Path]) -> None:
    found = json.loads((outputs[1] / "bencher").read_text())
    latency = found["small, cpu, 1 thread"]["latency"]
    assert 1.0e6 < latency["lower_value"] <= latency["value"] <= latency["upper_value"] < 1.2e6  # ns
    assert found["small"]["file-size"]["value"] > 8000


def test_action_benchmark(outputs: tuple[Result, Path]) -> None:
    found = {entry["name"]: entry for entry in json.loads((outputs[1] / "action-benchmark").read_text())}
    assert found["small, cpu, 1 thread, latency"]["unit"] == "ms"
    assert {"name", "unit", "value"} <= set(found["small, size"])
    assert all(entry["value"] >= 0 for entry in found.values())


def test_the_history_gets_a_line_each_time(outputs: tuple[Result, Path], model: Path) -> None:
    run("check", model, "--baseline", model, "--append", outputs[1] / "append")
    lines = [json.loads(line) for line in (outputs[1] / "append").read_text().splitlines()]
    assert [line["verdict"] for line in lines] == ["regression", "regression"]
    assert lines[0]["latency_ms"]["cpu, 1 thread"] == pytest.approx(1.1, rel=0.02)


def test_json_is_alone_on_standard_output(model: Path, play: Play) -> None:
    play()
    done = run("check", model, "--baseline", model, "--json", "-", "--github")
    jsonschema.validate(json.loads(done.stdout), SCHEMA)


def test_quiet_is_quiet(model: Path, play: Play) -> None:
    play()
    assert run("check", model, "--baseline", model, "--quiet").output == ""


# --- Bad input ---


@pytest.mark.parametrize(
    ("names", "width", "sentence"),
    [
        (("z", "y"), 64, "the inputs of one are z, of the other x"),
        (("x", "z"), 64, "the outputs of one are z, of the other y"),
        (("x", "y"), 32, "input 'x' is float32[?, 32] in one and float32[?, 64] in the other"),
    ],
)
def test_other_inputs_or_outputs_cannot_be_compared(
    model: Path, tmp_path: Path, names: tuple[str, str], width: int, sentence: str
) -> None:
    given, made = names
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", [given, "w"], [made])],
        "other",
        [onnx.helper.make_tensor_value_info(given, onnx.TensorProto.FLOAT, ["n", width])],
        [onnx.helper.make_tensor_value_info(made, onnx.TensorProto.FLOAT, ["n", 10])],
        [onnx.numpy_helper.from_array(np.ones((width, 10), np.float32), "w")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "other.onnx")
    done = run("check", tmp_path / "other.onnx", "--baseline", model)
    assert done.exit_code == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--baseline", "nowhere.onnx"], "no such file or folder"),
        (["--max-latency-regression", "soon", "--baseline", "MODEL"], "write 5%, 0.05 or off"),
        (["--max-latency-regression", "-1", "--baseline", "MODEL"], "not between"),
        (
            ["--max-latency-regression", "5", "--baseline", "MODEL"],
            "'5' is not between 0 and 100 %: write 5% for percent, or off\n",
        ),
        (["--max-latency-regression", "101", "--baseline", "MODEL"], "'101' is not between 0 and 100 %; write 5%"),
        (["--baseline-provider", "", "--baseline", "MODEL"], "--baseline-provider '': give the name of a provider"),
        (["--process-seconds", "1e20", "--baseline", "MODEL"], "process_s 1e+20: give seconds, above 0"),
        (["--selftest", "--seconds", "nan"], "seconds nan: give a number above 0"),
        (["--selftest", "--process-seconds", "inf"], "process_s inf: give a number above 0 that is finite"),
        (["--max-size-regression", "1", "--baseline", "MODEL"], "'1' may be meant as 1 % and as 100 %"),
        (["--max-macs-regression", "2.5", "--baseline", "MODEL"], "write 2.5% for percent"),
        (["--max-memory-regression", "500%", "--baseline", "MODEL"], "not between 0 and 100 %"),
        (["--max-latency-regression", "0", "--baseline", "MODEL"], "'0' can never pass"),
        (["--max-memory-regression", "0%", "--baseline", "MODEL"], "'0%' can never pass"),
        (["--max-accuracy-drop", "0.5%", "--baseline", "MODEL"], "this is in points of the metric"),
        (["--process-seconds", "inf", "--baseline", "MODEL"], "process_s inf: give a number above 0 that is finite"),
        (["--budget-ms", "inf"], "budget_ms inf: give a number above 0 that is finite"),
        (["--threads", "1,x", "--baseline", "MODEL"], "write 1,2"),
        (["--threads", "4096", "--baseline", "MODEL"], "this process may use"),
        (["--providers", "abacus", "--baseline", "MODEL"], "not installed here; there are cpu, sparse"),
        (["--budget-ms", "2", "--budget-host", "here"], "give any, this, or the fingerprint"),
        *[
            (["--" + option, value, *limit], "--" + option + " compares; give --baseline")
            for limit in ([], ["--budget-ms", "2"])
            for option, value in (
                ("max-latency-regression", "5%"),
                ("max-size-regression", "1%"),
                ("max-accuracy-drop", "0.5"),
                ("max-memory-regression", "1%"),
                ("max-nonzeros-regression", "0"),
                ("max-macs-regression", "0"),
                ("max-nodes-regression", "0"),
                ("max-instructions-regression", "0"),
                ("baseline-provider", "cpu"),
            )
        ],
        *[
            ([option, *value], f"{option} compares; give --baseline")
            for option, value in {
                "--junit": ["x.xml"],
                "--bencher": ["x.json"],
                "--action-benchmark": ["x.json"],
                "--append": ["x.jsonl"],
                "--github": [],
                "--budget-host": ["this"],
                "--providers": ["sparse"],
                "--seconds": ["9"],
                "--process-seconds": ["9"],
                "--seed": ["9"],
                "--input-shape": ["x=1x64"],
            }.items()
        ],
        (["--threads", "1,2"], "at one number of threads"),
        (["--baseline", "MODEL", "--budget-host", "this"], "give the budget, --budget-ms"),
        (["--selftest", "--baseline", "MODEL"], "--baseline has no meaning with --selftest"),
        (["--selftest", "--junit", "x.xml"], "--junit has no meaning with --selftest"),
        (["--selftest", "--append", "x.jsonl"], "--append has no meaning with --selftest"),
        (["--selftest", "--threads", "2"], "--threads has no meaning with --selftest"),
    ],
)
def test_a_wrong_option_exits_2(model: Path, options: list[str], sentence: str) -> None:
    done = run("check", model, *[str(model) if option == "MODEL" else option for option in options])
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_what_is_off_was_not_asked_for(model: Path, artifact: Path, play: Play) -> None:
    play()
    off = ["--max-size-regression", "off", "--max-macs-regression", "off", "--no-github"]
    assert run("check", model, "--budget-ms", "2", *off).exit_code == 0
    assert run("check", artifact, *off).exit_code == 0


def test_check_needs_a_candidate() -> None:
    assert run("check").exit_code == 2


def test_a_damaged_artifact_exits_4_on_either_side(artifact: Path, model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "model.onnx").write_bytes((copy / "model.onnx").read_bytes()[:-1])
    for pair in ((copy, artifact), (artifact, copy)):
        done = run("check", pair[0], "--baseline", pair[1])
        assert done.exit_code == 4
        assert "model.onnx is truncated or altered" in done.stderr


@pytest.mark.parametrize(
    ("kind", "arm", "code", "sentence"),
    [
        ("model", "candidate", 1, "the candidate failed in run 3"),
        ("model", "baseline", 2, "the baseline failed in run 3"),
        ("hung", None, 3, "2 processes gave no answer"),
        ("killed", None, 3, "3 processes gave no answer"),
    ],
)
def test_what_happens_to_a_process_or_model_is_said(
    model: Path, tmp_path: Path, play: Play, kind: str, arm: str | None, code: int, sentence: str
) -> None:
    def failing(_: object) -> BlocksAnswer:
        raise NoAnswerError(kind, "failed in run 3: it was in a mood", arm)

    play(failing=failing)
    done = run("check", model, "--baseline", model, "--json", tmp_path / "r.json")
    assert done.exit_code == code
    assert sentence in done.stdout
    document(tmp_path / "r.json")


def test_a_full_disk_loses_one_file_and_not_the_measurements(
    model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = run("check", model, "--baseline", model, "--json", "/dev/full/r.json", "--junit", tmp_path / "r.xml")
    assert done.exit_code == 2
    assert "The result is kept in" in done.stderr
    (spare,) = tmp_path.glob("edgeticket-*-r.json")
    document(spare)
    assert (tmp_path / "r.xml").exists()


def test_a_disk_that_fills_is_told_and_what_was_there_stays(model: Path, tmp_path: Path) -> None:
    """In a process that may write no file beyond 2 kB: neither documents nor their spares fit, so they are printed."""
    target = tmp_path / "r.json"
    target.write_text("earlier")
    script = (
        "import resource, signal, sys\nsys.path.insert(0, sys.argv[1])\n"
        "from edgeticket.cli.check_outputs import Outputs\n"
        "from edgeticket.gate import formats\n"
        "formats.junit = lambda report: 'y' * 9999\n"
        "class Report:\n    def to_json(self): return 'x' * 9999\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        f"outputs = Outputs(json={str(target)!r}, junit={str(target)!r})\n"
        "print(*outputs.write(Report()), outputs.on_stdout)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    assert "choose another file" in done.stdout
    assert done.stdout.startswith("x" * 9999)
    assert done.stderr == "y" * 9999
    assert "The result stands on standard output. " in done.stdout
    assert done.stdout.endswith("The result stands on standard error. True\n")
    assert target.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name != "posix", reason="sends a signal")
def test_ctrl_c_keeps_the_measurements_and_exits_130(model: Path, tmp_path: Path) -> None:
    """A real signal to a real command, once three processes have answered."""
    script = (
        "import sys\nfrom edgeticket.cli import check_progress, main\n"
        "real = check_progress.Line.watch\n"
        "def watch(self, label, state):\n"
        "    real(self, label, state)\n"
        "    print('processes', len(state.processes), flush=True)\n"
        "check_progress.Line.watch = watch\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    target = tmp_path / "r.json"
    command = [sys.executable, "-c", script, "check", str(model), "--baseline", str(model), "--json", str(target)]
    command += ["--seconds", "600", "--process-seconds", "300"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    for line in started.stdout:
        if line.strip() == "processes 3":
            break
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=300)
    assert started.returncode == 130, err
    assert "interrupted; what was measured is kept" in err
    found = document(target)
    assert found["interrupted"]
    assert len(found["measurements"][0]["processes"]) >= 3


# --- What 0.1.0 wrote ---


def test_a_comparison_of_0_1_0_is_as_todays_schema_and_todays_is_as_it_was(
    model: Path, tmp_path: Path, play: Play
) -> None:
    old = document(Path(__file__).resolve().parents[1] / "fixtures" / "0.1.0" / "check.json")
    play()
    run("check", model, "--baseline", model, "--json", tmp_path / "r.json")
    new = document(tmp_path / "r.json")
    assert old.keys() == new.keys()
    for part in ("gates", "measurements"):
        assert old[part][0].keys() == new[part][0].keys()
    assert old["measurements"][0]["processes"][0].keys() == new["measurements"][0]["processes"][0].keys()


# --- The self-test ---


def test_the_selftest_passes_on_a_quiet_host(play: Play, tmp_path: Path) -> None:
    play(spread=0.005)
    done = run("check", "--selftest", "--json", tmp_path / "r.json")
    assert done.exit_code == 0, done.output
    assert "slowed down by 5%, of its own time 5.00 % were spun: regression" in done.stdout
    assert "spread between processes" in done.stdout
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["realised"] == 0.05
    effects = [found["resolves"][key] for key in ("30", "60", "120")]
    assert effects == sorted(effects, reverse=True)
    assert 0.01 < effects[-1] < 0.03


def test_the_selftest_is_open_on_a_noisy_host(play: Play, model: Path) -> None:
    play(spread=0.3)
    done = run("check", model, "--selftest")
    assert done.exit_code == 3
    assert "inconclusive" in done.stdout


def test_the_sample_network_is_a_model_that_onnx_knows_and_the_runtime_runs(tmp_path: Path) -> None:
    from edgeticket.measure.sample_model import SIZES, sample_model

    onnx.checker.check_model(onnx.ModelProto.FromString(sample_model()), full_check=True)
    outputs = checks.session(sample_model(), 1).run(None, {"x": np.ones((1, SIZES[0]), np.float32)})
    assert outputs[0].shape == (1, SIZES[-1])
