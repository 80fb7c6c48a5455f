"""Quantised networks for tests, pruned to a tenth: QDQ as exporters write it, and QOperator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from storage_models import pruned

Array = NDArray[Any]
SHAPES = {"c1": (24, 3, 3, 3), "c2": (32, 24, 3, 3), "fc": (32, 40)}


def _quantised(name: str, weight: Array, dtype: Any, per_channel: bool, axis: int, symmetric: bool) -> dict[str, Array]:
    """q, scale and zero point of a weight: zeros are exactly the zero point, which is 0 only where `symmetric`."""
    rng, channels = np.random.default_rng(len(name)), weight.shape[axis]
    middle = 0 if dtype == np.int8 else 128
    count = channels if per_channel else 1
    zero = np.full(count, middle) if symmetric else middle + rng.integers(-9, 10, count)
    if weight.ndim > 2:  # QLinearConv of ONNX Runtime 1.24 takes no zero points that differ
        zero[:] = zero[0]
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.abs(weight).max(axis=others if per_channel else None, keepdims=True)
    scale = np.maximum(largest / 100, 1e-6).astype(np.float32)
    around = zero.reshape([-1 if per_channel and index == axis else 1 for index in range(weight.ndim)])
    limits = np.iinfo(dtype)
    codes = np.clip(np.rint(weight / scale) + around, limits.min, limits.max).astype(dtype)
    shape = (-1,) if per_channel else ()
    return {
        f"{name}.q": codes, f"{name}.scale": scale.reshape(shape), f"{name}.zero": zero.astype(dtype).reshape(shape),
    }  # fmt: skip


def _parts(dtype: Any, per_channel: bool, *, symmetric: bool) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for name, shape in SHAPES.items():
        weight = pruned(rng, shape, int(np.prod(shape)) // 10)
        found |= _quantised(name, weight, dtype, per_channel, 1 if name == "fc" else 0, symmetric)
    for name in ("x", "c1.y", "c2.y", "p", "y"):
        found |= {f"{name}.scale": np.float32(0.05 + 0.01 * len(name)).reshape(()), f"{name}.zero": np.uint8(120)}
    return {name: np.asarray(array) for name, array in found.items()}


def _model(nodes: list[onnx.NodeProto], tensors: dict[str, Array]) -> onnx.ModelProto:
    read = {name for entry in nodes for name in entry.input}
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 40])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items() if name in read],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _pair(name: str, to: str) -> list[onnx.NodeProto]:
    """Quantise and dequantise an activation."""
    rest = [f"{name}.scale", f"{name}.zero"]
    return [
        helper.make_node("QuantizeLinear", [f"{name}.f", *rest], [f"{name}.u"]),
        helper.make_node("DequantizeLinear", [f"{name}.u", *rest], [to]),
    ]


def qdq_network(dtype: Any, per_channel: bool) -> onnx.ModelProto:
    """Two convolutions with biases, a pooling and a product, each between QuantizeLinear and DequantizeLinear."""
    tensors = _parts(dtype, per_channel, symmetric=dtype == np.int8)
    nodes = [helper.make_node("Identity", ["x"], ["x.f"]), *_pair("x", "x.d")]
    for name, axis in (("c1", 0), ("c2", 0), ("fc", 1)):
        axes = {"axis": axis} if per_channel else {}
        weight = [f"{name}.q", f"{name}.scale", f"{name}.zero"]
        nodes.append(helper.make_node("DequantizeLinear", weight, [f"{name}.w"], **axes))
    for name, before in (("c1", "x"), ("c2", "c1.y")):
        channels = SHAPES[name][0]
        tensors[f"{name}.b"] = np.random.default_rng(5).integers(-900, 900, channels).astype(np.int32)
        scale = tensors[f"{before}.scale"] * tensors[f"{name}.scale"]
        tensors[f"{name}.b.scale"] = scale
        tensors[f"{name}.b.zero"] = np.zeros(scale.shape, np.int32)
        bias = [f"{name}.b", f"{name}.b.scale", f"{name}.b.zero"]
        axes = {"axis": 0} if per_channel else {}
        nodes.append(helper.make_node("DequantizeLinear", bias, [f"{name}.bf"], **axes))
        inputs = [f"{before}.d", f"{name}.w", f"{name}.bf"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.y.f"], pads=[1, 1, 1, 1]))
        nodes += _pair(f"{name}.y", f"{name}.y.d")
    nodes += [helper.make_node("GlobalAveragePool", ["c2.y.d"], ["p.f"]), *_pair("p", "p.d")]
    nodes += [helper.make_node("Flatten", ["p.d"], ["flat"]), helper.make_node("MatMul", ["flat", "fc.w"], ["y.f"])]
    nodes += _pair("y", "y")
    return _model(nodes, tensors)


def qoperator_network(dtype: Any, per_channel: bool) -> onnx.ModelProto:
    """Two QLinearConv, and a MatMulInteger behind a pooling in floats."""
    tensors = _parts(dtype, per_channel, symmetric=False)
    nodes = [helper.make_node("QuantizeLinear", ["x", "x.scale", "x.zero"], ["x.u"])]
    for name, before in (("c1", "x"), ("c2", "c1.y")):
        inputs = [f"{before}.u", f"{before}.scale", f"{before}.zero", f"{name}.q", f"{name}.scale", f"{name}.zero"]
        inputs += [f"{name}.y.scale", f"{name}.y.zero"]
        nodes.append(helper.make_node("QLinearConv", inputs, [f"{name}.y.u"], pads=[1, 1, 1, 1]))
    nodes += [
        helper.make_node("DequantizeLinear", ["c2.y.u", "c2.y.scale", "c2.y.zero"], ["c2.d"]),
        helper.make_node("GlobalAveragePool", ["c2.d"], ["p"]),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("DynamicQuantizeLinear", ["flat"], ["flat.u", "flat.scale", "flat.zero"]),
        helper.make_node("MatMulInteger", ["flat.u", "fc.q", "flat.zero", "fc.zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["flat.scale", "fc.scale"], ["scale"]),
        helper.make_node("Mul", ["float", "scale"], ["y"]),
    ]
    return _model(nodes, tensors)
