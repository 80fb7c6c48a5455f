"""reference.py: everything is evaluated in float64, within a budget, or a reason is given."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from storage_models import convnet, lenet, model, node, product, pruned

from edgeticket import runtime
from edgeticket.graph.proving import reference
from edgeticket.graph.serialize import serialize

RNG = np.random.default_rng(11)


def test_a_product_in_float64() -> None:
    weight, x = pruned(RNG, (30, 40), 300), RNG.normal(size=(4, 30)).astype(np.float32)
    found = reference.evaluate(product(weight), [{"x": x}])
    assert found.outputs is not None
    y = found.outputs[0]["y"]
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, x.astype(np.float64) @ weight.astype(np.float64), rtol=1e-14)


def test_it_agrees_with_the_runtime_within_float32() -> None:
    for proto, shape in ((lenet(), (3, 784)), (convnet(), (3, 3, 16, 16))):
        name = proto.graph.input[0].name
        x = RNG.normal(size=shape).astype(np.float32)
        found = reference.evaluate(proto, [{name: x}])
        assert found.outputs is not None
        y32 = runtime.run(runtime.cpu_session(serialize(proto)), {name: x})["y"]
        np.testing.assert_allclose(y32, found.outputs[0]["y"], atol=1e-5)


def test_constants_casts_and_subgraphs_are_widened() -> None:
    third = np.array(1 / 3, np.float32)
    branch = helper.make_graph(
        [node("Add", ["c", "one"], ["o"])],
        "branch",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(third, "one")],
    )
    nodes = [
        node("Constant", [], ["t"], value=numpy_helper.from_array(third)),
        node("Constant", [], ["f"], value_float=0.1),
        node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        node("Cast", ["i"], ["j"], to=TensorProto.FLOAT),
        node("ConstantOfShape", ["shape"], ["z"]),
        helper.make_node("Sum", ["t", "f", "j", "z"], ["c"]),
        node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    proto = model(nodes, {"shape": np.array([1, 1])}, {"x": ["n", 1]})
    found = reference.evaluate(proto, [{"x": np.array([[2]], np.float32)}])
    assert found.outputs is not None, found.reason
    y = found.outputs[0]["y"]
    assert y.dtype == np.float64
    assert y.item() == 2 + 2 * float(third) + float(np.float32(0.1))


def test_macs_and_rows() -> None:
    assert reference.macs(lenet()) == 784 * 300 + 300 * 100 + 100 * 10
    first, second, third = 16 * 16 * 16 * 27, 7 * 7 * 32 * 144, 5 * 5 * 32 * 72
    assert reference.macs(convnet()) == first + second + third + 320


def test_rows_follow_from_the_size_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reference.rows_within_budget(lenet()) == reference.MOST_ROWS
    monkeypatch.setattr(reference, "BUDGET_MACS", 10 * reference.macs(lenet()))
    assert reference.rows_within_budget(lenet()) == 10
    monkeypatch.setattr(reference, "MOST_MACS", 1000)
    assert reference.rows_within_budget(lenet()) == 0


def test_feeds_are_counted_as_they_are() -> None:
    first, second, third = 16 * 16 * 16 * 27, 7 * 7 * 32 * 144, 5 * 5 * 32 * 72
    one = {"x": np.zeros((1, 3, 16, 16), np.float32)}
    assert reference.macs(convnet(), one) == first + second + third + 320
    assert reference.macs(convnet(), {"x": np.zeros((7, 3, 16, 16), np.float32)}) == 7 * reference.macs(convnet(), one)
    open_axes = model(
        [node("Conv", ["x", "c"], ["y"])],
        {"c": np.ones((4, 3, 3, 3), np.float32)},
        {"x": ["n", 3, "height", "width"]},
    )
    open_axes.graph.output[0].type.tensor_type.ClearField("shape")
    assert reference.macs(open_axes, {"x": np.zeros((2, 3, 102, 102), np.float32)}) == 2 * 100 * 100 * 4 * 27


def test_feeds_within_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    one = reference.macs(lenet())
    feeds = [{"input": np.zeros((rows, 784), np.float32)} for rows in (100, 2, 3, 5, 1)]

    def kept() -> list[int]:
        return [reference.rows(feed) for feed in reference.within_budget(lenet(), feeds)]

    assert kept() == [100]  # one is taken whatever its rows; the others would be more than MOST_ROWS
    monkeypatch.setattr(reference, "MOST_MACS", 10 * one)
    assert kept() == [2, 3, 5, 1]
    monkeypatch.setattr(reference, "BUDGET_MACS", 6 * one)
    assert kept() == [2, 3, 1]
    monkeypatch.setattr(reference, "MOST_MACS", one - 1)
    assert kept() == []


def test_what_it_cannot_run_has_a_reason() -> None:
    proto = product(np.ones((3, 4), np.float32))
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    found = reference.evaluate(proto, [{"x": np.ones((1, 3), np.float32)}])
    assert found.outputs is None
    assert "reference evaluator cannot run it" in found.reason


def test_the_model_given_is_not_changed() -> None:
    proto = lenet()
    before = serialize(proto)
    assert reference.evaluate(proto, [{"input": np.zeros((1, 784), np.float32)}]).outputs is not None
    assert serialize(proto) == before
