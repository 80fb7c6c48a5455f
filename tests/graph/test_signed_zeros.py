"""Negative zeros stay wherever an operator makes of them another number than of 0, however far behind it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from storage_models import model, node, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing.storage import store
from edgeticket.graph.storing.zeros import signed_zeros

Array = NDArray[Any]
_DIVIDING = {
    "gather": [node("Gather", ["w", "i"], ["g"]), node("Div", ["one", "g"], ["y"])],
    "product": [node("Mul", ["w", "x"], ["g"]), node("Reciprocal", ["g"], ["y"])],
    "sum": [node("Add", ["w", "w"], ["g"]), node("Pow", ["g", "inverse"], ["y"])],
    "sum-of-another": [node("Sub", ["w", "x0"], ["g"]), node("Div", ["x", "g"], ["y"])],
    "moved": [
        node("Expand", ["w", "whole"], ["a"]), node("Concat", ["a", "x"], ["c"], axis=0),
        node("Transpose", ["c"], ["g"]), node("Reciprocal", ["g"], ["y"]),
    ],
    "functions": [
        node("Tanh", ["w"], ["a"]), node("LeakyRelu", ["a"], ["b"]), node("Sqrt", ["b"], ["g"]),
        node("Reciprocal", ["g"], ["y"]),
    ],
    "cubed": [node("Pow", ["w", "three"], ["g"]), node("Reciprocal", ["g"], ["y"])],
    "looked-up-elements": [node("GatherElements", ["w", "rows"], ["g"]), node("Reciprocal", ["g"], ["y"])],
}  # fmt: skip


def _signed() -> Array:
    """A pruned weight half of whose zeros are negative, as a product with a mask leaves them."""
    weight = pruned(np.random.default_rng(0), (64, 16), 200)
    weight[(weight == 0) & (np.arange(16) % 2 == 0)] = -0.0
    return weight


def _network(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    constants = {
        "w": _signed(), "one": np.float32(1), "inverse": np.float32(-1), "three": np.float32(3),
        "whole": np.array([64, 16]), "rows": np.tile(np.arange(64)[:, None], (1, 16)),
    }  # fmt: skip
    read = {name for each in nodes for name in each.input}
    inputs: dict[str, list[Any]] = {name: [64, 16] for name in ("x", "x0") if name in read}
    proto = model(nodes, {name: np.asarray(array) for name, array in constants.items() if name in read}, inputs)
    if "i" in read:
        proto.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, ["n"]))
    return proto


@pytest.mark.parametrize("nodes", _DIVIDING.values(), ids=_DIVIDING.keys())
def test_what_is_divided_by_keeps_the_signs_of_its_zeros(nodes: list[onnx.NodeProto]) -> None:
    proto = _network(nodes)
    stored = store(proto, storage="gaps")
    known: dict[str, Array] = {
        "i": np.arange(64), "x": np.full((64, 16), 1, np.float32), "x0": np.zeros((64, 16), np.float32),
    }  # fmt: skip
    feed = {value.name: known[value.name] for value in proto.graph.input}
    before, after = (runtime.run(runtime.cpu_session(serialize(m)), feed)["y"] for m in (proto, stored.model))
    assert before.tobytes() == after.tobytes()
    assert (before == np.inf).any()
    assert (before == -np.inf).any()


_EVEN = {
    "embedding": [
        node("Gather", ["w", "i"], ["e"]), node("Add", ["e", "x"], ["g"]), node("ReduceMean", ["g"], ["m"]),
        node("Sub", ["g", "m"], ["d"]), node("Pow", ["d", "two"], ["s"]), node("Add", ["s", "eps"], ["v"]),
        node("Sqrt", ["v"], ["r"]), node("Div", ["d", "r"], ["n"]), node("MatMul", ["n", "x"], ["y"]),
    ],
    "epsilon": [node("Abs", ["w"], ["a"]), node("Add", ["eps", "a"], ["v"]), node("Reciprocal", ["v"], ["y"])],
    "squared": [node("Mul", ["w", "w"], ["a"]), node("Reciprocal", ["a"], ["y"])],
    "layer": [node("MatMul", ["x", "w"], ["a"]), node("Reciprocal", ["a"], ["y"])],
    "to-an-output": [node("Mul", ["x", "w"], ["y"])],
    "to-an-integer": [node("Cast", ["w"], ["a"], to=TensorProto.INT32), node("Custom", ["a"], ["y"], domain="mine")],
}  # fmt: skip


@pytest.mark.parametrize("nodes", _EVEN.values(), ids=_EVEN.keys())
def test_zeros_whose_signs_nobody_can_tell_are_left_out(nodes: list[onnx.NodeProto]) -> None:
    constants = {"w": _signed(), "two": np.array(2, np.float32), "eps": np.array(1e-6, np.float32)}
    proto = model(nodes, constants, {"x": [64, 16]})
    assert "w" not in signed_zeros(proto.graph)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Gather", ["w", "i"], ["y"])],
        [node("Mul", ["w", "x"], ["a"]), node("Custom", ["a"], ["y"], domain="mine")],
        [node("Cast", ["w"], ["y"], to=TensorProto.STRING)],
        [node("Pow", ["w", "x"], ["y"])],
    ],
)
def test_zeros_keep_their_signs_where_in_doubt(nodes: list[onnx.NodeProto]) -> None:
    proto = model(nodes, {"w": _signed()}, {"x": [64, 16]})
    assert "w" in signed_zeros(proto.graph)


def test_what_the_body_of_a_branch_gives_out_keeps_the_signs_of_its_zeros() -> None:
    shape = helper.make_tensor_value_info("t", TensorProto.FLOAT, [64, 16])
    bodies = [helper.make_graph([node("Identity", [name], ["t"])], "body", [], [shape]) for name in ("w", "x")]
    branch = helper.make_node("If", ["yes"], ["a"], then_branch=bodies[0], else_branch=bodies[1])
    proto = model([branch, node("Reciprocal", ["a"], ["y"])], {"w": _signed()}, {"x": [64, 16]})
    assert "w" in signed_zeros(proto.graph)


@pytest.mark.parametrize("rows", [1, 2, 9])
@pytest.mark.parametrize("depth", [1, 3, 32])
def test_the_runtimes_sums_start_at_zero_so_that_they_are_never_a_negative_zero(rows: int, depth: int) -> None:
    """What zeros.py says of layers' weights: x @ -0 is 0, in matrix products and in convolutions."""
    weight = np.full((depth, 20), -0.0, np.float32)
    nodes = [
        node("MatMul", ["x", "w"], ["m"]), node("Gemm", ["x", "w"], ["g"], alpha=0.5),
        node("Unsqueeze", ["x", "last"], ["pixels"]), node("Conv", ["pixels", "k"], ["c"]),
    ]  # fmt: skip
    constants = {"w": weight, "k": weight.T[:, :, None], "last": np.array([2])}
    proto = model(nodes, constants, {"x": [rows, depth]}, outputs=["m", "g", "c"])
    found = runtime.run(runtime.cpu_session(serialize(proto)), {"x": np.ones((rows, depth), np.float32)})
    for array in found.values():
        assert not array.any()
        assert not np.signbit(array).any()
