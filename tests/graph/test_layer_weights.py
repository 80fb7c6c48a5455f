"""The weights of layers: behind DequantizeLinear and views, in subgraphs, with zeros counted as the layer sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper
from proofs import check_stored_weights
from quantized_models import SHAPES, qdq_network, qoperator_network
from storage_models import model, node, pruned

from edgeticket.errors import ProofError
from edgeticket.graph.counts import count
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing.storage import store

NONZEROS = {name: int(np.prod(shape)) // 10 for name, shape in SHAPES.items()}


def _weights(proto: onnx.ModelProto) -> dict[str, tuple[str, int]]:
    read = ir.from_proto(proto)
    assert isinstance(read, ir.Model)
    return {weight.value.name or "": (weight.node.op_type, weight.nonzeros) for weight in layer_weights(read.graph)}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("network", [qdq_network, qoperator_network])
def test_zeros_of_quantised_weights_are_their_zero_points(
    network: Any, dtype: Any, per_channel: bool, tmp_path: Path
) -> None:
    proto = network(dtype, per_channel)
    convolution, product = ("Conv", "MatMul") if network is qdq_network else ("QLinearConv", "MatMulInteger")
    layers = simplify(proto).layers
    assert [(layer.name, layer.op) for layer in layers] == [
        ("c1.q", convolution), ("c2.q", convolution), ("fc.q", product),
    ]  # fmt: skip
    for layer in layers:
        expected = NONZEROS[layer.name.removesuffix(".q")]
        assert 0.9 * expected <= layer.nonzeros_after == layer.nonzeros_before <= expected  # some round to zero
    stored = store(proto)
    onnx.save(stored.model, tmp_path / "m.onnx")
    counted = count(tmp_path / "m.onnx", {"x": [1, 3, 12, 12]})
    assert counted.weights == sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert counted.nonzeros == sum(layer.nonzeros_after for layer in layers)
    assert check_stored_weights(stored.serialized(), layers) == ()


def test_a_quantised_weight_that_lost_a_number_is_refuted() -> None:
    proto = qdq_network(np.uint8, True)
    layers = simplify(proto).layers
    for tensor in proto.graph.initializer:
        if tensor.name == "c2.q":
            array = numpy_helper.to_array(tensor).copy()
            zeros = next(numpy_helper.to_array(each) for each in proto.graph.initializer if each.name == "c2.zero")
            where = np.argwhere(array != zeros.reshape(-1, 1, 1, 1))[0]
            array[tuple(where)] = zeros[where[0]]
            tensor.CopyFrom(numpy_helper.from_array(array, "c2.q"))
    with pytest.raises(ProofError, match=r"c2\.q.*nonzeros"):
        check_stored_weights(store(proto).serialized(), layers)


def test_weights_behind_views_are_seen() -> None:
    rng = np.random.default_rng(0)
    weight = pruned(rng, (20, 30), 60)
    nodes = [node("Transpose", ["w"], ["t"]), node("MatMul", ["x", "t"], ["y"])]
    assert _weights(model(nodes, {"w": weight}, {"x": ["n", 30]})) == {"w": ("MatMul", 60)}
    codes, scale = (weight * 100).astype(np.int8), np.array(0.01, np.float32)
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), node("Transpose", ["w"], ["t"])]
    nodes += [node("MatMul", ["x", "t"], ["y"])]
    found = _weights(model(nodes, {"q": codes, "s": scale}, {"x": ["n", 30]}))
    assert found == {"q": ("MatMul", int(np.count_nonzero(codes)))}


def test_zero_points_that_are_computed_leave_the_weight_out() -> None:
    nodes = [node("DynamicQuantizeLinear", ["x"], ["u", "s", "z"]), node("MatMulInteger", ["u", "q", "z", "z"], ["i"])]
    nodes += [node("Cast", ["i"], ["y"], to=1)]
    assert _weights(model(nodes, {"q": np.ones((8, 8), np.uint8)}, {"x": ["n", 8]})) == {}
