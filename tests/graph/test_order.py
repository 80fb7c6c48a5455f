"""Graphs whose nodes are in any order: read as ONNX Runtime reads them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import Net
from onnx import TensorProto, helper

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.order import put_in_order
from edgeticket.graph.reading.load import parse_model

FEED = {"x": np.ones((2, 3, 6, 6), np.float32)}


def _network() -> onnx.ModelProto:
    net = Net()
    one, two = net.conv("x", net.normal(4, 3, 1, 1)), net.conv("x", net.normal(4, 3, 1, 1))
    joined = net.op("Relu", net.op("Add", net.op("Sigmoid", one), two))
    return net.model(net.op("Flatten", net.op("GlobalAveragePool", joined)))


def _shuffled(model: onnx.ModelProto, order: list[int]) -> onnx.ModelProto:
    nodes = [onnx.NodeProto.FromString(model.graph.node[index].SerializeToString()) for index in order]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@given(st.permutations(range(7)))
def test_any_order_is_read_and_gives_the_same_outputs(order: list[int]) -> None:
    mixed = _shuffled(_network(), order).SerializeToString()
    read = parse_model(mixed, "mixed.onnx")
    known = {"x", *(tensor.name for tensor in read.graph.initializer)}
    for node in read.graph.node:
        assert set(node.input) <= known
        known |= set(node.output)
    wanted = runtime.run(runtime.cpu_session(mixed), FEED)
    found = runtime.run(runtime.cpu_session(read.SerializeToString()), FEED)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_graph_in_order_stays_as_it_is() -> None:
    model = _network()
    before = model.SerializeToString(deterministic=True)
    put_in_order(model.graph)
    assert model.SerializeToString(deterministic=True) == before


def test_a_branch_may_read_what_is_written_later() -> None:
    out = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    branch = helper.make_graph([helper.make_node("Relu", ["late"], ["r"])], "branch", [], out)
    net = Net(("n", 4))
    net.nodes += [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Cast", ["top"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
        helper.make_node("Neg", ["x"], ["late"]),
    ]
    read = parse_model(net.model("y").SerializeToString(), "late.onnx")
    assert [node.op_type for node in read.graph.node] == ["ReduceMax", "Cast", "Neg", "If"]


@pytest.mark.parametrize("of", ["itself", "another"])
def test_nodes_that_wait_for_one_another_are_refused(of: str) -> None:
    net = Net(("n", 4))
    net.nodes += [
        helper.make_node("Add", ["x", "b" if of == "another" else "a"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
    ]
    with pytest.raises(ModelError, match=r"cycle\.onnx: node .* which nothing before it computes"):
        parse_model(net.model("b").SerializeToString(), "cycle.onnx")
