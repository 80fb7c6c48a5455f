"""Weights of branches, loops and scans: packed in the main graph, and given back to the operators of their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from proofs import check_stored_weights
from storage_models import model, node, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing import runtime_folds
from edgeticket.graph.storing.storage import store

Array = NDArray[Any]


def _value(name: str, kind: int = TensorProto.FLOAT, shape: list[int] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _layers(mark: str, weights: Mapping[str, Array], *, constants: bool) -> onnx.GraphProto:
    """Conv, Relu, pooling and MatMul over x of the outer graph; `mark` keeps the names of two branches apart."""
    nodes = [
        node("Conv", ["x", "w"], [f"{mark}1"], pads=[1, 1, 1, 1]),
        node("Relu", [f"{mark}1"], [f"{mark}2"]),
        node("GlobalAveragePool", [f"{mark}2"], [f"{mark}3"]),
        node("Flatten", [f"{mark}3"], [f"{mark}4"]),
        node("MatMul", [f"{mark}4", "fc"], [f"{mark}5"]),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    if constants:
        nodes = [*(node("Constant", [], [tensor.name], value=tensor) for tensor in tensors), *nodes]
        tensors = []
    return helper.make_graph(nodes, mark, [], [_value(f"{mark}5")], tensors)


def _branches(*, constants: bool = False, shared: bool = False) -> onnx.ModelProto:
    """If with the weights w and fc in both branches, under the same names."""
    rng = np.random.default_rng(0)
    first, second = ({"w": pruned(rng, (16, 8, 3, 3), 115), "fc": pruned(rng, (16, 60), 96)} for _ in range(2))
    branches = {
        "then_branch": _layers("t", first, constants=constants),
        "else_branch": _layers("e", first if shared else second, constants=constants),
    }
    nodes = [node("ReduceMax", ["x"], ["top"], keepdims=0), node("Cast", ["top"], ["test"], to=TensorProto.BOOL)]
    nodes.append(helper.make_node("If", ["test"], ["y"], **branches))
    return model(nodes, {}, {"x": ["n", 8, 10, 10]})


def _loop() -> onnx.ModelProto:
    """Three times Conv to 16 channels and back to 8: convolutions that the runtime computes in blocks of channels."""
    rng = np.random.default_rng(0)
    weights = {"w1": pruned(rng, (16, 8, 3, 3), 115), "w2": pruned(rng, (8, 16, 3, 3), 115)}
    nodes = [
        node("Conv", ["s", "w1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        node("Identity", ["go"], ["on"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [_value("i", TensorProto.INT64, []), _value("go", TensorProto.BOOL, []), _value("s")],
        [_value("on", TensorProto.BOOL, []), _value("c")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    proto = model(
        [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
        {"times": np.array(3)},
        {"x": [1, 8, 10, 10]},
    )
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


def _scan() -> onnx.ModelProto:
    """A recurrent cell over five steps."""
    rng = np.random.default_rng(0)
    weights = {"w": pruned(rng, (40, 40), 160), "r": pruned(rng, (40, 40), 160)}
    nodes = [
        node("MatMul", ["step", "w"], ["a"]),
        node("MatMul", ["h", "r"], ["b"]),
        node("Add", ["a", "b"], ["c"]),
        node("Tanh", ["c"], ["next"]),
        node("Identity", ["next"], ["out"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [_value("h", shape=[1, 40]), _value("step", shape=[1, 40])],
        [_value("next", shape=[1, 40]), _value("out", shape=[1, 40])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    scan = helper.make_node("Scan", ["zero", "x"], ["last", "y"], body=body, num_scan_inputs=1)
    proto = model([scan], {"zero": np.zeros((1, 40), np.float32)}, {"x": [5, 1, 40]})
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


def _run(proto: onnx.ModelProto) -> list[bytes]:
    running = runtime.cpu_session(serialize(proto))
    shape = [axis if isinstance(axis, int) else 2 for axis in running.get_inputs()[0].shape]
    rng = np.random.default_rng(3)
    feeds = [sign * np.abs(rng.normal(size=shape)).astype(np.float32) for sign in (np.float32(1), np.float32(-1))]
    return [runtime.run(running, {"x": feed}, ["y"])["y"].tobytes() for feed in feeds]


MODELS = {
    "If": _branches,
    "If, Constant nodes": lambda: _branches(constants=True),
    "Loop": _loop,
    "Scan": _scan,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_weights_of_subgraphs_are_packed_and_everything_else_stays(make: Any, tmp_path: Path) -> None:
    proto = make()
    given = serialize(proto)
    simplified = simplify(proto)
    stored = store(simplified.model)
    assert serialize(proto) == given
    assert len(given) > 2.5 * len(stored.serialized())
    assert {tensor.storage for tensor in stored.tensors} == {"gaps"}
    assert _run(stored.model) == _run(proto)
    # blocked convolutions and fused operators are found in the bodies as before, and nothing is rebuilt in them
    assert runtime_folds.same_operators(proto, stored.model)
    assert check_stored_weights(stored.serialized(), simplified.layers) == ()
    assert {layer.name for layer in simplified.layers} == {tensor.name for tensor in stored.tensors} - {"zero"}
    assert any("out of branches and loops" in note.sentence for note in simplified.notes)


def test_what_two_branches_share_rests_once() -> None:
    proto = _branches(shared=True)
    apart, shared = (len(store(simplify(each).model).serialized()) for each in (_branches(), proto))
    assert shared < apart - 4 * 180
    assert _run(store(simplify(proto).model).model) == _run(proto)


def test_names_that_two_branches_bear_become_two() -> None:
    assert sorted(layer.name for layer in simplify(_branches()).layers) == ["fc", "fc_2", "w", "w_2"]


def test_weights_without_zeros_and_small_ones_stay_where_they_are() -> None:
    rng = np.random.default_rng(0)
    full = {"w": rng.normal(size=(16, 8, 3, 3)).astype(np.float32), "fc": pruned(rng, (16, 2), 2)}
    branches = {name: _layers(name[0], full, constants=False) for name in ("then_branch", "else_branch")}
    nodes = [node("ReduceMax", ["x"], ["top"], keepdims=0), node("Cast", ["top"], ["test"], to=TensorProto.BOOL)]
    proto = model([*nodes, helper.make_node("If", ["test"], ["y"], **branches)], {}, {"x": ["n", 8, 10, 10]})
    result = simplify(proto, removal=False).model
    assert not result.graph.initializer
    assert _run(result) == _run(proto)
