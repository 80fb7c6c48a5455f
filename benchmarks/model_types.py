"""Models for docs/models.md by the type of their weights, and by operator set and format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from model_trial import Case
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
node = helper.make_node
SIZES = (64, 256, 128, 10)  # of the matrix network: 50,432 weights
ZEROS = 0.9
NEWEST_IR = int(onnx.IR_VERSION)
NEWEST_OPSET = int(onnx.defs.onnx_opset_version())
USUAL = (17, 8)  # operator set and format of a row that is about something else


def pruned(rng: np.random.Generator, *shape: int) -> Array:
    """Normal weights, scaled by what a unit reads, of which the 90 % nearest to 0 are 0."""
    weights = rng.standard_normal(shape) / np.sqrt(np.prod(shape) / shape[-1])
    cut = np.argsort(np.abs(weights), axis=None, kind="stable")[: int(ZEROS * weights.size)]
    weights.reshape(-1)[cut] = 0
    return weights.astype(np.float32)


def weights() -> list[Array]:
    """The three matrices of the network that most rows are about."""
    rng = np.random.default_rng(0)
    return [pruned(rng, first, second) for first, second in pairwise(SIZES)]


def value(name: str, shape: Sequence[int | str] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An input or output that is a tensor."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    version: tuple[int, int] = USUAL,
    **more: Any,
) -> onnx.ModelProto:
    """A model of the operator set and format `version`."""
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    imports = [helper.make_opsetid("", version[0]), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=version[1], **more)


def matrices(names: Sequence[str] = ("a", "b", "c"), x: str = "x", y: str = "y") -> list[onnx.NodeProto]:
    """x through three matrix products with a Relu between them."""
    return [
        node("MatMul", [x, names[0]], ["h"]),
        node("Relu", ["h"], ["i"]),
        node("MatMul", ["i", names[1]], ["j"]),
        node("Relu", ["j"], ["k"]),
        node("MatMul", ["k", names[2]], [y]),
    ]


def plain(version: tuple[int, int] = USUAL, *, as_inputs: bool = False, kind: type | np.dtype[Any] = np.float32) -> Any:
    """The matrix network; `as_inputs` lists its weights among the inputs, as formats before 4 must."""
    constants = {name: array.astype(kind) for name, array in zip("abc", weights(), strict=True)}
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    listed = [value(name, array.shape, number) for name, array in constants.items()] if as_inputs else []
    ends = [value("x", ["n", SIZES[0]], number), *listed], [value("y", ["n", SIZES[-1]], number)]
    return model(matrices(), constants, *ends, version)


def types() -> Iterator[Case]:
    """The same network with its weights in every type."""
    yield Case("float32", plain())
    yield Case("float16", plain(kind=np.float16))
    yield Case("bfloat16, cast to float32 in the graph", cast_from(np.dtype(ml_dtypes.bfloat16)))
    yield Case("bfloat16 throughout", plain((22, 10), kind=np.dtype(ml_dtypes.bfloat16)))
    yield Case("double", plain(kind=np.float64))
    yield Case("int8, QDQ, a scale for each channel", dequantized(np.dtype(np.int8)))
    yield Case("uint8, QDQ, zero point 128", dequantized(np.dtype(np.uint8)))
    yield Case("int8, QLinearMatMul", qlinear())
    yield Case("uint8, MatMulInteger (dynamic)", dynamic())
    yield Case("int4, QDQ", dequantized(np.dtype(ml_dtypes.int4)))


def cast_from(kind: np.dtype[Any]) -> onnx.ModelProto:
    """Weights that rest in another float type and are cast where they are read."""
    constants = {name: array.astype(kind) for name, array in zip("abc", weights(), strict=True)}
    casts = [node("Cast", [name], [f"{name}_wide"], to=TensorProto.FLOAT) for name in "abc"]
    ends = [value("x", ["n", SIZES[0]])], [value("y", ["n", SIZES[-1]])]
    return model([*casts, *matrices(("a_wide", "b_wide", "c_wide"))], constants, *ends, (17, 8))


def quantized(array: Array, kind: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """Codes, a scale for each column, and zero points: 0 of the weights is the zero point of the codes."""
    top, zero = {"int8": (127, 0), "uint8": (127, 128), "int4": (7, 0)}[kind.name]
    scale = (np.abs(array).max(axis=0) / top).astype(np.float32)
    codes = np.rint(array / scale) + zero
    return codes.astype(kind), scale, np.full(scale.shape, zero).astype(kind)


def dequantized(kind: np.dtype[Any]) -> onnx.ModelProto:
    """Weights behind DequantizeLinear, as quantisers in the QDQ form write them."""
    constants: dict[str, Array] = {}
    nodes = []
    for name, array in zip("abc", weights(), strict=True):
        parts = dict(zip(("", "_scale", "_zero"), quantized(array, kind), strict=True))
        constants |= {name + end: part for end, part in parts.items()}
        nodes.append(node("DequantizeLinear", [name + end for end in parts], [f"{name}_real"], axis=1))
    ends = [value("x", ["n", SIZES[0]])], [value("y", ["n", SIZES[-1]])]
    version = (21, 10) if kind.name == "int4" else USUAL
    return model([*nodes, *matrices(("a_real", "b_real", "c_real"))], constants, *ends, version)


def qlinear() -> onnx.ModelProto:
    """Operators that read and write codes; one scale for each weight."""
    constants: dict[str, Array] = {"s": np.float32(0.05), "z": np.int8(0)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q0"])]
    for index, (name, array) in enumerate(zip("abc", weights(), strict=True)):
        scale = np.float32(np.abs(array).max() / 127)
        constants |= {name: np.rint(array / scale).astype(np.int8), f"{name}_scale": scale}
        inputs = [f"q{index}", "s", "z", name, f"{name}_scale", "z", "s", "z"]
        nodes.append(node("QLinearMatMul", inputs, [f"q{index + 1}"]))
    nodes.append(node("DequantizeLinear", ["q3", "s", "z"], ["y"]))
    return model(nodes, constants, [value("x", ["n", SIZES[0]])], [value("y", ["n", SIZES[-1]])])


def dynamic() -> onnx.ModelProto:
    """Activations quantised at inference, weights uint8 with their zero point."""
    constants: dict[str, Array] = {}
    nodes, x = [], "x"
    for index, (name, array) in enumerate(zip("abc", weights(), strict=True)):
        scale = np.float32(np.abs(array).max() / 127)
        codes = (np.rint(array / scale) + 128).astype(np.uint8)
        constants |= {name: codes, f"{name}_scale": scale, f"{name}_zero": np.uint8(128)}
        y = "y" if index == 2 else f"r{index}"
        nodes += [
            node("DynamicQuantizeLinear", [x], [f"q{index}", f"qs{index}", f"qz{index}"]),
            node("MatMulInteger", [f"q{index}", name, f"qz{index}", f"{name}_zero"], [f"p{index}"]),
            node("Cast", [f"p{index}"], [f"f{index}"], to=TensorProto.FLOAT),
            node("Mul", [f"qs{index}", f"{name}_scale"], [f"m{index}"]),
            node("Mul", [f"f{index}", f"m{index}"], [y if index == 2 else f"u{index}"]),
        ]
        if index < 2:
            nodes.append(node("Relu", [f"u{index}"], [y]))
        x = y
    return model(nodes, constants, [value("x", ["n", SIZES[0]])], [value("y", ["n", SIZES[-1]])])


def opsets() -> Iterator[Case]:
    """The float32 network at every operator set that the runtime still reads, in a format of its time."""
    for opset in range(7, NEWEST_OPSET + 1):
        yield Case(f"{opset}", plain((opset, min(NEWEST_IR, 4 if opset < 10 else 8))))


def formats() -> Iterator[Case]:
    """Every format, and weights listed among the inputs."""
    yield Case("3, with the weights among the inputs", plain((8, 3), as_inputs=True))
    for version in range(4, NEWEST_IR + 1):
        yield Case(f"{version}", plain((17 if version >= 8 else 9 + version - 4, version)))
    yield Case("8, with the weights among the inputs", plain(as_inputs=True))
