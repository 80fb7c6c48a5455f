"""Tables that a few nodes make of a few numbers get their nodes back; what layers and passes need stays folded."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net, feed
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeticket import runtime
from edgeticket.graph import simplify as simplifying
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing.storage import store

Array = NDArray[Any]
SIZE = 96


def _net() -> Net:
    return Net((1, SIZE, SIZE))


def _angles(net: Net, size: int = SIZE) -> str:
    """Angles [size, size]: the product of two ranges, divided."""
    limits = [net.const(np.array(number, np.float32), kept=True) for number in (0, size, 1)]
    column = net.op("Unsqueeze", net.op("Range", *limits), net.const(np.array([1])))
    row = net.op("Unsqueeze", net.op("Range", *limits), net.const(np.array([0])))
    return net.op("Div", net.op("Mul", column, row), net.const(np.float32(size)))


def runs(model: onnx.ModelProto) -> list[bytes]:
    """The outputs on ONNX Runtime, bit by bit."""
    found = runtime.run(runtime.cpu_session(serialize(model)), feed(model))
    return [array.tobytes() for array in found.values()]


def _operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer}


def test_a_table_of_positions_is_not_folded_into_the_file() -> None:
    net = _net()
    angles = _angles(net)
    given = net.model(net.op("Add", net.op("Mul", "x", net.op("Cos", angles)), net.op("Sqrt", angles)))
    simplified = simplify(given)
    assert max(_sizes(simplified.model).values()) <= 64
    assert _operators(simplified.model).count("Mul") == 2, "what two tables begin with stands in the file once"
    assert len(store(with_short_names(simplified).model).serialized()) < len(serialize(given)) + 100
    assert runs(simplified.model) == runs(given)
    assert serialize(simplify(given).model) == serialize(simplified.model)
    again = simplify(simplified.model)
    assert serialize(with_short_names(again).model) == serialize(with_short_names(simplified).model)


def test_a_small_table_stays_folded() -> None:
    net = Net((1, 8, 8))
    simplified = simplify(net.model(net.op("Mul", "x", _angles(net, 8))))
    assert _operators(simplified.model) == ["Mul"]


@pytest.mark.parametrize("reader", ["MatMul", "LayerNormalization"])
def test_what_a_layer_or_a_normalisation_reads_stays_folded(reader: str) -> None:
    net = _net()
    angles = _angles(net)
    tensors = [angles]
    if reader == "LayerNormalization":
        limits = [net.const(np.array(number, np.float32), kept=True) for number in (0, SIZE * SIZE, 1)]
        tensors = [net.op("Reshape", net.op("Range", *limits), net.const(np.array([SIZE, SIZE])))]
    attributes = {"axis": 1} if reader == "LayerNormalization" else {}
    simplified = simplify(net.model(net.op(reader, "x", *tensors, **attributes)))
    assert _operators(simplified.model) == [reader]


def test_a_table_that_a_pass_changed_stays_folded() -> None:
    net = _net()
    table = net.op("Mul", _angles(net), net.const(np.float32(1e-42), kept=True))  # denormal: flushed to zero
    simplified = simplify(net.model(net.op("Add", "x", table)))
    assert "Range" not in _operators(simplified.model)


def test_what_is_larger_than_its_nodes_but_nothing_but_one_value_is_left_to_packing() -> None:
    net = _net()
    ones = net.op("Expand", net.const(np.float32([2.5])), net.const(np.array([1, SIZE, SIZE])))
    simplified = simplify(net.model(net.op("Mul", "x", ones)))
    assert _operators(simplified.model) == ["Mul"]
    assert len(store(simplified.model).serialized()) < 500


def test_a_table_of_a_large_constant_stays_folded() -> None:
    net = _net()
    wide = net.op("Tile", net.const(net.normal(SIZE * 12)), net.const(np.array([8])))
    simplified = simplify(net.model(net.op("Mul", "x", net.op("Reshape", wide, net.const(np.array([SIZE, SIZE]))))))
    assert _operators(simplified.model) == ["Mul"]


def test_where_the_runtime_would_not_fold_the_nodes_the_table_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    net = _net()
    given = net.model(net.op("Mul", "x", _angles(net)))
    monkeypatch.setattr(simplifying, "unfolded", lambda _, names: frozenset(names))
    simplified = simplify(given)
    assert _operators(simplified.model) == ["Mul"]
    assert runs(simplified.model) == runs(given)
    assert len([note for note in simplified.notes if note.pass_name == "fold-constants"]) == 1
