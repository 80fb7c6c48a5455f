"""Functions are inlined where that shows something to pack, and left where it would only repeat them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from storage_models import model, node, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify
from edgeticket.graph.smallest import functions_left_where_smaller
from edgeticket.graph.storing.storage import store

CALLS = 12


def _called_often(weight: NDArray[Any]) -> onnx.ModelProto:
    """y = relu(x w) again and again, by a function that holds w."""
    body = [
        node("Constant", [], ["w"], value=numpy_helper.from_array(weight)),
        node("MatMul", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["y"]),
    ]
    names = ["x", *(f"h{index}" for index in range(1, CALLS)), "y"]
    nodes = [node("Block", [names[i]], [names[i + 1]], domain="local") for i in range(CALLS)]
    proto = model(nodes, {}, {"x": ["n", 40]})
    imports = [helper.make_opsetid("", 18)]
    proto.functions.append(helper.make_function("local", "Block", ["x"], ["y"], body, imports))
    proto.opset_import.append(helper.make_opsetid("local", 1))
    return proto


@pytest.mark.parametrize("dense", [False, True])
def test_no_file_grows_by_its_functions(dense: bool) -> None:
    rng = np.random.default_rng(0)
    weight = (0.2 * rng.normal(size=(40, 40))).astype(np.float32)
    if not dense:  # no row or column is empty, so that no unit is dead
        weight = pruned(rng, (40, 40), 120) + np.eye(40, dtype=np.float32)
    proto = _called_often(weight)
    simplified = simplify(proto)
    inlined = (simplified, store(simplified.model))
    simplified, stored = functions_left_where_smaller(proto, inlined, "auto", "fp32")
    assert len(stored.serialized()) <= len(serialize(proto))
    assert bool(stored.model.functions) is dense
    assert any("left 1 model-local function alone" in note.sentence for note in simplified.notes) is dense
    if not dense:  # the weight rests once, not once a call
        assert 3 * len(stored.serialized()) < len(serialize(proto))
    x = {"x": rng.normal(size=(3, 40)).astype(np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(each)), x)["y"] for each in (proto, stored.model))
    assert before.tobytes() == after.tobytes()


def test_a_model_without_functions_is_as_it_was() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {}, {"x": ["n", 4]})
    simplified = simplify(proto)
    inlined = (simplified, store(simplified.model))
    assert functions_left_where_smaller(proto, inlined, "auto", "fp32") is inlined
