"""Models of every kind that packing knows, from the file to the proved artifact, and how small they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantized_models import qdq_network, qoperator_network
from storage_models import convnet, model, node, pruned

from edgeticket import api
from edgeticket.errors import ProofError
from edgeticket.exporter import Exported

Make = Callable[[], onnx.ModelProto]


def _in_type(kind: int, opset: int = 18) -> onnx.ModelProto:
    """Three products whose weights, inputs and outputs are of one type."""
    rng = np.random.default_rng(0)
    shapes = {"a": (64, 160), "b": (160, 80), "c": (80, 10)}
    weights = {name: pruned(rng, shape, int(np.prod(shape)) // 10) for name, shape in shapes.items()}
    nodes = [
        node("MatMul", ["x", "a"], ["h1"]),
        node("Relu", ["h1"], ["h2"]),
        node("MatMul", ["h2", "b"], ["h3"]),
        node("Relu", ["h3"], ["h4"]),
        node("MatMul", ["h4", "c"], ["y"]),
    ]
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    proto = model(nodes, {name: array.astype(dtype) for name, array in weights.items()}, {"x": ["n", 64]}, opset=opset)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = kind
    return proto


def _bfloat16_at_rest() -> onnx.ModelProto:
    """Weights of bfloat16 that are widened before they are used, since few processors multiply them."""
    proto = _in_type(TensorProto.FLOAT)
    for tensor in proto.graph.initializer:
        name, array = tensor.name, numpy_helper.to_array(tensor)
        dtype = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
        tensor.CopyFrom(numpy_helper.from_array(array.astype(dtype), f"{name}.half"))
        proto.graph.node.insert(0, node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return proto


def _listed(opset: int, ir_version: int) -> onnx.ModelProto:
    proto = convnet(opset)
    proto.ir_version = ir_version
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return proto


# kind -> the model, and how many times smaller its file becomes
KINDS: dict[str, tuple[Make, float]] = {
    "float32": (lambda: _in_type(TensorProto.FLOAT), 9),
    "float16": (lambda: _in_type(TensorProto.FLOAT16), 6),
    "double": (lambda: _in_type(TensorProto.DOUBLE), 10),
    "bfloat16 at rest": (_bfloat16_at_rest, 6),
    "QDQ int8": (lambda: qdq_network(np.int8, True), 2),
    "QDQ uint8": (lambda: qdq_network(np.uint8, False), 2),
    "QOperator uint8": (lambda: qoperator_network(np.uint8, True), 2.5),
    "opset 7": (lambda: convnet(7), 5),
    "opset 10, IR 3": (lambda: _listed(10, 3), 5),
    "opset 9, all weights listed": (lambda: _listed(9, 4), 5),
}


def _export(proto: onnx.ModelProto, folder: Path, **options: Any) -> Exported:
    onnx.save(proto, folder / "m.onnx")
    return api.export(folder / "m.onnx", out=folder / "a", bench=False, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_small_and_is_proved(kind: str, tmp_path: Path) -> None:
    make, times = KINDS[kind]
    manifest = _export(make(), tmp_path).manifest
    assert manifest.proof.verdict == "proved"
    assert manifest.dense_size_bytes > times * manifest.size_bytes
    assert len(manifest.layers) >= 3
    assert all(5 * layer.nonzeros_after < np.prod(layer.shape_before) for layer in manifest.layers)
    assert api.check(tmp_path / "a").exit_code == 0


def _resized(scale: float) -> onnx.ModelProto:
    """A Resize of opset 10, which rounds up where it makes smaller: no mode of opset 11 does."""
    weights = {"w": pruned(np.random.default_rng(0), (32, 3, 5, 5), 240), "s": np.array([1, 1, scale, 1], np.float32)}
    nodes = [node("Resize", ["x", "s"], ["r"], mode="nearest"), node("Conv", ["r", "w"], ["y"])]
    proto = model(nodes, weights, {"x": [1, 3, 20, 20]}, opset=10, ir_version=5)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


def test_an_opset_that_is_not_safe_to_raise_is_raised_when_asked_and_proved(tmp_path: Path) -> None:
    kept = _export(_resized(0.5), tmp_path)
    assert any("kept opset 10: Resize" in str(entry["sentence"]) for entry in kept.content.passes)
    assert {tensor.storage for tensor in kept.manifest.tensors} == {"sparse-initializer"}
    raised = _export(_resized(0.5), tmp_path, upgrade_opset=True)
    assert raised.manifest.proof.verdict == "proved"
    assert {tensor.storage for tensor in raised.manifest.tensors} == {"gaps"}
    assert raised.manifest.size_bytes < kept.manifest.size_bytes


def test_a_conversion_that_changes_the_outputs_is_refuted_and_the_option_named(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match=r"--upgrade-opset may have changed what an operator means: leave it out"):
        _export(_resized(0.7), tmp_path, upgrade_opset=True)
    assert not (tmp_path / "a").exists()
