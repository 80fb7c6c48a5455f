"""Names that nobody asks for are short; what people and reports name stays, and the network is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from nets import COPIES
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from quantized_models import qdq_network, qoperator_network
from storage_models import convnet, lenet, model, node, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing.storage import store

Array = NDArray[Any]
LONG = "StatefulPartitionedCall/model_1/block_7/"


def _long(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the names of values and nodes that an exporter gives."""
    renamed = onnx.ModelProto()
    renamed.CopyFrom(proto)
    made = {output for entry in renamed.graph.node for output in entry.output}
    made -= {value.name for value in renamed.graph.output}
    for index, entry in enumerate(renamed.graph.node):
        entry.name = f"{LONG}{entry.op_type}_{index}"
        entry.input[:] = [LONG + name if name in made else name for name in entry.input]
        entry.output[:] = [LONG + name if name in made else name for name in entry.output]
    return renamed


def _outputs(proto: onnx.ModelProto) -> list[bytes]:
    running = runtime.cpu_session(serialize(proto))
    rng = np.random.default_rng(3)
    feed = {i.name: rng.normal(size=[d if isinstance(d, int) else 3 for d in i.shape]) for i in running.get_inputs()}
    found = runtime.run(running, {name: array.astype(np.float32) for name, array in feed.items()})
    return [array.tobytes() for array in found.values()]


@pytest.mark.parametrize(
    "proto",
    [lenet(), convnet(), qdq_network(np.int8, True), qoperator_network(np.uint8, False)],
    ids=["dense layers", "convolutions", "QDQ", "QOperator"],
)
def test_an_exporters_names_cost_nothing_and_the_outputs_are_the_same_bits(proto: onnx.ModelProto) -> None:
    given = _long(proto)
    short = with_short_names(simplify(given))
    again = with_short_names(simplify(given))
    assert serialize(short.model) == serialize(again.model)
    expected = _outputs(simplify(given).model)
    assert _outputs(short.model) == expected
    assert _outputs(store(short.model).model) == expected
    onnx.checker.check_model(short.model, full_check=True)
    bare = with_short_names(simplify(proto))
    names = sum(len(entry.name) for entry in short.model.graph.node) - sum(len(n.name) for n in bare.model.graph.node)
    assert len(serialize(short.model)) - len(serialize(bare.model)) == pytest.approx(names, abs=2 * len(bare.layers))


def test_ports_layers_and_weights_keep_their_names() -> None:
    given = _long(convnet())
    simplified = simplify(given)
    short = with_short_names(simplified)
    assert [value.name for value in short.model.graph.input] == ["x"]
    assert [value.name for value in short.model.graph.output] == ["y"]
    assert {layer.name for layer in short.layers} == {"c1", "c2", "c3", "fc"}
    assert {"c1", "c2", "c3", "fc"} <= {tensor.name for tensor in short.model.graph.initializer}
    named = {entry.op_type: entry.name for entry in short.model.graph.node if entry.name}
    assert named.keys() == {"Conv", "MatMul"}
    assert named["MatMul"] == f"{LONG}MatMul_7"
    assert not [name for entry in short.model.graph.node for name in entry.output if name != "y" and len(name) > 2]


def test_a_layer_without_a_name_keeps_the_one_that_it_was_shown_by() -> None:
    given = lenet()
    assert not any(entry.name for entry in given.graph.node)
    named = [entry.name for entry in with_short_names(simplify(given)).model.graph.node if entry.op_type == "Gemm"]
    assert named == ["h1", "h2", "y"]


def test_inner_values_keep_their_shapes_under_their_new_names() -> None:
    """Of 300 hidden units 10 are dead."""
    given = _long(lenet())
    given.graph.value_info.append(helper.make_tensor_value_info(LONG + "h1", TensorProto.FLOAT, ["batch", 300]))
    short = with_short_names(simplify(given)).model
    [hidden] = [entry.output[0] for entry in short.graph.node if entry.name.endswith("Gemm_0")]
    [value] = short.graph.value_info
    assert value.name == hidden
    assert [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] == ["batch", 290]


def test_equal_small_constants_become_one_and_others_stay() -> None:
    rng = np.random.default_rng(0)
    weights = {
        "w": pruned(rng, (20, 30), 100),
        "half": np.float32([0.5]),
        "again": np.float32([0.5]),
        "other": np.float32(0.5),
    }
    nodes = [
        node("Mul", ["x", "half"], ["a"]),
        node("Mul", ["a", "again"], ["b"]),
        node("Mul", ["b", "other"], ["c"]),
        node("MatMul", ["c", "w"], ["y"]),
    ]
    given = model(nodes, weights, {"x": ["n", 20]})
    short = with_short_names(simplify(given)).model
    shapes = sorted(list(tensor.dims) for tensor in short.graph.initializer if tensor.name != "w")
    assert shapes == [[], [1]]
    assert _outputs(short) == _outputs(given)


def test_float64_numbers_follow_their_constants() -> None:
    given, name = lenet(), "a.constant.of.one.number"
    simplified = simplify(given)
    tensor = numpy_helper.from_array(np.float32([0.1, 0.2]), name)
    simplified.model.graph.initializer.append(tensor)
    simplified.model.graph.node.append(helper.make_node("Identity", [name], ["unread"]))
    exact = np.array([0.1, 0.2])
    short = with_short_names(Simplified(simplified.model, (), simplified.layers, {name: exact}))
    [(renamed, numbers)] = short.unrounded.items()
    assert renamed != name
    assert numbers is exact
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in short.model.graph.initializer}
    assert found[renamed].tolist() == np.float32([0.1, 0.2]).tolist()


def test_bodies_read_what_they_read_before() -> None:
    """One name stands in both branches, another hides nothing: values of the outer graph are read inside."""
    outer = "the/outer/value"
    branches = []
    for factor in (2.0, 3.0):
        inner = [
            helper.make_node("Constant", [], ["the/same/name"], value=numpy_helper.from_array(np.float32(factor))),
            helper.make_node("Mul", [outer, "the/same/name"], [f"the/product/{factor}"]),
            helper.make_node("Add", [f"the/product/{factor}", outer], [f"out/{factor}"]),
        ]
        ends = [helper.make_tensor_value_info(f"out/{factor}", TensorProto.FLOAT, None)]
        branches.append(helper.make_graph(inner, "branch", [], ends))
    nodes = [
        helper.make_node("Relu", ["x"], [outer]),
        helper.make_node("ReduceSum", ["x"], ["sum/of/all"], keepdims=0),
        helper.make_node("Greater", ["sum/of/all", "nothing"], ["is/positive"]),
        helper.make_node("If", ["is/positive"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    given = model(nodes, {"nothing": np.float32(0)}, {"x": [2, 3]})
    short = with_short_names(simplify(given)).model
    for sign in (1, -1):
        x = {"x": np.float32([[1, 2, 3], [4, -5, 6]]) * np.float32(sign)}
        before, after = (runtime.run(runtime.cpu_session(serialize(each)), x)["y"] for each in (given, short))
        assert before.tobytes() == after.tobytes()
    assert outer not in str(short)


@pytest.mark.skipif(not COPIES, reason="this onnx-ir cannot copy a model")
@pytest.mark.parametrize("dead", [False, True])
def test_the_unpruned_model_has_the_names_that_it_would_have_by_itself(dead: bool) -> None:
    """Where nothing was removed it is a copy of the smaller model, and no part of that."""
    rng = np.random.default_rng(4)
    first, second = pruned(rng, (8, 6), 30), pruned(rng, (6, 4), 20)
    if dead:
        first[:, 2] = 0
    nodes = [node("MatMul", ["x", "first"], ["a"]), node("Relu", ["a"], ["b"]), node("MatMul", ["b", "second"], ["y"])]
    proto = _long(model(nodes, {"first": first, "second": second}, {"x": (2, 8)}))
    both = simplify(proto, unpruned=True)
    assert both.unpruned is not None
    assert (both.unpruned == both.model) is not dead
    short = with_short_names(both)
    alone = with_short_names(replace(both, model=both.unpruned, unpruned=None))
    assert short.unpruned is not None
    assert serialize(short.unpruned) == serialize(alone.model)
    short.unpruned.graph.node[0].name = "another"
    assert short.model.graph.node[0].name != "another"
