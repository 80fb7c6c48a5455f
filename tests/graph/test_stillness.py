"""Outputs that say nothing on the inputs that are tried are woken at other scales, or are not called proved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import Net
from onnx import TensorProto, helper
from proofs import prove_made_up

from edgeticket import api
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.errors import Exit
from edgeticket.graph.proving.stillness import LEAST, Movement, elsewhere, reading, scaled
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import Simplified, simplify


def _proved(original: onnx.ModelProto, file: onnx.ModelProto, plan: Simplified | None = None) -> ProofInfo:
    return prove_made_up(original, serialize(file), plan or simplify(original))


def _times(number: float, *, wrong: bool = False) -> onnx.ModelProto:
    """A product times a number, without or with one weight that is wrong."""
    net = Net(("n", 6), seed=2)
    weight = net.normal(5, 6)
    weight[0, 0] += 1e-2 * wrong
    return net.model(net.op("Mul", net.gemm("x", weight), net.const(np.float32(number))))


@pytest.mark.parametrize("number", [1e-31, 1e-35])
def test_an_output_below_what_is_allowed_to_any_is_seen_at_another_scale(number: float) -> None:
    """1e-30 is alike for all hosts, so that 0 would be right for it."""
    right, wrong = _times(number), _times(number, wrong=True)
    found = _proved(right, right)
    assert found.proved, found.reason
    assert found.not_compared == ()
    for plan in (simplify(right), simplify(wrong)):
        assert _proved(right, wrong, plan).verdict == "refuted"


def _behind(threshold: float, *, wrong: bool = False) -> onnx.ModelProto:
    """What is left of a product above a threshold."""
    net = Net(("n", 6), seed=2)
    rows = net.gemm("x", net.normal(5, 6) * (2 if wrong else 1))
    return net.model(net.op("Relu", net.op("Sub", rows, net.const(np.float32(threshold)))))


def test_an_output_that_is_zero_below_a_threshold_is_seen_above_it() -> None:
    right, wrong = _behind(1e6), _behind(1e6, wrong=True)
    found = _proved(right, right)
    assert found.proved, found.reason
    assert _proved(right, wrong, simplify(wrong)).verdict == "refuted"


def _both(still: str) -> onnx.ModelProto:
    """An output that moves, and one that does not, whatever the scale."""
    net = Net(("n", 6), seed=2)
    rows = net.gemm("x", net.normal(5, 6))
    square = net.op("Mul", rows, rows)
    none = net.op("Less", square, net.const(np.float32(-1)))
    quiet = {
        "zero": lambda: net.op("Relu", net.op("Neg", square)),
        "nan": lambda: net.op("Log", net.op("Sub", net.op("Neg", square), net.const(np.float32(1)))),
        "same": lambda: net.op("Max", net.op("Neg", square), net.const(np.float32(0.7))),
        "empty": lambda: net.op("Compress", rows, net.op("Reshape", net.op("Slice", none, *_first(net)), _one(net))),
        "integer": lambda: net.op("Cast", none, to=TensorProto.INT64),
    }[still]()
    model = net.model(net.op("Tanh", rows), quiet)
    if still == "integer":
        model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    return model


def _first(net: Net) -> list[str]:
    return [net.const(np.array([0, 0])), net.const(np.array([1, 1])), net.const(np.array([0, 1]))]


def _one(net: Net) -> str:
    return net.const(np.array([-1]))


WHY = {
    "zero": "it was 0 on every input",
    "nan": "it was NaN or infinite on every input",
    "same": "it was the same on every input",
    "empty": "it was empty on every input",
}


@pytest.mark.parametrize("still", WHY)
def test_an_output_that_never_moves_is_not_proved_beside_one_that_does(still: str) -> None:
    model = _both(still)
    name = model.graph.output[1].name
    found = _proved(model, model)
    assert found.proved, found.reason
    assert found.not_compared == (f"output '{name}': {WHY[still]}",)
    assert f"'{name}'" in found.reason
    alone = onnx.ModelProto.FromString(serialize(model))
    del alone.graph.output[0]
    found = _proved(alone, alone)
    assert found.verdict == "not proved"
    assert found.reason


def test_an_integer_that_is_chosen_from_what_moves_is_compared_by_that() -> None:
    """Less than -1 is no square; that the squares are right is seen in float64."""
    model = _both("integer")
    assert _proved(model, model).not_compared == ()
    for least, said in ((None, ""), (np.float32(0.7), "it was the same on every input")):
        rounded = Net(("n", 6), seed=2)
        below_one = rounded.op("Sigmoid", rounded.op("Neg", rounded.op("Exp", "x")))
        numbers = below_one if least is None else rounded.op("Max", below_one, rounded.const(least))
        name = rounded.op("Cast", numbers, to=TensorProto.INT32)
        other = rounded.model(rounded.op("Tanh", "x"), name)
        other.graph.output[1].type.tensor_type.elem_type = TensorProto.INT32
        assert _proved(other, other).not_compared == ((f"output '{name}': {said}",) if said else ())


def test_what_reads_no_number_of_an_input_may_stay_the_same() -> None:
    """A constant, the size of a fixed axis, and a layer without a weight that is not 0."""
    net = Net(("n", 6), seed=2)
    size = net.op("Gather", net.op("Shape", "x"), net.const(np.array(1)))
    dead = net.gemm("x", np.zeros((3, 6)), net.normal(3))
    model = net.model(net.op("Relu", net.const(net.normal(4))), size, dead)
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    assert reading(model) == frozenset()
    found = _proved(model, model)
    assert found.proved, found.reason
    assert found.not_compared == ()


def test_a_branch_reads_what_its_body_reads() -> None:
    out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["inner"])], "body", [], [out])
    net = Net(("n", 6))
    net.inputs = {"x": ("n", 6)}
    net.nodes.append(helper.make_node("If", [net.const(np.array(True))], ["y"], then_branch=body, else_branch=body))
    assert reading(net.model("y")) == {"y"}


def test_a_test_set_moves_row_by_row() -> None:
    """One batch holds all of it: rows are compared with one another, and not equal inputs."""
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    moving, resting = Movement(rows=True), Movement(rows=True)
    moving.see("y", rows[:, :1], {"x": rows})
    resting.see("y", np.ones((4, 1), np.float32), {"x": rows})
    assert moving.still("y") == ""
    assert resting.still("y") == "it was the same on every input"
    alike = Movement(rows=True)
    alike.see("y", np.ones((4, 1), np.float32), {"x": np.ones((4, 3), np.float32)})
    assert alike.still("y") == ""  # one input only: nothing can be said
    assert Movement().still("y") == "it was compared on no input"


@pytest.mark.parametrize(("highest", "why"), [(0.9, "it was below 9e-29 on every input"), (1.9, "")])
def test_movement_is_more_than_what_is_allowed_to_any_output(highest: float, why: str) -> None:
    movement = Movement()
    for share in (0.5, highest):
        movement.see("y", np.array([share * LEAST]), {"x": np.array([share])})
    assert movement.still("y") == why


def test_scales_stay_within_the_type() -> None:
    half = list(scaled({"x": np.array([2.0, -1.0], np.float16), "n": np.array([3])}))
    single = list(scaled({"x": np.array([2.0, -1.0], np.float32)}))
    assert 0 < len(half) < len(single)
    assert all(np.isfinite(feed["x"]).all() and feed["n"].tolist() == [3] for feed in half)
    assert not list(scaled({"n": np.array([3])}))


@pytest.mark.parametrize("kind", ["Equal", "IsNaN", "IsInf", "EyeLike"])
def test_what_is_rare_among_numbers_is_woken_where_it_happens(kind: str) -> None:
    inputs = ["x", "other"] if kind == "Equal" else ["x"]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (3, 4)) for name in inputs]
    kept = TensorProto.FLOAT if kind == "EyeLike" else TensorProto.BOOL
    output = helper.make_tensor_value_info("y", kept, (3, 4))
    graph = helper.make_graph([helper.make_node(kind, inputs, ["y"])], "g", ports, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    found = _proved(model, model)
    assert found.proved, found.reason
    assert found.not_compared == ()


def test_inputs_unlike_the_usual_ones_hold_equal_arrays_and_no_numbers() -> None:
    feed = {"x": np.array([2.0, -1.0], np.float16), "other": np.array([3.0, 1.0], np.float16)}
    feeds = list(elsewhere(feed, {"IsNaN"}))
    assert any(np.array_equal(feed["x"], feed["other"]) for feed in feeds)
    assert np.isnan(feeds[-1]["x"]).any()
    assert np.isinf(feeds[-1]["other"]).any()
    assert all(np.isfinite(made["x"]).all() for made in elsewhere(feed, {"Relu"}))


@pytest.mark.parametrize(("still", "code"), [("zero", Exit.INCONCLUSIVE), ("moving", Exit.YES)])
def test_export_says_what_was_not_compared(still: str, code: Exit, tmp_path: Path) -> None:
    model = _both("zero")
    if still == "zero":
        del model.graph.output[0]
    onnx.save(model, tmp_path / "net.onnx")
    made = api.export(tmp_path / "net.onnx", out=tmp_path / "out", bench=False)
    assert made.exit_code == code
    [said] = made.manifest.proof.not_compared
    assert said.endswith(": it was 0 on every input")
    assert said in (tmp_path / "out" / "report.md").read_text()
    assert '"not_compared"' in (tmp_path / "out" / "manifest.json").read_text()
