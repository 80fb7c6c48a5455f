"""Dead channels of networks that onnxruntime.quantization wrote, in each of its forms: removed, and no bit changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from edgeticket.graph.simplify import simplify

Array = NDArray[Any]
node = helper.make_node

STATIC = {
    "qdq, int8, tensor": (QuantFormat.QDQ, QuantType.QInt8, QuantType.QUInt8, False, True),
    "qdq, int8, channel": (QuantFormat.QDQ, QuantType.QInt8, QuantType.QInt8, True, True),
    "qdq, uint8, tensor": (QuantFormat.QDQ, QuantType.QUInt8, QuantType.QUInt8, False, False),
    "qdq, int16, tensor": (QuantFormat.QDQ, QuantType.QInt16, QuantType.QUInt16, False, True),
    "qdq, int4, tensor": (QuantFormat.QDQ, QuantType.QInt4, QuantType.QUInt8, False, True),
    "qoperator, int8, channel": (QuantFormat.QOperator, QuantType.QInt8, QuantType.QUInt8, True, True),
    "qoperator, uint8, tensor": (QuantFormat.QOperator, QuantType.QUInt8, QuantType.QUInt8, False, False),
}
DYNAMIC = {
    "dynamic, int8, tensor": (QuantType.QInt8, False),
    "dynamic, uint8, channel": (QuantType.QUInt8, True),
}
MODES = [*STATIC, *DYNAMIC]


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    """Eight batches for the calibration."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self._feeds: Iterator[dict[str, Array]] = iter([{"x": _normal(rng, *shape)} for _ in range(8)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def _model(
    nodes: list[onnx.NodeProto], tensors: dict[str, Array], ends: tuple[list[Any], list[Any]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ends[0])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ends[1])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def images() -> onnx.ModelProto:
    """A convolution, a depthwise one, a residual sum of two branches, and two dense layers; some of each are dead."""
    rng = np.random.default_rng(3)
    tensors: dict[str, Array] = {}
    for name, shape in {
        "c1": (8, 3, 3, 3), "dw": (8, 1, 3, 3), "a": (12, 8, 1, 1), "b": (12, 8, 1, 1), "f1": (10, 12), "f2": (4, 10),
    }.items():  # fmt: skip
        tensors[f"{name}.w"] = _normal(rng, *shape)
        tensors[f"{name}.b"] = _normal(rng, shape[0])
    _kill(tensors, "c1", {1: -1.0, 4: 0.0})
    tensors["dw.b"][[1, 4]] = [0.0, -0.5]
    _kill(tensors, "a", {3: -0.5, 5: 0.0, 7: -1.0})
    _kill(tensors, "b", {3: -0.5, 5: 0.0, 7: 0.0})
    _kill(tensors, "f1", {2: -2.0})
    nodes = [
        node("Conv", ["x", "c1.w", "c1.b"], ["c1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "dw.w", "dw.b"], ["dw"], pads=[1, 1, 1, 1], group=8, kernel_shape=[3, 3]),
        node("Relu", ["dw"], ["r2"]),
        node("Conv", ["r2", "a.w", "a.b"], ["a"], kernel_shape=[1, 1]),
        node("Conv", ["r1", "b.w", "b.b"], ["b"], kernel_shape=[1, 1]),
        node("Add", ["a", "b"], ["sum"]),
        node("Relu", ["sum"], ["r3"]),
        node("GlobalAveragePool", ["r3"], ["p"]),
        node("Flatten", ["p"], ["flat"]),
        node("Gemm", ["flat", "f1.w", "f1.b"], ["f1"], transB=1),
        node("Relu", ["f1"], ["r4"]),
        node("Gemm", ["r4", "f2.w", "f2.b"], ["y"], transB=1),
    ]
    return _model(nodes, tensors, (["n", 3, 8, 8], ["n", 4]))


IMAGES_LEFT = {
    "c1": (6, 3, 3, 3), "dw": (6, 1, 3, 3), "a": (9, 6, 1, 1), "b": (9, 6, 1, 1), "f1": (9, 9), "f2": (4, 9),
}  # fmt: skip


def rows() -> onnx.ModelProto:
    """Products with the weight on the right, of three axes, as transformers have them."""
    rng = np.random.default_rng(4)
    tensors = {"m1.w": _normal(rng, 16, 12), "m1.b": _normal(rng, 12), "m2.w": _normal(rng, 12, 8)}
    tensors["m1.w"][:, [0, 5, 6]] = 0
    tensors["m1.b"][[0, 5, 6]] = [-0.5, 0, -2]
    nodes = [
        node("MatMul", ["x", "m1.w"], ["m1"]),
        node("Add", ["m1", "m1.b"], ["a1"]),
        node("Relu", ["a1"], ["r1"]),
        node("MatMul", ["r1", "m2.w"], ["y"]),
    ]
    return _model(nodes, tensors, (["n", 5, 16], ["n", 5, 8]))


ROWS_LEFT = {"m1": (9, 16), "m2": (8, 9)}


def _kill(tensors: dict[str, Array], name: str, biases: dict[int, float]) -> None:
    for channel, bias in biases.items():
        tensors[f"{name}.w"][channel], tensors[f"{name}.b"][channel] = 0, bias


def _quantised(model: onnx.ModelProto, mode: str, shape: tuple[int, ...], folder: Path) -> onnx.ModelProto:
    """The model as onnxruntime.quantization writes it."""
    before, after = folder / "float.onnx", folder / "quantised.onnx"
    onnx.save(model, before)
    logging.disable(logging.WARNING)
    try:
        if mode in DYNAMIC:
            weights, channels = DYNAMIC[mode]
            quantize_dynamic(before, after, weight_type=weights, per_channel=channels)
        else:
            form, weights, activations, channels, symmetric = STATIC[mode]
            quantize_static(
                before, after, _Inputs(shape), quant_format=form, weight_type=weights, activation_type=activations,
                per_channel=channels, extra_options={"WeightSymmetric": symmetric},
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(after)


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session with the outputs of all nodes that return codes, so that the integers themselves are compared."""
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shapes of the quantised weights, by their layer; of a matrix outputs and inputs may come in either order."""
    return {
        tensor.name.removesuffix(".w_quantized"): tuple(tensor.dims if len(tensor.dims) > 2 else sorted(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.name.endswith(".w_quantized")
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("network", "shape", "left"), [(images, (2, 3, 8, 8), IMAGES_LEFT), (rows, (2, 5, 16), ROWS_LEFT)]
)
def test_dead_channels_go_and_no_bit_changes(
    network: Any, shape: tuple[int, ...], left: dict[str, tuple[int, ...]], mode: str, tmp_path: Path
) -> None:
    model = _quantised(network(), mode, shape, tmp_path)
    result = simplify(model)
    assert _shapes(model).keys() == left.keys()
    assert _shapes(result.model) == left
    onnx.checker.check_model(result.model)
    before, after = _session(model), _session(result.model)
    rng = np.random.default_rng(7)
    for size in (0.3, 1.0, 5.0):
        x = size * _normal(rng, *shape)
        [expected], [found] = before.run(None, {"x": x}), after.run(None, {"x": x})
        np.testing.assert_array_equal(found, expected)
        assert np.unique(expected).size > 4
