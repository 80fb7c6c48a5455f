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

from edgeticket.graph.simplify import Simplified, simplify

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
    _same_bits(model, result.model, shape)


def _same_bits(before: onnx.ModelProto, after: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    """Both return the same numbers, of which there are several, and both read and write as they did."""
    onnx.checker.check_model(after)
    assert [list(before.graph.input), list(before.graph.output)] == [list(after.graph.input), list(after.graph.output)]
    sessions = _session(before), _session(after)
    rng = np.random.default_rng(7)
    for size in (0.3, 1.0, 5.0):
        x = size * _normal(rng, *shape)
        [expected], [found] = (session.run(None, {"x": x}) for session in sessions)
        np.testing.assert_array_equal(found, expected)
        assert np.unique(expected).size > 4


def _notes(result: Simplified) -> str:
    return "; ".join(note.sentence for note in result.notes if note.pass_name == "remove-dead" and not note.changed)


@pytest.mark.parametrize("mode", STATIC)
def test_constants_other_than_0_fold_into_biases_of_int32(mode: str, tmp_path: Path) -> None:
    """Dead channels of 1.1 and 2 behind their Relu go; one that arrives before zeros around the image stays."""
    network = images()
    tensors = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in network.graph.initializer}
    _kill(tensors, "c1", {6: 1.0})
    _kill(tensors, "a", {9: 0.7})
    _kill(tensors, "b", {9: 0.4})
    _kill(tensors, "f1", {4: 2.0})
    network = _model(list(network.graph.node), tensors, (["n", 3, 8, 8], ["n", 4]))
    model = _quantised(network, mode, (2, 3, 8, 8), tmp_path)
    result = simplify(model)
    left = {"c1": (6, 3, 3, 3), "dw": (6, 1, 3, 3), "a": (8, 6, 1, 1), "b": (8, 6, 1, 1), "f1": (8, 8), "f2": (4, 8)}
    assert _shapes(result.model) == left
    assert "left dw.w_quantized alone: a constant other than 0 arrives through zero padding" in _notes(result)
    _same_bits(model, result.model, (2, 3, 8, 8))


@pytest.mark.parametrize("mode", DYNAMIC)
def test_a_constant_stays_where_it_makes_the_range_of_a_dynamic_layer(mode: str, tmp_path: Path) -> None:
    network = rows()
    tensors = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in network.graph.initializer}
    tensors["m1.b"][[0, 5, 6]] = [900.0, 0.0, -2.0]  # 900 is the largest of all numbers of its layer
    tensors["m2.w"][3] = 0  # nothing reads channel 3, but it is part of the range
    model = _quantised(_model(list(network.graph.node), tensors, (["n", 5, 16], ["n", 5, 8])), mode, (), tmp_path)
    result = simplify(model)
    assert _shapes(result.model) == {"m1": (10, 16), "m2": (8, 10)}
    assert "kept channels that are constant: 1 before DynamicQuantizeLinear" in _notes(result)
    assert "kept 1 channel that no weight reads: DynamicQuantizeLinear takes its range from them" in _notes(result)
    _same_bits(model, result.model, (2, 5, 16))


def _codes(weight: Array, scale: Array, zero: Array) -> Array:
    codes: Array = np.clip(np.rint(weight / scale) + zero, 0, 255).astype(np.uint8)
    return codes


def test_what_equals_a_zero_point_of_its_own_in_each_channel_is_dead() -> None:
    """No code is 0: dead channels rest at 120 to 131, and their scales and zero points go with them."""
    rng = np.random.default_rng(9)
    first, second = _normal(rng, 6, 9), _normal(rng, 7, 6)
    first[[1, 4]] = 0
    scales = [np.abs(array).max() / 99 * (1 + np.arange(len(array)) / 8) for array in (first, second)]
    zeros = [np.arange(120, 120 + len(array)) for array in (first, second)]
    tensors: dict[str, Array] = {"s": np.array(0.05, np.float32), "z": np.array(117, np.uint8)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q0"]), node("DequantizeLinear", ["q0", "s", "z"], ["d0"])]
    for index, (array, scale, zero) in enumerate(zip((first, second), scales, zeros, strict=True)):
        name, spread = f"w{index}", (slice(None), None)
        tensors |= {name: _codes(array, scale[spread], zero[spread]), f"{name}.s": scale.astype(np.float32)}
        tensors[f"{name}.z"] = zero.astype(np.uint8)
        nodes += [
            node("DequantizeLinear", [name, f"{name}.s", f"{name}.z"], [f"{name}.d"], axis=0),
            node("Gemm", [f"d{index}", f"{name}.d"], [f"g{index}"], transB=1),
            node("QuantizeLinear", [f"g{index}", "s", "z"], [f"q{index + 1}"]),
            node("DequantizeLinear", [f"q{index + 1}", "s", "z"], [f"d{index + 1}" if index == 0 else "y"]),
        ]
    model = _model(nodes, tensors, (["n", 9], ["n", 7]))
    result = simplify(model)
    left = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    kept = [0, 2, 3, 5]
    np.testing.assert_array_equal(left["w0"], tensors["w0"][kept])
    np.testing.assert_array_equal(left["w0.s"], tensors["w0.s"][kept])
    np.testing.assert_array_equal(left["w0.z"], [120, 122, 123, 125])
    np.testing.assert_array_equal(left["w1"], tensors["w1"][:, kept])
    np.testing.assert_array_equal(left["w1.z"], tensors["w1.z"])
    _same_bits(model, result.model, (3, 9))


def test_a_quantised_weight_of_two_layers_stays(tmp_path: Path) -> None:
    """Both read it through one DequantizeLinear; a sentence says so."""
    rng = np.random.default_rng(5)
    tensors = {"w": _normal(rng, 8, 8)}
    tensors["w"][:, 2] = 0
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]), node("MatMul", ["b", "w"], ["y"])]
    model = _quantised(_model(nodes, tensors, (["n", 8], ["n", 8])), "qdq, int8, tensor", (4, 8), tmp_path)
    result = simplify(model)
    assert [tuple(tensor.dims) for tensor in result.model.graph.initializer if tensor.name == "w_quantized"] == [(8, 8)]
    assert "left w_quantized alone: their weight is shared with another reader" in _notes(result)
    _same_bits(model, result.model, (4, 8))


@pytest.mark.parametrize("mode", ["qdq, int4, tensor", "qdq, int8, tensor"])
def test_the_file_says_the_shapes_that_are_left(mode: str, tmp_path: Path) -> None:
    """Of the operators of com.microsoft that int4 needs, inference alone does not forget what they returned before."""
    network = rows()
    tensors = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in network.graph.initializer}
    tensors["m1.w"][:, :11], tensors["m1.b"][:] = 0, [0] * 11 + [1]
    network = _model(list(network.graph.node), tensors, (["n", 5, 16], ["n", 5, 8]))
    model = _quantised(network, mode, (2, 5, 16), tmp_path)
    result = simplify(model)
    assert _shapes(result.model) == {"m1": (1, 16), "m2": (1, 8)}
    [said] = [value.type.tensor_type.shape for value in result.model.graph.value_info if value.name == "m1"]
    assert [dim.dim_value for dim in said.dim] == [0, 5, 1]
    _same_bits(model, result.model, (2, 5, 16))


@pytest.mark.parametrize("mode", ["qdq, int8, tensor", "qoperator, int8, channel", "dynamic, int8, tensor"])
def test_convolutions_in_8_bits_read_a_multiple_of_four_channels(mode: str, tmp_path: Path) -> None:
    """Of 16 channels 11 are alive: 12 stay, since ONNX Runtime is slower with 11."""
    rng = np.random.default_rng(5)
    tensors = {"c1.w": _normal(rng, 16, 3, 3, 3), "c1.b": _normal(rng, 16), "c2.w": _normal(rng, 8, 16, 3, 3)}
    _kill(tensors, "c1", dict.fromkeys((0, 3, 4, 9, 15), 0.0))
    nodes = [
        node("Conv", ["x", "c1.w", "c1.b"], ["v1"], pads=[1, 1, 1, 1]),
        node("Relu", ["v1"], ["r1"]),
        node("Conv", ["r1", "c2.w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    model = _model(nodes, tensors, (["n", 3, 8, 8], ["n", 8, 8, 8]))
    before = _quantised(model, mode, (4, 3, 8, 8), tmp_path)
    after = simplify(before).model
    assert _shapes(after) == {"c1": (12, 3, 3, 3), "c2": (8, 12, 3, 3)}
    feed = {"x": _normal(rng, 2, 3, 8, 8)}
    assert np.array_equal(_session(before).run(None, feed)[0], _session(after).run(None, feed)[0])
