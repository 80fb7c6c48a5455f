"""What is dead inside branches and loops goes, and the model computes the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import COPIES, Array, Net, run_reference, sentences, zero_rows
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.graph.simplify import simplify


def body(prefix: str, outer: str, value: float, weights: dict[str, Array]) -> onnx.GraphProto:
    """Two convolutions over a captured image; channels 1 and 4 of the first are `value`."""
    rng = np.random.default_rng(len(prefix))
    bias = rng.normal(size=6)
    bias[[1, 4]] = value
    own = {
        f"{prefix}.a": zero_rows(rng.normal(size=(6, 3, 1, 1)), 1, 4),
        f"{prefix}.a.bias": bias,
        f"{prefix}.b": rng.normal(size=(2, 6, 1, 1)),
    }
    weights |= own
    nodes = [
        helper.make_node("Conv", [outer, f"{prefix}.a", f"{prefix}.a.bias"], [f"{prefix}.h"]),
        helper.make_node("Relu", [f"{prefix}.h"], [f"{prefix}.r"]),
        helper.make_node("Conv", [f"{prefix}.r", f"{prefix}.b"], [f"{prefix}.y"]),
    ]
    return helper.make_graph(
        nodes, prefix, [], [helper.make_tensor_value_info(f"{prefix}.y", TensorProto.FLOAT, ("n", None, 6, 6))]
    )


def switch(value: float, inner: bool) -> onnx.ModelProto:
    """If(flag) one network else another; weights in the branches or captured from the main graph."""
    net = Net()
    image = net.op("Relu", "x")
    weights: dict[str, Array] = {}
    branches = [body(name, image, value, weights) for name in ("yes", "no")]
    for name, array in weights.items():
        if inner:
            branch = branches[0] if name.startswith("yes") else branches[1]
            branch.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
        else:
            net.const(array, name)
    output = net.op("If", "flag", then_branch=branches[0], else_branch=branches[1])
    model = net.model(output)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, ("n", 2, 6, 6)))
    model.graph.input.append(helper.make_tensor_value_info("flag", TensorProto.BOOL, []))
    return model


def channels(model: onnx.ModelProto) -> list[int]:
    """How many channels each branch's first convolution makes: the length of its bias."""
    lengths = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer}
    found = []
    for attribute in model.graph.node[-1].attribute:
        lengths |= {tensor.name: tensor.dims[0] for tensor in attribute.g.initializer}
        made = {name: node for node in attribute.g.node for name in node.output}
        conv = next(node for node in attribute.g.node if node.op_type == "Conv")
        name = conv.input[2]
        found.append(int(lengths[made[name].input[0] if name in made else name]))
    return found


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_dead_channels_of_both_branches_go(value: float, inner: bool) -> None:
    model = switch(value, inner)
    before = model.SerializeToString()
    result = simplify(model)
    assert model.SerializeToString() == before
    assert channels(result.model) == [4, 4]
    assert "removed 2 dead channels" in sentences(result)
    plan = {layer.name.removesuffix("_2"): (layer.shape_before, layer.shape_after) for layer in result.layers}
    for branch in ("yes", "no"):
        assert plan[f"{branch}.a"] == ((6, 3, 1, 1), (4, 3, 1, 1))
        assert plan[f"{branch}.b"] == ((2, 6, 1, 1), (2, 4, 1, 1))
    onnx.checker.check_model(result.model, full_check=True)
    image = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    for flag in (True, False):
        feeds = {"x": image, "flag": np.array(flag)}
        (expected,) = run_reference(model, feeds)
        (found,) = runtime.run(runtime.cpu_session(result.model.SerializeToString()), feeds).values()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_standard_may_be_imported_without_its_name() -> None:
    """PyTorch's older exporter leaves the empty domain out of the file, where others write it."""
    model = switch(0.0, inner=True)
    del model.opset_import[:]
    model.opset_import.add().version = 18
    assert not model.opset_import[0].HasField("domain")
    assert channels(simplify(model).model) == [4, 4]


def test_numbers_that_were_computed_keep_what_was_not_rounded() -> None:
    result = simplify(switch(1.5, True))
    kept = [name for name in result.unrounded if "bias" in name or ".b" in name]
    assert len(kept) == 2
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    for name in kept:
        np.testing.assert_array_equal(result.unrounded[name].astype(np.float32), stored[name])


def test_bodies_that_use_the_same_names() -> None:
    same = switch(1.5, True)
    for graph in (attribute.g for attribute in same.graph.node[-1].attribute):
        old = f"{graph.name}."
        for entry in (*graph.initializer, *graph.output):
            entry.name = entry.name.replace(old, "both.")
        for node in graph.node:
            node.input[:] = [name.replace(old, "both.") for name in node.input]
            node.output[:] = [name.replace(old, "both.") for name in node.output]
    result = simplify(same)
    assert len([name for name in result.unrounded if name.startswith("both")]) == 2
    image = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    for flag in (True, False):
        feeds = {"x": image, "flag": np.array(flag)}
        (expected,) = run_reference(same, feeds)
        (found,) = runtime.run(runtime.cpu_session(result.model.SerializeToString()), feeds).values()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_body_in_which_nothing_is_dead_stays_as_it_is() -> None:
    model = switch(0.0, True)
    for attribute in model.graph.node[-1].attribute:
        for tensor in attribute.g.initializer:
            array = np.ones_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    branches = [[node.SerializeToString() for node in a.g.node] for a in model.graph.node[-1].attribute]
    after = simplify(model).model.graph.node[-1].attribute
    assert [[node.SerializeToString() for node in a.g.node] for a in after] == branches


def test_a_loop_runs_a_smaller_body() -> None:
    weights: dict[str, Array] = {}
    inside = body("step", "state", 1.5, weights)
    weights["step.b"] = np.random.default_rng(5).normal(size=(3, 6, 1, 1)) / 4
    inside.node.append(helper.make_node("Identity", ["go"], ["goes"]))
    inside.input.extend([
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, ("n", 3, 6, 6)),
    ])  # fmt: skip
    inside.output.insert(0, helper.make_tensor_value_info("goes", TensorProto.BOOL, []))
    for name, array in weights.items():
        inside.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    net = Net()
    output = net.op("Loop", net.const(np.array(3)), net.const(np.array(True)), "x", body=inside)
    model = net.model(output)
    result = simplify(model)
    assert "removed 2 dead channels" in sentences(result)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)}
    (expected,) = runtime.run(runtime.cpu_session(model.SerializeToString()), feeds).values()
    (found,) = runtime.run(runtime.cpu_session(result.model.SerializeToString()), feeds).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("inner", [True, False])
def test_the_plan_counts_branches_as_they_came_and_no_copy_is_called_unpruned(inner: bool) -> None:
    """What is removed inside of a branch counts as removed, and the model without removal has whole branches."""
    found = simplify(switch(0.5, inner), unpruned=True)
    assert found.unpruned is None
    shapes = {layer.name.removesuffix("_2"): (layer.shape_before, layer.shape_after) for layer in found.layers}
    for name in ("yes", "no"):
        assert shapes[f"{name}.a"][0] == (6, 3, 1, 1)
        assert shapes[f"{name}.a"][1][0] < 6
    whole = simplify(switch(0.5, inner), removal=False, unpruned=True).unpruned
    assert (whole is not None) == COPIES


@pytest.mark.parametrize("dead", [True, False])
def test_a_weight_that_two_branches_read_stays_whole_and_is_named(dead: bool) -> None:
    net = Net(("n", 40))
    weight = net.normal(40, 30)
    weight[:, [3, 7]] = 0 if dead else 1
    first, second = net.const(weight, "first"), net.const(net.normal(30, 5), "second")
    branches = []
    for name in ("yes", "no"):
        nodes = [
            helper.make_node("MatMul", ["x", first], [f"{name}.h"]),
            helper.make_node("Relu" if name == "yes" else "Tanh", [f"{name}.h"], [f"{name}.r"]),
            helper.make_node("MatMul", [f"{name}.r", second], [f"{name}.y"]),
        ]
        value = helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, ("n", 5))
        branches.append(helper.make_graph(nodes, name, [], [value]))
    model = net.model(net.op("If", "flag", then_branch=branches[0], else_branch=branches[1]))
    model.graph.input.append(helper.make_tensor_value_info("flag", TensorProto.BOOL, []))
    found = simplify(model)
    assert [tuple(t.dims) for t in found.model.graph.initializer if t.name == "first"] == [(40, 30)]
    assert ("left the weights first whole" in sentences(found)) == dead
