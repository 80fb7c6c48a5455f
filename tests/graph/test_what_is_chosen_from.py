"""A wrong pass is refuted where outputs are choices with arithmetic behind them, rounded, or in branches not taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from proofs import prove_made_up
from quantized_models import qdq_network, qoperator_network

from edgeticket.artifact.manifest import ProofInfo
from edgeticket.graph.channels.grid import Left
from edgeticket.graph.proving import chosen
from edgeticket.graph.proving.parts import part_left
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify

Array = NDArray[Any]


def _proved(original: onnx.ModelProto, plan: Simplified) -> ProofInfo:
    """What the runs prove, without the comparison of constants, which refutes every one of these faults."""
    return prove_made_up(original, serialize(plan.model), replace(plan, origins=None))


def _slightly_wrong(plan: Simplified, weight: str, change: float = 1e-4) -> Simplified:
    """A pass that makes the largest number of a weight a little larger, and rounds it properly."""
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    [tensor] = [each for each in model.graph.initializer if each.name == weight]
    exact = np.array(plan.unrounded.get(weight, numpy_helper.to_array(tensor)), np.float64)
    exact[np.unravel_index(np.abs(exact).argmax(), exact.shape)] *= 1 + change
    tensor.CopyFrom(numpy_helper.from_array(exact.astype(np.float32), weight))
    return replace(plan, model=model, unrounded={**plan.unrounded, weight: exact})


def _one(net: Net, scores: str) -> tuple[str, int]:
    best = net.op("ArgMax", scores, axis=1, keepdims=0)
    return net.op("Add", net.op("Mul", best, net.const(np.array(2))), net.const(np.array(1))), TensorProto.INT64


def _label(net: Net, scores: str) -> tuple[str, int]:
    best = net.op("ArgMax", scores, axis=1, keepdims=0)
    return net.op("Gather", net.const(np.arange(40, 50)), best), TensorProto.INT64


def _count(net: Net, scores: str) -> tuple[str, int]:
    above = net.op("Cast", net.op("Greater", scores, net.const(np.float32(0))), to=TensorProto.INT64)
    return net.op("ReduceSum", above, net.const(np.array([1])), keepdims=0), TensorProto.INT64


def _flags(net: Net, scores: str) -> tuple[str, int]:
    above = net.op("Greater", scores, net.const(np.float32(0)))
    return net.op("Where", above, net.const(np.float32(1)), net.const(np.float32(0))), TensorProto.FLOAT


def _image(net: Net, scores: str) -> tuple[str, int]:
    shades = net.op("Mul", net.op("Softmax", scores, axis=1), net.const(np.float32(255)))
    return net.op("Cast", shades, to=TensorProto.UINT8), TensorProto.UINT8


def _codes(net: Net, scores: str) -> tuple[str, int]:
    quantised = net.op("QuantizeLinear", scores, net.const(np.float32(0.1)), net.const(np.int8(0)))
    return net.op("DequantizeLinear", quantised, net.const(np.float32(0.1)), net.const(np.int8(0))), TensorProto.FLOAT


def _two_layers_on(net: Net, scores: str) -> tuple[str, int]:
    """Codes through a further layer, and codes again, as quantised networks have them."""
    codes, _ = _codes(net, scores)
    return _codes(net, net.op("Relu", net.op("MatMul", codes, net.const(net.normal(10, 10)))))


CHOICES = (_one, _label, _count, _flags, _image, _codes, _two_layers_on)


def _network(choice: Callable[[Net, str], tuple[str, int]]) -> onnx.ModelProto:
    net = Net(("n", 6), seed=4)
    hidden = net.op("Relu", net.gemm("x", net.normal(12, 6), net.normal(12)))
    scores = net.op("Gemm", hidden, net.const(net.normal(10, 12), "head"), transB=1)
    output, kind = choice(net, scores)
    model = net.model(output)
    model.graph.output[0].type.tensor_type.elem_type = kind
    return model


def _wrong_is_refuted(original: onnx.ModelProto, layer: str, short: bool, reason: str) -> None:
    """The plan is proved, with nothing left out, and is refuted for that reason where a layer is slightly wrong."""
    plan = simplify(original)
    right = _proved(original, with_short_names(plan) if short else plan)
    assert right.proved, right.reason
    assert right.not_compared == ()
    wrong = _slightly_wrong(plan, layer)
    found = _proved(original, with_short_names(wrong) if short else wrong)
    assert found.verdict == "refuted"
    assert reason in found.reason


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("choice", CHOICES)
def test_what_any_arithmetic_is_made_of_is_compared(choice: Callable[[Net, str], tuple[str, int]], short: bool) -> None:
    _wrong_is_refuted(_network(choice), "head", short, "where it chooses")


@pytest.mark.parametrize(("choice", "verdict"), [(_one, "refuted"), (_codes, "proved")])
def test_codes_may_be_made_of_what_a_scale_in_float32_rounds(
    choice: Callable[[Net, str], tuple[str, int]], verdict: str
) -> None:
    """An int32 bias takes up the constants of dead channels by a scale that is rounded to float32."""
    original = _network(choice)
    assert _proved(original, _slightly_wrong(simplify(original), "head", 1e-7)).verdict == verdict


def test_a_choice_without_a_counterpart_is_not_called_compared() -> None:
    """A pass that wrote the choice with another operator: nothing says what that is made of."""
    original = _network(_one)
    plan = simplify(original)
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    [node] = [node for node in model.graph.node if node.op_type == "ArgMax"]
    scores, best = node.input[0], node.output[0]
    node.CopyFrom(helper.make_node("Neg", [scores], ["less"]))
    model.graph.node.append(helper.make_node("ArgMin", ["less"], [best], axis=1, keepdims=0))
    other = replace(plan, model=model)
    [output] = [value.name for value in original.graph.output]
    found = _proved(original, other)
    assert f"output {output!r}: what it is chosen from was not compared" in found.not_compared
    assert "what it is chosen from was not compared" in found.reason


def _with_dead_units(original: onnx.ModelProto, dead: Mapping[str, list[int]]) -> onnx.ModelProto:
    """A quantised network in which some rows of its weights hold their zero point alone."""
    tensors = {tensor.name: tensor for tensor in original.graph.initializer}
    for name, units in dead.items():
        codes, zero = (numpy_helper.to_array(tensors[f"{name}.{what}"]) for what in ("q", "zero"))
        codes = codes.copy()
        codes[units] = zero.reshape(-1)[0]
        tensors[f"{name}.q"].CopyFrom(numpy_helper.from_array(codes, f"{name}.q"))
    return original


def _with_another_code(plan: Simplified, name: str, change: int) -> Simplified:
    """A pass that gets the largest code of a weight or a bias wrong."""
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    [tensor] = [each for each in model.graph.initializer if each.name == name]
    codes = numpy_helper.to_array(tensor).copy()
    codes[np.unravel_index(codes.argmax(), codes.shape)] -= change
    tensor.CopyFrom(numpy_helper.from_array(codes, name))
    return replace(plan, model=model)


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(("network", "wrong"), [(qdq_network, ("c1.b", 2)), (qoperator_network, ("c1.q", 1))])
def test_quantised_values_that_lost_units_are_compared(
    network: Callable[[Any, bool], onnx.ModelProto], wrong: tuple[str, int], short: bool
) -> None:
    """Units of 8 bits are alike in many places: which of them are left is what the pass has noted."""
    original = _with_dead_units(network(np.int8, True), {"c1": [1, 5, 6, 20], "c2": [0, 7, 30]})
    plan = simplify(original)
    assert len(plan.left) > 2
    right = _proved(original, with_short_names(plan) if short else plan)
    assert right.proved, right.reason
    assert right.not_compared == ()
    other = _with_another_code(plan, *wrong)
    found = _proved(original, with_short_names(other) if short else other)
    assert found.verdict == "refuted"
    assert network is qoperator_network or "where it chooses" in found.reason  # no output shows two of a bias's codes


def _left(before: Array, after: Array, *noted: Left, least: float = 0.0) -> Array | None:
    part = part_left(before, after, noted, least)
    return None if part is None else part(before)


def test_units_that_were_removed_are_left_out_of_what_is_compared() -> None:
    before = np.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_array_equal(_left(before, before[:, [0, 2]]), before[:, [0, 2]])
    assert _left(before, before) is before
    for other in (before[:, [2, 0]], 1.001 * before[:, :2], before[:1, :2], before[0]):
        assert _left(before, other) is None
    near = before[:, :2] + 1e-7
    assert _left(before, near) is None
    np.testing.assert_array_equal(_left(before, near, least=1e-6), before[:, :2])
    codes = before.astype(np.uint8)
    np.testing.assert_array_equal(_left(codes, codes[:, [1, 3]]), codes[:, [1, 3]])
    assert _left(codes, codes[:, [1, 3]] + np.uint8(1)) is None


def test_what_a_pass_has_noted_says_which_units_are_left() -> None:
    before = np.arange(24.0).reshape(2, 4, 3)
    noted = Left((1,), np.array([True, False, True, True])), Left((1,), np.array([True, False, True]))
    np.testing.assert_array_equal(_left(before, 2 * before[:, [0, 3]], *noted), before[:, [0, 3]])
    np.testing.assert_array_equal(
        _left(before, before[:, [0, 2]], *noted), before[:, [0, 2]]
    )  # it is right all the same
    np.testing.assert_array_equal(_left(before, before[:, :1], *noted), before[:, :1])
    assert _left(before, 2 * before[:, :1], *noted) is None
    assert _left(before, 2 * before[:, :2], Left((7,), np.array([True, False]))) is None


def test_the_number_of_classes_that_were_seen_is_said() -> None:
    original = _network(_count)
    [output] = [value.name for value in original.graph.output]
    found = _proved(original, simplify(original))
    said = found.reason.partition("different values seen of what is no float: ")[2]
    count, _, name = said.partition(" at ")
    assert 2 <= int(count) <= 11
    assert name == repr(output)


def test_small_values_may_be_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MOST_EXPOSED", 1)
    original = _network(_two_layers_on)
    found = _proved(original, simplify(original))
    assert found.proved
    assert found.not_compared == ()


def test_too_many_values_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MOST_EXPOSED", 1)
    monkeypatch.setattr(chosen, "MOST_ELEMENTS", 25)
    original = _network(_two_layers_on)
    found = _proved(original, simplify(original))
    assert found.proved
    [said] = found.not_compared
    assert said.startswith("1 more value ")


def _body(name: str, weight: str) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("MatMul", ["hidden", weight], [f"{name}.m"]),
        helper.make_node("Tanh", [f"{name}.m"], [out.name]),
    ]
    return helper.make_graph(nodes, name, [], [out])


def _branching(threshold: float) -> onnx.ModelProto:
    """Two branches, of which one is taken only where the mean is above a threshold."""
    net = Net(("n", 6), seed=5)
    hidden = net.op("Relu", net.gemm("x", net.normal(12, 6), net.normal(12)))
    net.nodes.append(helper.make_node("Identity", [hidden], ["hidden"]))
    above = net.op("Greater", net.op("ReduceMean", "x", keepdims=0), net.const(np.float32(threshold)))
    for name in ("rare", "usual"):
        net.const(net.normal(12, 5), name)
    net.nodes.append(
        helper.make_node(
            "If", [above], ["picked"], "pick", then_branch=_body("t", "rare"), else_branch=_body("e", "usual")
        )
    )
    return net.model(net.op("Add", "picked", net.const(np.float32(1))))


@pytest.mark.parametrize("short", [False, True])
def test_a_branch_that_no_input_takes_is_proved_by_itself(short: bool) -> None:
    _wrong_is_refuted(_branching(1e30), "rare", short, "the then-branch of If 'pick', which no input takes")


def _nested(threshold: float) -> onnx.ModelProto:
    """A branch that no input takes, inside another one that none takes."""
    original = _branching(threshold)
    [outer] = [node for node in original.graph.node if node.op_type == "If"]
    inner = helper.make_node(
        "If", [outer.input[0]], ["chosen"], "inner", then_branch=_body("i", "rare"), else_branch=_body("o", "other")
    )
    original.graph.initializer.append(numpy_helper.from_array(np.full((12, 5), 0.5, np.float32), "other"))
    out = helper.make_tensor_value_info("t.y", TensorProto.FLOAT, None)
    body = helper.make_graph([inner, helper.make_node("Neg", ["chosen"], ["t.y"])], "t", [], [out])
    for attribute in outer.attribute:
        if attribute.name == "then_branch":
            attribute.g.CopyFrom(body)
    return original


@pytest.mark.parametrize("weight", ["rare", "other"])
def test_a_branch_inside_of_another_is_proved_by_itself(weight: str) -> None:
    original = _nested(1e30)
    plan = simplify(original)
    right = _proved(original, with_short_names(plan))
    assert right.proved, right.reason
    assert right.not_compared == ()
    found = _proved(original, with_short_names(_slightly_wrong(plan, weight)))
    assert found.verdict == "refuted"
    branch = "then-branch of If 'inner'" if weight == "rare" else "then-branch of If 'pick'"
    assert f"the {branch}, which no input takes" in found.reason


def _of_another_shape() -> onnx.ModelProto:
    """One branch is for inputs of another shape, and runs on none of these: exporters write `squeeze` so."""
    net = Net(("n", 6), seed=7)
    hidden = net.op("Relu", net.gemm("x", net.normal(12, 6), net.normal(12)))
    net.nodes.append(helper.make_node("Identity", [hidden], ["hidden"]))
    flat = net.op("Equal", net.op("Size", net.op("Shape", "x")), net.const(np.array(1)))
    wanted = helper.make_tensor_value_info("t.y", TensorProto.FLOAT, None)
    net.const(np.array([5, 7]), "five rows")  # hidden has twelve columns
    rows = [
        helper.make_node("Reshape", ["hidden", "five rows"], ["t.r"]),
        helper.make_node("MatMul", ["t.r", "rare"], [wanted.name]),
    ]
    net.const(net.normal(7, 5), "rare")
    net.const(net.normal(12, 5), "usual")
    other = helper.make_graph(rows, "t", [], [wanted])
    net.nodes.append(
        helper.make_node("If", [flat], ["picked"], "rank", then_branch=other, else_branch=_body("e", "usual"))
    )
    return net.model(net.op("Add", "picked", net.const(np.float32(1))))


@pytest.mark.parametrize("short", [False, True])
def test_a_branch_that_cannot_run_is_proved_where_it_stayed_node_for_node(short: bool) -> None:
    original = _of_another_shape()
    plan = simplify(original)
    right = _proved(original, with_short_names(plan) if short else plan)
    assert right.proved, right.reason
    assert right.not_compared == ()
    wrong = _slightly_wrong(plan, "rare")
    found = _proved(original, with_short_names(wrong) if short else wrong)
    assert found.not_compared == ("the then-branch of If 'rank' never ran",)


def _looping() -> onnx.ModelProto:
    """A loop whose condition is never true hands on what it was given."""
    true = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    given = helper.make_tensor_value_info("state", TensorProto.FLOAT, None)
    outs = [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("next", 1, None)]
    turn = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    nodes = [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Mul", ["state", "by"], ["next"])]
    body = helper.make_graph(nodes, "body", [turn, true, given], outs)
    net = Net(("n", 6), seed=6)
    net.const(net.normal(5), "by")
    rows = net.gemm("x", net.normal(5, 6))
    going = net.op("Greater", net.op("ReduceMean", "x", keepdims=0), net.const(np.float32(1e30)))
    net.nodes.append(helper.make_node("Loop", [net.const(np.array(3)), going, rows], ["looped"], "again", body=body))
    return net.model(net.op("Relu", "looped"))


def test_a_body_that_never_ran_is_said_where_it_changed() -> None:
    original = _looping()
    plan = simplify(original)
    same = _proved(original, plan)
    assert same.proved, same.reason
    assert same.not_compared == ()
    other = _proved(original, _slightly_wrong(plan, "by"))
    assert other.proved, other.reason
    assert other.not_compared == ("the body of Loop 'again' never ran",)


def test_a_label_that_became_another_text_is_refuted() -> None:
    """The tolerance of an output has no meaning where that is text."""
    rng = np.random.default_rng(8)
    net = Net(("n", 8))
    best = net.op("ArgMax", net.op("MatMul", "x", net.const(rng.normal(0, 1, (8, 16)), "A")), axis=1, keepdims=0)
    names = {"keys_int64s": list(range(16)), "values_strings": [f"class {number}" for number in range(16)]}
    label = net.op("LabelEncoder", best, domain="ai.onnx.ml", **names)
    original = net.model(label)
    original.graph.output[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.STRING, None))
    original.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    plan = with_short_names(simplify(original))
    for tensor in plan.model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.shape == (8, 16):
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[:, ::-1]), tensor.name))
    found = _proved(original, plan)
    assert found.verdict == "refuted", found.reason
