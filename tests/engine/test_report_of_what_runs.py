"""The report says what runs: what ONNX Runtime took, constants that it left unfolded, and the work of every layer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from small_models import check, model, node, session, sparse

from edgeticket import inspection
from edgeticket.engine import EP_NAME


def traced(channels: int = 6) -> onnx.ModelProto:
    """A convolution without a bias, as torch writes it before anything is folded: the bias is Expand of CastLike."""
    nodes = [
        node("CastLike", ["zero", "x"], ["like"]),
        node("Shape", ["w"], ["sizes"], start=0, end=1),
        node("Expand", ["like", "sizes"], ["bias"]),
        node("Conv", ["x", "w", "bias"], ["conv"], pads=[1, 1, 1, 1]),
        node("Relu", ["conv"], ["y"]),
    ]
    constants = {"w": sparse(1, channels, 3, 3, 3), "zero": np.array(0.25, np.float32)}
    return model(nodes, {"x": ["N", 3, 9, 9]}, {"y": ["N", channels, 9, 9]}, constants)


def normalised() -> onnx.ModelProto:
    """Convolutions with GroupNormalization between: ONNX Runtime inlines it after it has given nodes away."""
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("GroupNormalization", ["c1", "scale", "shift"], ["n1"], num_groups=2),
        node("Relu", ["n1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        node("GroupNormalization", ["c2", "scale", "shift"], ["y"], num_groups=2),
    ]
    constants = {"w1": sparse(1, 8, 3, 3, 3), "w2": sparse(2, 8, 8, 3, 3)}
    constants |= {"scale": np.ones(8, np.float32), "shift": np.zeros(8, np.float32)}
    return model(nodes, {"x": [1, 3, 12, 12]}, {"y": [1, 8, 12, 12]}, constants, opset=21)


def records(proto: onnx.ModelProto, folder: Path) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What the report says, and the operators of the nodes that the runtime says are ours; not all have names."""
    path = folder / "report.json"
    made = session(proto, report=str(path), claim="always")
    subgraphs = made.get_provider_graph_assignment_info()
    running = Counter(n.op_type for each in subgraphs if each.ep_name == EP_NAME for n in each.get_nodes())
    return json.loads(path.read_text()), running


def test_a_bias_of_an_unfolded_constant_is_seen_through() -> None:
    for batch in (1, 3):
        check(traced(), {"conv", "y"}, N=batch)


@pytest.mark.parametrize("make", [traced, normalised])
def test_what_is_reported_as_claimed_is_what_runs(make: Any, tmp_path: Path) -> None:
    told, running = records(make(), tmp_path)
    assert running
    assert Counter(record["op"] for record in told if record["claimed"]) == running
    assert all(record["kernel"] for record in told if record["claimed"])
    assert not [record for record in told if record["op"].startswith("EdgeTicket")]


def test_what_was_chosen_and_not_taken_says_so(tmp_path: Path) -> None:
    told, running = records(normalised(), tmp_path)
    layers = [record for record in told if record["op"] == "Conv"]
    assert [record["name"] for record in layers] == ["c1", "c2"]
    left = [record for record in layers if not record["claimed"]]
    assert len(left) == 2 - running["Conv"]
    assert all(record["reason"].startswith("chosen too late: ONNX Runtime had given it") for record in left)


def test_multiplications_are_counted_wherever_they_run(tmp_path: Path) -> None:
    told, _ = records(normalised(), tmp_path)
    macs = {record["name"]: record["macs"] for record in told if record["op"] == "Conv"}
    assert macs == {"c1": 8 * 3 * 9 * 144, "c2": 8 * 8 * 9 * 144}
    density = {record["name"]: record["density"] for record in told}
    weight = onnx.numpy_helper.to_array(normalised().graph.initializer[1])
    assert density["c2"] == pytest.approx(np.count_nonzero(weight) / weight.size)


def test_a_layer_that_cannot_be_claimed_counts_too(tmp_path: Path) -> None:
    """The size of its input is not known before it runs, and so it is left; its weight is known."""
    nodes = [node("Reshape", ["x", "s"], ["r"]), node("MatMul", ["r", "w"], ["y"])]
    free = helper.make_tensor_value_info("s", onnx.TensorProto.INT64, [2])
    proto = model(nodes, {"x": ["N", 20], "s": free}, {"y": ["N", 6]}, {"w": sparse(3, 20, 6)})
    told, running = records(proto, tmp_path)
    assert not running
    assert [record["macs"] for record in told] == [0, 120]


def test_what_stands_in_a_body_is_reported_and_counted(tmp_path: Path) -> None:
    """Both branches of an If, each with a weight of its own; neither is claimed."""

    def branch(name: str, width: int) -> onnx.GraphProto:
        weight = onnx.numpy_helper.from_array(sparse(4, 20, width), f"w_{name}")
        made = [node("MatMul", ["x", weight.name], [f"m_{name}"], name=f"m_{name}")]
        made.append(node("ReduceSum", [f"m_{name}"], [f"s_{name}"], keepdims=1, name=f"s_{name}"))
        output = helper.make_tensor_value_info(f"s_{name}", onnx.TensorProto.FLOAT, [1, 1])
        return helper.make_graph(made, name, [], [output], [weight])

    which = helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
    nodes = [node("If", ["c"], ["h"], then_branch=branch("then", 6), else_branch=branch("else", 8))]
    nodes.append(node("Relu", ["h"], ["y"]))
    proto = model(nodes, {"x": [1, 20], "c": which}, {"y": [1, 1]}, {})
    told, _ = records(proto, tmp_path)
    left = {record["name"]: record for record in told if record["reason"].startswith("in the body of an If")}
    assert {"m_then", "m_else"} <= set(left)
    assert (left["m_then"]["macs"], left["m_else"]["macs"]) == (120, 160)


def test_inspect_says_what_an_export_would_fold(tmp_path: Path) -> None:
    onnx.save(traced(), tmp_path / "traced.onnx")
    found = inspection.inspect(tmp_path / "traced.onnx")
    assert found.totals["macs"] == 6 * 3 * 9 * 81
    (sentence,) = [each for each in found.sentences() if "edgeticket export" in each]
    assert sentence.startswith("2 nodes compute constants at every run, as ONNX Runtime does not fold them")
