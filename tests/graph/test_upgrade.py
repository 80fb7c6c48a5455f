"""Opsets below 11 and weights that are inputs: raised where operators mean the same, else left with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from storage_models import convnet, model, node, product, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing import runtime_folds
from edgeticket.graph.storing.storage import store
from edgeticket.graph.upgrade import upgrade

Array = NDArray[Any]
ONES = np.ones(4, np.float32)


def _opset(proto: onnx.ModelProto) -> int:
    return next(entry.version for entry in proto.opset_import if entry.domain == "")


def _one(nodes: list[onnx.NodeProto], weights: dict[str, Array], opset: int, ir_version: int = 4) -> onnx.ModelProto:
    proto = model(nodes, weights, {"x": [2, 4, 6, 8]}, opset=opset, ir_version=ir_version)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


def _check(proto: onnx.ModelProto) -> None:
    """The checker wants a shape for the output."""
    inferred = onnx.shape_inference.infer_shapes(proto)
    inferred.graph.output[0].type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(inferred)


def _run(proto: onnx.ModelProto) -> list[bytes]:
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32)
    found = runtime.run(runtime.cpu_session(serialize(proto)), {"x": x})
    return [array.tobytes() for array in found.values()]


# operator -> its oldest opset here, initializers, attributes: those that mean the same in opset 11 as they stand
SAME: dict[str, tuple[int, dict[str, Array], dict[str, Any]]] = {
    "AveragePool": (7, {}, {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
    "BatchNormalization": (7, {"a": ONES, "b": ONES, "c": ONES, "d": ONES}, {"epsilon": 1e-3}),
    "Concat": (7, {"a": np.ones((2, 1, 6, 8), np.float32)}, {"axis": 1}),
    "Conv": (7, {"a": np.ones((2, 4, 3, 3), np.float32)}, {"pads": [1, 1, 1, 1]}),
    "ConvTranspose": (7, {"a": np.ones((4, 2, 3, 3), np.float32)}, {"strides": [2, 2]}),
    "DepthToSpace": (7, {}, {"blocksize": 2}),
    "Dropout": (7, {}, {"ratio": 0.3}),
    "Flatten": (7, {}, {"axis": 2}),
    "Gather": (7, {"a": np.array([1, 0])}, {"axis": 1}),
    "Hardmax": (7, {}, {"axis": 2}),
    "LogSoftmax": (7, {}, {"axis": 2}),
    "LpPool": (7, {}, {"kernel_shape": [2, 2]}),
    "Max": (7, {"a": np.ones((2, 4, 6, 8), np.float32)}, {}),
    "MaxPool": (7, {}, {"kernel_shape": [3, 3], "strides": [2, 2]}),
    "PRelu": (7, {"a": np.ones((4, 1, 1), np.float32)}, {}),
    "ReduceMean": (7, {}, {"axes": [2, 3]}),
    "ReduceSum": (7, {}, {"axes": [1], "keepdims": 0}),
    "Softmax": (7, {}, {}),
    "Sum": (8, {"a": ONES.reshape(4, 1, 1)}, {}),
    "Unsqueeze": (7, {}, {"axes": [0]}),
}


@pytest.mark.parametrize("kind", SAME)
def test_operators_that_mean_the_same_are_not_touched(kind: str) -> None:
    oldest, weights, attributes = SAME[kind]
    for version in range(oldest, 11):
        proto = _one([node(kind, ["x", *weights], ["y"], **attributes)], weights, version)
        given = serialize(proto)
        raised, notes = upgrade(proto, convert=False)
        assert serialize(proto) == given
        assert (_opset(raised), raised.ir_version) == (11, 6)
        assert list(raised.graph.node) == list(proto.graph.node)
        assert [note.sentence for note in notes] == [
            f"raised opset {version} to 11, where every operator means the same"
        ]
        assert _run(raised) == _run(proto)
        _check(raised)


REWRITTEN: dict[str, tuple[range, dict[str, Array], dict[str, Any]]] = {
    "Clip": (range(7, 11), {}, {"min": 0.0, "max": 0.5}),
    "Pad": (range(7, 11), {}, {"pads": [0, 0, 1, 2, 0, 0, 1, 2], "mode": "reflect"}),
    "Slice": (range(7, 10), {}, {"starts": [1, -3], "ends": [3, 100], "axes": [1, 3]}),
    "Upsample": (range(9, 10), {"s": np.array([1, 1, 2, 3], np.float32)}, {"mode": "nearest"}),
    "Resize": (range(10, 11), {"s": np.array([1, 1, 2, 1.5], np.float32)}, {"mode": "linear"}),
}


@pytest.mark.parametrize("kind", REWRITTEN)
def test_attributes_that_became_inputs_are_rewritten(kind: str) -> None:
    versions, weights, attributes = REWRITTEN[kind]
    for version in versions:
        proto = _one([node(kind, ["x", *weights], ["y"], **attributes)], weights, version)
        raised, [note] = upgrade(proto, convert=False)
        assert _opset(raised) == 11
        assert note.sentence == f"converted opset {version} to 11, and with it {kind}"
        assert _run(raised) == _run(proto)
        _check(raised)


@pytest.mark.parametrize("version", [7, 8])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample_with_scales_as_attribute(version: int, mode: str) -> None:
    proto = _one([node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 3.0], mode=mode)], {}, version)
    raised, _ = upgrade(proto, convert=False)
    assert _opset(raised) == 11
    assert _run(raised) == _run(proto)


def test_linear_upsample_keeps_its_coordinates() -> None:
    """onnx's converter alone would take half-pixel ones."""
    proto = _one([node("Upsample", ["x", "s"], ["y"], mode="linear")], {"s": np.array([1, 1, 2, 3], np.float32)}, 9)
    raised, _ = upgrade(proto, convert=False)
    assert _run(raised) == _run(proto)


def test_what_may_mean_another_thing_is_kept_unless_asked_for() -> None:
    """A Resize of opset 10 that makes smaller rounds as no mode of opset 11 does."""
    proto = _one([node("Resize", ["x", "s"], ["y"], mode="nearest")], {"s": np.array([1, 1, 0.5, 1], np.float32)}, 10)
    kept, [note] = upgrade(proto, convert=False)
    assert kept is proto
    assert "kept opset 10: Resize may mean another thing in 11" in note.sentence
    assert "--upgrade-opset" in note.sentence
    converted, [note] = upgrade(proto, convert=True)
    assert _opset(converted) == 11
    assert note.changed == 1


def test_a_mask_of_dropout_that_is_read_is_kept() -> None:
    """It was a float in opset 7 and is a boolean later."""
    nodes = [node("Dropout", ["x"], ["a", "m"]), node("Mul", ["a", "m"], ["y"])]
    assert _opset(upgrade(_one(nodes, {}, 7), convert=False)[0]) == 7
    unread = [node("Dropout", ["x"], ["a", "m"]), node("Relu", ["a"], ["y"])]
    assert _opset(upgrade(_one(unread, {}, 7), convert=False)[0]) == 11


def test_attributes_that_say_the_default_fall_away() -> None:
    weights = dict.fromkeys("abcd", ONES)
    for spatial, expected in ((1, 11), (0, 7)):
        proto = _one([node("BatchNormalization", ["x", *weights], ["y"], spatial=spatial)], weights, 7)
        raised, _ = upgrade(proto, convert=False)
        assert _opset(raised) == expected
        if spatial:
            assert _run(raised) == _run(proto)


def test_operators_of_other_domains_and_unknown_ones() -> None:
    proto = _one([node("Mystery", ["x"], ["y"], domain="some.where")], {}, 9)
    proto.opset_import.append(helper.make_opsetid("some.where", 1))
    assert _opset(upgrade(proto, convert=False)[0]) == 11
    unknown = _one([node("Mystery", ["x"], ["y"])], {}, 9)
    kept, [note] = upgrade(unknown, convert=False)
    assert kept is unknown
    assert "Mystery" in note.sentence
    kept, [note] = upgrade(unknown, convert=True)
    assert kept is unknown
    assert "onnx cannot convert Mystery" in note.sentence


def test_subgraphs_are_looked_into() -> None:
    branches = {
        name: helper.make_graph(
            [node(kind, ["x"], [name], **attributes)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, kind, attributes in (("then_branch", "Relu", {}), ("else_branch", "Clip", {"min": 0.0, "max": 1.0}))
    }
    nodes = [node("ReduceMax", ["x"], ["c"], keepdims=0), node("Cast", ["c"], ["d"], to=TensorProto.BOOL)]
    proto = _one([*nodes, helper.make_node("If", ["d"], ["y"], **branches)], {}, 9)
    raised, _ = upgrade(proto, convert=False)
    assert _run(raised) == _run(proto)


def _listed(proto: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    for tensor in proto.graph.initializer:
        if not names or tensor.name in names:
            proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return proto


@pytest.mark.parametrize(("opset", "ir_version"), [(7, 3), (9, 3), (9, 4), (12, 6)])
def test_weights_that_every_file_of_its_kind_lists_as_inputs_become_constant(opset: int, ir_version: int) -> None:
    proto = convnet(opset)
    proto.ir_version = ir_version
    dense = len(serialize(proto))
    listed = _listed(convnet(opset))
    listed.ir_version = ir_version
    result = simplify(listed)
    assert [value.name for value in result.model.graph.input] == ["x"]
    assert result.model.ir_version >= 4
    assert any(note.sentence.startswith("took 4 weights off the inputs") for note in result.notes)
    stored = store(result.model)
    assert {tensor.storage for tensor in stored.tensors} == {"gaps"}
    assert dense > 4 * len(stored.serialized())
    assert runtime_folds.same_operators(proto, stored.model)
    x = {"x": np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(each)), x)["y"] for each in (proto, stored.model))
    np.testing.assert_allclose(before, after, rtol=0, atol=1e-4 * np.abs(before).max())


def test_some_weights_listed_by_choice_stay_inputs() -> None:
    kept, notes = upgrade(_listed(convnet(), "c2"), convert=False)
    assert [value.name for value in kept.graph.input] == ["x", "c2"]
    assert not notes
    alone = _listed(product(pruned(np.random.default_rng(0), (50, 50), 200)))
    assert upgrade(alone, convert=False) == (alone, [])


def test_states_of_recurrent_layers_stay_inputs() -> None:
    """A caller gives these, and what the file holds is where they start."""
    rng = np.random.default_rng(0)
    weights = {"w": pruned(rng, (1, 32, 6), 40), "r": pruned(rng, (1, 32, 8), 40)}
    states = {"h": np.zeros((1, 2, 8), np.float32), "c": np.zeros((1, 2, 8), np.float32)}
    nodes = [node("LSTM", ["x", "w", "r", "", "", "h", "c"], ["y"], hidden_size=8)]
    proto = _listed(model(nodes, {**weights, **states}, {"x": [3, 2, 6]}, opset=9, ir_version=3))
    freed, _ = upgrade(proto, convert=False)
    assert [value.name for value in freed.graph.input] == ["x", "h", "c"]


def test_newer_models_are_the_same_object() -> None:
    for opset in (11, 18, 22):
        proto = convnet(opset)
        assert upgrade(proto, convert=True) == (proto, [])
