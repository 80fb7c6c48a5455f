"""Bodies of two models are the same node for node, or they are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.proving.static.bodies import bodies_of, digests

FLOAT = TensorProto.FLOAT


def _model(
    body: list[onnx.NodeProto], stored: dict[str, float], inside: dict[str, float] | None = None
) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("y", FLOAT, None)
    kept = [numpy_helper.from_array(np.float32(number), name) for name, number in (inside or {}).items()]
    then = helper.make_graph(body, "then", [], [helper.make_tensor_value_info("t", FLOAT, None)], kept)
    other = helper.make_graph(
        [helper.make_node("Neg", ["h"], ["e"])], "else", [], [helper.make_tensor_value_info("e", FLOAT, None)]
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Identity", ["r"], ["h"]),
        helper.make_node("If", ["c"], ["y"], "choice", then_branch=then, else_branch=other),
    ]
    ports = [helper.make_tensor_value_info("x", FLOAT, [2]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    tensors = [numpy_helper.from_array(np.float32(number), name) for name, number in stored.items()]
    return helper.make_model(helper.make_graph(nodes, "g", ports, [value], tensors))


def _then(model: onnx.ModelProto) -> onnx.GraphProto:
    return next(each.g for each in model.graph.node[2].attribute if each.name == "then_branch")


def _usual() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["k"], value_float=2.0),
        helper.make_node("Mul", ["h", "k"], ["m"]),
        helper.make_node("Add", ["m", "w"], ["t"]),
    ]
    return _model(nodes, {"w": 3.0})


def _same_otherwise_written() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["r", "two"], ["other"], "a name", doc_string="said"),
        helper.make_node("Identity", ["other"], ["again"]),
        helper.make_node("Add", ["again", "three"], ["t"]),
    ]
    return _model(nodes, {"three": 3.0}, {"two": 2.0})


def _numbers() -> onnx.ModelProto:
    model = _usual()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.float32(3.0001), "w"))
    return model


def _operator() -> onnx.ModelProto:
    model = _usual()
    _then(model).node[2].op_type = "Sub"
    return model


def _places() -> onnx.ModelProto:
    model = _usual()
    _then(model).node[2].input[:] = ["w", "m"]
    return model


def _attribute() -> onnx.ModelProto:
    model = _usual()
    _then(model).node[1].attribute.append(helper.make_attribute("alpha", 0.1))
    return model


def _captured() -> onnx.ModelProto:
    model = _usual()
    _then(model).node[1].input[0] = "x"
    return model


def _nobody_knows() -> onnx.ModelProto:
    model = _usual()
    _then(model).node[1].input[0] = "missing"
    return model


def test_names_constants_and_repetitions_do_not_count() -> None:
    assert digests(_usual(), {}) == digests(_same_otherwise_written(), {})
    body = [helper.make_node("Exp", ["h"], ["t"])]
    renamed = _model([helper.make_node("Exp", ["r2"], ["t"])], {})
    renamed.graph.node[0].output[0] = renamed.graph.node[1].input[0] = "r2"
    assert digests(_model(body, {}), {})["y", "then_branch"] != digests(renamed, {})["y", "then_branch"]
    assert digests(_model(body, {}), {"r": "r2"}) == digests(renamed, {})


@pytest.mark.parametrize("other", [_numbers, _operator, _places, _attribute, _captured])
def test_all_that_computes_counts(other: Callable[[], onnx.ModelProto]) -> None:
    usual, found = digests(_usual(), {}), digests(other(), {})
    assert usual["y", "else_branch"] == found["y", "else_branch"]
    assert usual["y", "then_branch"] != found["y", "then_branch"]


def test_what_is_not_known_is_never_the_same() -> None:
    assert digests(_nobody_knows(), {})["y", "then_branch"] != digests(_nobody_knows(), {})["y", "then_branch"]


def test_the_branches_around_a_body_are_known() -> None:
    inner = _usual().graph.node[2]
    inner.output[0] = "t"
    model = _model([inner], {"w": 3.0})
    found = {body: place.branches for body, place in bodies_of(model.graph)}
    outer = ("y", "then_branch")
    assert found == {
        outer: (outer,),
        ("t", "then_branch"): (outer, ("t", "then_branch")),
        ("t", "else_branch"): (outer, ("t", "else_branch")),
        ("y", "else_branch"): (("y", "else_branch"),),
    }
