"""A graph that the runtime refuses: what breaks the standard is told from what only we do not know."""

from __future__ import annotations

import numpy as np
import pytest
from nets import OLD_ONNX
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.reading.validity import fault_of
from edgeticket.graph.simplify import simplify


def _fault(*nodes: tuple[str, list[str], list[str]], domain: str = "", **attributes: object) -> str:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = [helper.make_node(kind, inputs, outputs, domain=domain, **attributes) for kind, inputs, outputs in nodes]
    opsets = [helper.make_opsetid(name, version) for name, version in (("", 18), ("ai.onnx.ml", 3), ("some.where", 1))]
    return fault_of(helper.make_model(helper.make_graph(made, "g", [x], [y]), opset_imports=opsets, ir_version=9))


@pytest.mark.parametrize(
    ("kind", "inputs", "word"),
    [
        ("Flatten", [""], "empty"),
        ("Conv", ["x"], "input size"),
        pytest.param(
            "Conv", ["x", "x"], "3 dimensions", marks=pytest.mark.skipif(OLD_ONNX, reason="its inference says nothing")
        ),
    ],
)
def test_what_breaks_the_standard_is_said(kind: str, inputs: list[str], word: str) -> None:
    assert word in _fault((kind, inputs, ["y"]))


def test_attributes_are_held_to_the_definition() -> None:
    assert "alpha" in _fault(("Relu", ["x"], ["y"]), alpha=1.0)


def test_what_is_fine_or_unknown_is_no_fault() -> None:
    assert _fault(("Relu", ["x"], ["y"])) == ""
    assert _fault(("NotYetInvented", ["x"], ["y"])) == ""
    assert _fault(("Strange", ["x"], ["y"]), domain="some.where") == ""


def test_an_operator_whose_inference_ends_the_process_is_passed_over() -> None:
    """onnx 1.23 reads the type of LabelEncoder's input, which here comes from an operator that nobody knows."""
    encoder = helper.make_node("LabelEncoder", ["t"], ["y"], domain="ai.onnx.ml", keys_int64s=[1], values_int64s=[2])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    graph = helper.make_graph([helper.make_node("Odd", ["x"], ["t"], domain="some.where"), encoder], "g", [x], [y])
    opsets = [helper.make_opsetid(name, 1 if name == "some.where" else 3) for name in ("ai.onnx.ml", "some.where")]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), *opsets], ir_version=9)
    assert fault_of(model) == ""
    assert [node.op_type for node in model.graph.node] == ["Odd", "LabelEncoder"]


def test_shapes_behind_such_an_operator_are_known_where_its_input_is() -> None:
    """Words that are looked up in a table: without the rank of the rows nothing dead behind them was removed."""
    rng = np.random.default_rng(0)
    encoder = helper.make_node(
        "LabelEncoder", ["words"], ["rows"], domain="ai.onnx.ml", keys_strings=["a", "b"], values_int64s=[1, 2]
    )
    nodes = [
        encoder,
        helper.make_node("Gather", ["table", "rows"], ["x"]),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    weights = {"table": rng.normal(size=(5, 8)), "w": rng.normal(size=(8, 24)), "v": rng.normal(size=(24, 4))}
    weights["v"][8:] = 0
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("words", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    simplified = simplify(helper.make_model(graph, opset_imports=opsets, ir_version=9))
    assert {layer.name: layer.shape_after for layer in simplified.layers} == {"w": (8, 8), "v": (8, 4)}
    assert next(node.op_type for node in simplified.model.graph.node) == "LabelEncoder"
