"""Small ONNX models for the tests of storage and proof: a pruned LeNet, a convolutional network, and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
node = helper.make_node


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, Array],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str] = ("y",),
    *,
    opset: int = 18,
    ir_version: int = 10,
) -> onnx.ModelProto:
    """A model of float32 inputs and matrices as outputs."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", "columns"]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def pruned(rng: np.random.Generator, shape: tuple[int, ...], nonzeros: int, likely: Array | None = None) -> Array:
    """Random weights of which exactly `nonzeros` are left; columns are kept in proportion to `likely` [shape[-1]]."""
    size = int(np.prod(shape))
    chance = np.broadcast_to(np.ones(1) if likely is None else likely, shape).reshape(-1).astype(np.float64)
    kept = rng.choice(size, nonzeros, replace=False, p=chance / chance.sum())
    weights = np.zeros(size, np.float32)
    sign = rng.choice([-1.0, 1.0], nonzeros)
    weights[kept] = sign * (0.03 + rng.exponential(0.05, nonzeros))  # what magnitude pruning leaves: nothing small
    return weights.reshape(shape)


def lenet(opset: int = 18, nonzeros: tuple[int, int, int] = (8275, 1056, 206)) -> onnx.ModelProto:
    """LeNet-300-100 at 3.5 %, 3.5 % and 20 %: the ticket after 15 rounds. Denser in the middle of the image."""
    rng = np.random.default_rng(0)
    ramp = np.exp(-(((np.arange(28) - 13.5) / 8) ** 2))
    middle = 0.2 + np.outer(ramp, ramp).reshape(-1)
    weights = {
        "fc1.weight": pruned(rng, (300, 784), nonzeros[0], middle),
        "fc1.bias": rng.normal(0, 0.1, 300).astype(np.float32),
        "fc2.weight": pruned(rng, (100, 300), nonzeros[1]),
        "fc2.bias": rng.normal(0, 0.1, 100).astype(np.float32),
        "fc3.weight": pruned(rng, (10, 100), nonzeros[2]),
        "fc3.bias": rng.normal(0, 0.1, 10).astype(np.float32),
    }
    nodes = [
        node("Gemm", ["input", "fc1.weight", "fc1.bias"], ["h1"], transB=1),
        node("Relu", ["h1"], ["r1"]),
        node("Gemm", ["r1", "fc2.weight", "fc2.bias"], ["h2"], transB=1),
        node("Relu", ["h2"], ["r2"]),
        node("Gemm", ["r2", "fc3.weight", "fc3.bias"], ["y"], transB=1),
    ]
    return model(nodes, weights, {"input": ["batch", 784]}, opset=opset)


def convnet(opset: int = 18, density: float = 0.1) -> onnx.ModelProto:
    """Three convolutions (one grouped) and a matrix product whose weight is [in, out]."""
    rng = np.random.default_rng(1)
    shapes = {"c1": (16, 3, 3, 3), "c2": (32, 16, 3, 3), "c3": (32, 8, 3, 3), "fc": (32, 10)}
    weights = {name: pruned(rng, shape, int(np.prod(shape) * density)) for name, shape in shapes.items()}
    nodes = [
        node("Conv", ["x", "c1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "c2"], ["c"], strides=[2, 2]),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "c3"], ["e"], group=4),
        node("GlobalAveragePool", ["e"], ["f"]),
        node("Flatten", ["f"], ["h"]),
        node("MatMul", ["h", "fc"], ["y"]),
    ]
    return model(nodes, weights, {"x": ["n", 3, 16, 16]}, opset=opset)


def product(weight: Array, *, name: str = "w", opset: int = 18, ir_version: int = 10) -> onnx.ModelProto:
    """y = x @ weight."""
    nodes = [node("MatMul", ["x", name], ["y"])]
    return model(nodes, {name: weight}, {"x": ["n", weight.shape[0]]}, opset=opset, ir_version=ir_version)
