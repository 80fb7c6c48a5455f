"""probes.py: inputs that run, that differ, and that are the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from proofs import prove_feeds
from storage_models import convnet, lenet, model, node, product

from edgeticket.errors import InputError, ModelError
from edgeticket.graph.proving.feeds.declared import MOST_ELEMENTS
from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.storing.storage import store


def test_every_kind_and_several_batches() -> None:
    found = {probe.name: probe.feed["input"] for probe in probes(lenet())}
    assert [found[f"normal, batch {n}"].shape for n in (1, 2, 7)] == [(1, 784), (2, 784), (7, 784)]
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert np.all(found["zeros"] == 0)
    assert np.all(found["negative"] < 0)
    assert np.max(np.abs(found["large"])) > 1e4
    assert 0 < np.max(np.abs(found["denormal"])) < np.finfo(np.float32).tiny


def test_they_are_the_same_each_time() -> None:
    first, second = probes(convnet()), probes(convnet())
    assert [p.name for p in first] == [p.name for p in second]
    assert all(a.feed["x"].tobytes() == b.feed["x"].tobytes() for a, b in zip(first, second, strict=True))


def test_a_stored_model_is_proved_on_them() -> None:
    for proto in (lenet(), convnet()):
        feeds = [probe.feed for probe in probes(proto)]
        assert prove_feeds(proto, store(proto).serialized(), feeds, samples=feeds).proved


def test_open_dimensions_are_guessed_until_the_model_runs() -> None:
    proto = convnet()
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    for axis, name in ((1, "channels"), (2, "height"), (3, "width")):
        dims[axis].dim_param = name
    assert probes(proto)[0].feed["x"].shape == (2, 3, 32, 32)
    given = probes(proto, {"x": (4, 3, 20, 24)})
    assert {probe.feed["x"].shape for probe in given} == {(4, 3, 20, 24)}


def test_a_fixed_batch_is_kept() -> None:
    proto = lenet()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 5
    assert {probe.feed["input"].shape for probe in probes(proto)} == {(5, 784)}


def test_integers_stay_inside_the_table_they_index() -> None:
    nodes = [node("Gather", ["table", "x"], ["y"])]
    proto = model(nodes, {"table": np.ones((9, 4), np.float32)}, {"x": ["n"]})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    found = probes(proto)
    assert max(int(probe.feed["x"].max()) for probe in found) <= 8
    assert any(probe.feed["x"].max() > 1 for probe in found)


def test_booleans_are_drawn_and_strings_are_not() -> None:
    nodes = [node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    proto = model(nodes, {}, {"x": ["n", 3]})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.BOOL
    assert {probe.feed["x"].dtype for probe in probes(proto)} == {np.dtype(np.bool_)}
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    assert probes(proto) == ()


def test_no_guess_that_runs_gives_none() -> None:
    proto = product(np.ones((77, 5), np.float32))
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "features"
    assert probes(proto) == ()
    assert probes(proto, {"x": (3, 77)})


def test_a_shape_for_no_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"no input 'image'.* x"):
        probes(convnet(), {"image": (1, 3, 16, 16)})


def test_inputs_with_a_default_are_left_to_it() -> None:
    proto = product(np.ones((30, 5), np.float32))
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [30, 5]))
    assert set(probes(proto)[0].feed) == {"x"}


def _wrong(op: str, inputs: list[str], weight: tuple[int, ...], dims: list[int | str], **attributes: int) -> ModelProto:
    return model([node(op, inputs, ["y"], **attributes)], {"w": np.ones(weight, np.float32)}, {"x": dims})


@pytest.mark.parametrize(
    "proto",
    [
        _wrong("Conv", ["x", "w"], (4, 3, 3, 3), [4]),
        _wrong("Conv", [], (4, 3, 3, 3), ["n", 3, 8, 8]),
        _wrong("Conv", ["x"], (4, 3, 3, 3), ["n", 3, 8, 8]),
        _wrong("Gather", [], (9, 4), ["n"]),
        _wrong("Gather", ["w", "x"], (9, 4), ["n"], axis=7),
    ],
)
def test_a_graph_that_makes_no_sense_is_for_the_runtime_to_refuse(proto: ModelProto) -> None:
    with pytest.raises(ModelError, match="cannot load it"):
        probes(proto)


def test_a_graph_that_the_runtime_takes_is_read_with_care() -> None:
    """Without shapes of its own to go by, the runtime finds out about the rank only when it runs."""
    proto = _wrong("Conv", ["x", "w"], (4, 3, 3, 3), ["n", "channels", "height", "width"])
    assert probes(proto)[0].feed["x"].shape[1] == 3
    proto.graph.input[0].type.tensor_type.shape.ClearField("dim")  # a scalar
    with pytest.raises(ModelError):
        probes(proto)


def test_a_negative_dimension_is_an_open_one() -> None:
    proto = lenet()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -5
    assert {probe.feed["input"].shape[0] for probe in probes(proto)} == {1, 2, 7}


def test_nobody_runs_out_of_memory_for_a_declared_size() -> None:
    proto = lenet()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 10**12
    assert probes(proto) == ()
    for shape in ((MOST_ELEMENTS, 784), (-1, 784)):
        with pytest.raises(InputError, match="product at most"):
            probes(proto, {"input": shape})


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ((2, 783), "'input': axis 1 is 784 in the model; give the same"),
        ((784,), "declares 2 axes for it; give the same"),
    ],
)
def test_a_shape_that_the_model_contradicts_is_refused(shape: tuple[int, ...], fault: str) -> None:
    """It was tried, did not run, and the advice was to give a shape."""
    with pytest.raises(InputError, match=fault):
        probes(lenet(), {"input": shape})
    assert probes(lenet(), {"input": (3, 784)})[0].feed["input"].shape == (3, 784)


@pytest.mark.parametrize(("zeros", "known_alone"), [(0, True), (1, False)])
def test_words_are_those_that_an_encoder_takes(zeros: int, known_alone: bool) -> None:
    """With zeros = 0 an encoder takes a category that it does not know for an error."""
    known = ["red", "green", "blue"]
    encoder = node("OneHotEncoder", ["column"], ["wide"], domain="ai.onnx.ml", cats_strings=known, zeros=zeros)
    nodes = [node("Gather", ["words", "first"], ["column"], axis=1), encoder, node("Squeeze", ["wide", "axis"], ["y"])]
    proto = model(nodes, {"first": np.array([0]), "axis": np.array([1])}, {"words": ["n", 2]})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    drawn = {str(word) for probe in probes(proto) for word in probe.feed["words"].reshape(-1)}
    assert drawn
    assert (drawn <= set(known)) == known_alone


def test_numbers_without_an_axis_may_be_the_ends_of_a_band() -> None:
    """A network that looks for a pitch gives NaN where nothing lies between its two numbers."""
    nodes = [
        node("Greater", ["bins", "low"], ["above"]),
        node("Less", ["bins", "high"], ["below"]),
        node("And", ["above", "below"], ["inside"]),
        node("Cast", ["inside"], ["weights"], to=TensorProto.FLOAT),
        node("Mul", ["x", "weights"], ["heard"]),
        node("ReduceSum", ["heard"], ["sum"]),
        node("ReduceSum", ["weights"], ["count"]),
        node("Div", ["sum", "count"], ["y"]),
    ]
    proto = model(nodes, {"bins": np.array([100, 200, 400], np.float32)}, {"x": ["n", 3], "low": [], "high": []})
    found = probes(proto)[0].feed
    assert found["low"] < 100
    assert found["high"] > 400
    assert found["low"].shape == ()
    plain = model([node("Mul", ["x", "low"], ["y"])], {}, {"x": ["n", 3], "low": []})
    assert abs(probes(plain)[0].feed["low"]) < 10, "any other number is drawn"
