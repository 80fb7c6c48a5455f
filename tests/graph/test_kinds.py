"""Inputs that are no numbers of a known shape: what is made up for them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.proving.feeds import kinds
from edgeticket.graph.proving.feeds.probes import probes

ML = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
OUT = [helper.make_tensor_value_info("y", TensorProto.INT64, None)]


def _encoder(shape: list[int | str | None]) -> onnx.ModelProto:
    node = helper.make_node(
        "LabelEncoder", ["s"], ["y"], domain="ai.onnx.ml", keys_strings=["red", "green"], values_int64s=[3, 4]
    )
    port = helper.make_tensor_value_info("s", TensorProto.STRING, shape)
    return helper.make_model(helper.make_graph([node], "g", [port], OUT), opset_imports=ML, ir_version=9)


def test_texts_are_drawn_from_what_the_model_knows() -> None:
    made = probes(_encoder(["n", 40]))
    drawn = {text for probe in made for text in probe.feed["s"].reshape(-1).tolist()}
    assert {"red", "green", "", "lottery"} <= drawn
    assert all(probe.feed["s"].dtype.kind == "U" for probe in made)
    assert {probe.feed["s"].shape for probe in made} == {(2, 40), (1, 40), (7, 40)}
    again = probes(_encoder(["n", 40]))
    assert all(np.array_equal(one.feed["s"], two.feed["s"]) for one, two in zip(made, again, strict=True))


def test_vocabularies_are_found_in_constants_and_branches_too() -> None:
    colour = numpy_helper.from_array(np.array(["blue"], object), "c")
    inner = helper.make_node("CategoryMapper", ["s"], ["y"], domain="ai.onnx.ml", cats_strings=["mauve"])
    branch = helper.make_graph([inner], "branch", [], OUT)
    graph = helper.make_graph([helper.make_node("If", ["b"], ["y"], then_branch=branch)], "g", [], OUT, [colour])
    assert {"blue", "mauve"} <= set(kinds.vocabulary(graph))


def test_sentences_where_an_operator_takes_them_apart() -> None:
    rng = np.random.default_rng(0)
    words = ("one", "two")
    assert any(" " in text for text in kinds.texts(rng, (50,), words, "normal", whole=True).tolist())
    assert not any(" " in text for text in kinds.texts(rng, (50,), words, "normal", whole=False).tolist())
    assert kinds.texts(rng, (2, 0), words, "normal", whole=False).shape == (2, 0)


def test_an_unknown_rank_is_guessed_from_the_first_layer() -> None:
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", [port], out, [weight])
    made = probes(helper.make_model(graph, opset_imports=ML, ir_version=9))
    assert made[0].feed["x"].shape == (2, 3, 32, 32)


def test_an_optional_takes_a_tensor() -> None:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4]))
    nodes = [helper.make_node("OptionalGetElement", ["o"], ["y"])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", [helper.make_value_info("o", kind)], out)
    assert probes(helper.make_model(graph, opset_imports=ML, ir_version=9))[0].feed["o"].shape == (2, 4)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)), "seq(tensor(float))"),
        (helper.make_map_type_proto(8, helper.make_tensor_type_proto(1, None)), "map(string,tensor(float))"),
        (helper.make_tensor_type_proto(TensorProto.BFLOAT16, [1]), "tensor(bfloat16)"),
        (helper.make_tensor_type_proto(99, [1]), "tensor(type 99)"),
    ],
)
def test_what_is_not_made_up_is_named(kind: onnx.TypeProto, name: str) -> None:
    graph = helper.make_graph([], "g", [helper.make_value_info("q", kind)], OUT)
    assert f"'q' is {name}" in kinds.unmade(graph)
    assert not kinds.unmade(_encoder([2]).graph)
