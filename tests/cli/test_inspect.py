"""edgeticket inspect on real sessions: a row for each layer, a reason for what is left, and errors in words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import sample_artifacts
from click.testing import CliRunner, Result
from engine_library import needs_library
from onnx import TensorProto, helper, numpy_helper

from edgeticket import engine, runtime
from edgeticket.cli import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [n, 300] -> MatMul of 95 % zeros -> Relu -> Softmax, which the engine has no kernel for."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(300, 100)).astype(np.float32)
    weight[rng.random(weight.shape) < 0.95] = 0
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="second"),
        helper.make_node("Softmax", ["r"], ["y"], name="third"),
    ]
    sizes = {"x": 300, "y": 100}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in sizes.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@needs_library
def test_every_layer_has_a_row_and_what_is_left_a_reason(model: Path) -> None:
    done = run("inspect", model, "--claim", "always")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    names = ("first", "second", "third", "claimed")
    first, second, third, total = (next(line for line in lines if line.startswith(name)) for name in names)
    assert re.search(r"MatMul +300×100 +n×100 +9\d\.\d % +sparse +\w+", first)
    assert len(re.findall(r"\d [µm]s", first)) >= 2  # predicted and measured
    assert "fused into first" in second
    assert re.search(r"Softmax .* CPU +no kernel for this operator", third)
    assert "2 of 3 nodes" in total
    assert "30,000 multiplications an item" in done.stdout
    assert "\x1b" not in done.stdout  # no terminal, no colours


@needs_library
def test_columns_are_aligned(model: Path) -> None:
    lines = run("inspect", model, "--claim", "always").stdout.splitlines()[:5]
    place = lines[0].index("kernel, or why")
    assert all(line[place - 1] == " " and line[place] != " " for line in lines)


@needs_library
def test_json_holds_every_number(model: Path, tmp_path: Path) -> None:
    done = run("inspect", model, "--claim", "always", "--json", "-")
    document = json.loads(done.stdout)
    assert (document["format"], document["version"]) == ("edgeticket-inspect", 1)
    assert document["options"] == {"claim": "always", "measure": "1", "threads": "1"}
    layer = document["layers"][0]
    assert (layer["weight"], layer["output"]) == ([300, 100], [None, 100])
    assert layer["density"] == pytest.approx(0.05, abs=0.01)
    assert layer["measured_us"] > 0
    totals = document["totals"]
    assert (totals["claimed"], totals["nodes"], totals["claimed_macs"]) == (2, 3, 30_000)
    assert totals["measured_us"] == pytest.approx(sum(each["measured_us"] or 0 for each in document["layers"]))
    assert run("inspect", model, "--json", tmp_path / "i.json").exit_code == 0
    assert json.loads((tmp_path / "i.json").read_text())["options"]["claim"] == "auto"


@needs_library
def test_the_instruction_set_asked_for_is_used_or_refused(model: Path) -> None:
    assert run("inspect", model, "--isa", "portable").exit_code == 0
    other = "neon" if run("inspect", model, "--isa", "avx2").exit_code == 0 else "avx2"
    done = run("inspect", model, "--isa", other)
    assert done.exit_code == 2
    assert f"option isa={other}: this processor or this build has not got it" in done.stderr


@needs_library
def test_a_model_of_which_nothing_is_taken(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"], name="only")], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")
    done = run("inspect", tmp_path / "m.onnx")
    assert done.exit_code == 0
    assert "The sparse engine takes no node of this model" in done.stdout
    assert "multiplications" not in done.stdout


@needs_library
def test_an_artifact_is_inspected_as_its_model(tmp_path: Path) -> None:
    made = run("export", sample_artifacts.onnx_file(tmp_path), "--no-bench", "--out", tmp_path / "a")
    assert made.exit_code == 0
    document = json.loads(run("inspect", tmp_path / "a", "--claim", "always", "--json", "-").stdout)
    assert document["model"]["kind"] == "artifact"
    assert document["totals"]["claimed"] > 0
    (tmp_path / "a" / "model.onnx").write_bytes(b"changed")
    assert run("inspect", tmp_path / "a").exit_code == 4


def test_without_the_library_it_says_what_to_do(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LIBRARY", "libnothere.so")
    monkeypatch.setattr(runtime, "_device", lambda: None)  # as in a process that never registered
    done = run("inspect", model)
    assert done.exit_code == 2
    assert re.fullmatch(r"edgeticket: .*libnothere\.so is missing: .*make engine.*\n", done.stderr)


@needs_library
@pytest.mark.parametrize("damage", ["truncated", "noise", "empty", "absent", "folder"])
def test_what_is_no_model_is_an_error_in_one_line(model: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.onnx"
    if damage == "folder":
        path.mkdir()
    elif damage != "absent":
        data = {"truncated": model.read_bytes()[:-500], "noise": bytes(range(256)) * 3, "empty": b""}[damage]
        path.write_bytes(data)
    done = run("inspect", path)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "bad.onnx" in done.stderr
