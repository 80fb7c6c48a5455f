"""Outputs that are no tensors of numbers, as arrays: what an artifact holds of them, and what they are compared by."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgeticket import runtime
from edgeticket.artifact import checks, outputs
from edgeticket.artifact.golden import packed

NESTED: list[Any] = [
    [{1: 0.5, 7: 0.25}, {1: 1.0, 7: 2.0}],
    {"a": np.ones((2, 3), np.float32), "b": np.zeros((1,), np.float32)},
    [np.array(["x", "longer"], object)],
    [],
    None,
    [[np.array(3)], []],
]


@pytest.mark.parametrize("value", NESTED)
def test_what_nests_becomes_numbers_and_a_text_that_an_npz_holds(value: Any) -> None:
    found = checks.flattened({"y": value})
    assert list(found) == ["y", "y (structure)"]
    assert found["y"].ndim == 1
    with np.load(io.BytesIO(packed(found)), allow_pickle=False) as arrays:
        for name, array in found.items():
            np.testing.assert_array_equal(arrays[name], array)


def test_the_structure_says_how_the_numbers_belong_together() -> None:
    found = checks.flattened({"y": NESTED[0]})
    assert json.loads(str(found["y (structure)"])) == [{"keys": [1, 7], "values": ["float64[]", "float64[]"]}] * 2
    assert found["y"].tolist() == [0.5, 0.25, 1.0, 2.0]
    assert json.loads(str(checks.flattened({"y": NESTED[1]})["y (structure)"]))["values"][0] == "float32[2, 3]"
    assert str(checks.flattened({"y": None})["y (structure)"]) == "null"


def test_other_keys_or_another_nesting_are_seen() -> None:
    structures = [str(checks.flattened({"y": value})["y (structure)"]) for value in NESTED]
    structures.append(str(checks.flattened({"y": [{1: 0.5, 8: 0.25}, {1: 1.0, 8: 2.0}]})["y (structure)"]))
    assert len(set(structures)) == len(structures)


def test_tensors_stay_and_texts_are_unicode() -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    found = checks.flattened({"y": numbers, "t": np.array([["é", "no"]], object)})
    assert found["y"] is numbers
    assert found["t"].dtype.kind == "U"
    assert found["t"].tolist() == [["é", "no"]]


def test_a_session_is_asked_once_for_what_was_flattened() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SplitToSequence", ["x"], ["y"], axis=1), helper.make_node("Neg", ["x"], ["z"])]
    ports = [y, helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 4])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], ports), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    running = runtime.cpu_session(model.SerializeToString())
    feed = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
    assert list(outputs.run(running, feed)) == ["y", "y (structure)", "z"]
    found = outputs.run(running, feed, ["z", "y (structure)"])
    assert list(found) == ["z", "y (structure)"]
    assert json.loads(str(found["y (structure)"])) == ["float32[2, 1]"] * 4
    again = checks.outputs_of(running, feed, ["y", "y (structure)"])
    assert again[0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.parametrize(
    ("got", "wanted", "delta"),
    [(["a"], ["a"], 0.0), (["a"], ["b"], np.inf), (["a", "b"], ["a"], np.inf)],
)
def test_texts_are_alike_or_not(got: list[str], wanted: list[str], delta: float) -> None:
    assert checks.max_delta(np.array(got), np.array(wanted)) == delta
    assert checks.largest(np.array(got)) == 0
