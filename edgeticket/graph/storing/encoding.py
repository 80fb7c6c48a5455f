"""Encodings of a tensor's values on disk: fp32, fp16, or int8 with one symmetric scale per output channel.

int8: code = round(w / scale) within -127 ... 127, scale = max |w| of the channel / 127, and w is rebuilt as
float32(code) * float32(scale). Scales are stored as fp16 where that saves bytes and all are normal fp16 numbers; codes
are taken against the scale as it is stored, so its rounding costs nothing.

int8 is not always smaller: a depthwise filter of nine weights pays for a scale and a product of its own. So a tensor
has several encodings, the one asked for and those that are more precise, and storage.py takes the fewest bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.storing import gaps

Array = NDArray[np.generic]
Float32 = NDArray[np.float32]
Weights = Literal["fp32", "fp16", "int8"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)

_CAST_BYTES = 24  # what the node that widens fp16 scales takes itself
_FP16 = np.finfo(np.float16)


@dataclass(frozen=True)
class Encoded:
    """One encoded tensor: codes [size] float32, float16 or int8, and for int8 a scale that broadcasts over `shape`."""

    name: str
    shape: tuple[int, ...]
    codes: Array
    weights: Weights
    scale: NDArray[np.float16] | Float32 | None = None
    note: str = ""
    original_nonzeros: int = 0
    original_bytes: int = 0  # the initializer's entry in the file

    def decoded(self) -> Float32:
        """The float32 numbers that a file rebuilds from the codes."""
        numbers: Float32 = self.codes.astype(np.float32).reshape(self.shape)
        return numbers if self.scale is None else numbers * self.scale.astype(np.float32)

    @cached_property
    def nonzeros(self) -> int:
        """Codes that are not zero: fewer than the weights' where small ones round to zero."""
        return int(np.count_nonzero(self.codes))

    @cached_property
    def stream_bytes(self) -> int:
        """What the positions of the codes that are not zero take, packed."""
        positions = np.flatnonzero(self.codes)
        return gaps.packed_bytes(positions, gaps.best_low_bits(positions))


def encodings(name: str, array: Float32, weights: Weights, channel_axis: int | None) -> list[Encoded]:
    """`array` in the encoding asked for, which comes first, and in every more precise one."""
    finer = WEIGHTS[: WEIGHTS.index(weights) + 1][::-1]
    found = [encode(name, array, each, channel_axis) for each in finer]
    asked = found[0]
    others = {each.weights: each for each in found if each.weights != asked.weights}
    note = f"as {asked.weights} it would take more bytes"
    return [asked, *(replace(each, note=asked.note or note) for each in others.values())]


def encode(name: str, array: Float32, weights: Weights, channel_axis: int | None) -> Encoded:
    """Encode `array` of any shape; `channel_axis` None means that int8 does not suit it (biases and the like)."""
    flat = array.reshape(-1)
    codes, encoding, scale, note = _codes(flat, array, weights, channel_axis)
    return Encoded(name, array.shape, codes, encoding, scale, note, int(np.count_nonzero(flat)))


def _codes(
    flat: Float32, array: Float32, weights: Weights, channel_axis: int | None
) -> tuple[Array, Weights, NDArray[np.float16] | Float32 | None, str]:
    if weights == "fp32":
        return flat, "fp32", None, ""
    if not np.all(np.isfinite(flat)):
        return flat, "fp32", None, "holds NaN or infinity, kept as fp32"
    if weights == "int8" and channel_axis is not None:
        scale = _scale(array, channel_axis)
        codes = np.clip(np.rint(array / scale.astype(np.float32)), -127, 127).astype(np.int8)
        return codes.reshape(-1), "int8", scale, ""
    if float(np.max(np.abs(flat), initial=0)) > float(_FP16.max):
        return flat, "fp32", None, "holds values above the largest fp16 number, kept as fp32"
    return flat.astype(np.float16), "fp16", None, ""


def _scale(array: Float32, channel_axis: int) -> NDArray[np.float16] | Float32:
    axis = channel_axis % array.ndim
    others = tuple(i for i in range(array.ndim) if i != axis)
    largest = np.max(np.abs(array), axis=others, keepdims=True, initial=0)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    scale = scale.reshape(scale.shape[axis:])  # leading ones broadcast by themselves
    fits = float(scale.min()) >= float(_FP16.tiny) and float(scale.max()) <= float(_FP16.max)
    fits &= 2 * scale.size > _CAST_BYTES
    return scale.astype(np.float16) if fits else scale


def channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """The output channel's axis of each tensor that a product, convolution or lookup reads, by its first reader."""
    axes: dict[str, int] = {}
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        for index, axis in _reader_axes(node).items():
            if index < len(node.input) and node.input[index]:
                axes.setdefault(node.input[index], axis)
    return axes


def _reader_axes(node: onnx.NodeProto) -> dict[int, int]:
    """Input index -> output channel axis."""
    match node.op_type:
        case "Conv":
            return {1: 0}
        case "ConvTranspose":  # [in, out / group, ...]: with groups no axis is the output channel
            return {1: 1 if _integer(node, "group", 1) == 1 else 0}
        case "Gemm":
            return {1: 0 if _integer(node, "transB", 0) else 1, 0: 1 if _integer(node, "transA", 0) else 0}
        case "MatMul":
            return {1: -1, 0: -2}
        case "Gather":
            return {0: 0}
        case "LSTM" | "GRU" | "RNN":  # [directions, gates * hidden, in]
            return {1: 1, 2: 1}
        case _:
            return {}


def _integer(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)
