"""Encodings of a tensor's values on disk: in its own type, or for float32 as fp16 or int8.

Its own type: every bit as it is. What is not stored is the tensor's fill: 0; for small integers their most frequent
value, since zeros of quantised weights are their zero point; or the zero points of each channel, which the file holds.
For other types it is a value that most of a sample have: masks and expanded constants are made of it.

int8: code = round(w / scale) within -127 ... 127, scale = max |w| of the channel / 127, and w is rebuilt as
float32(code) * float32(scale). Scales are stored as fp16 where that saves bytes and all are normal fp16 numbers; codes
are taken against the scale as it is stored, so its rounding costs nothing.

int8 is not always smaller: a depthwise filter of nine weights pays for a scale and a product of its own. So a tensor
has several encodings, the one asked for and those that are more precise, and storage.py takes the fewest bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgeticket.graph.storing import gaps
from edgeticket.graph.storing.gaps import Positions

Array = NDArray[np.generic]
Float32 = NDArray[np.float32]
Weights = Literal["fp32", "fp16", "int8"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)

# What a tensor of each type is called at rest; of others (4 bits, 8-bit floats, strings) no chain is written.
TYPES: dict[int, str] = {
    TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16", TensorProto.DOUBLE: "fp64",
    TensorProto.INT8: "int8", TensorProto.UINT8: "uint8", TensorProto.INT16: "int16", TensorProto.UINT16: "uint16",
    TensorProto.INT32: "int32", TensorProto.INT64: "int64", TensorProto.BOOL: "bool",
}  # fmt: skip
DTYPES: dict[int, str] = {kind: str(onnx.helper.tensor_dtype_to_np_dtype(kind).name) for kind in TYPES}
_SAMPLE = 256  # elements
_KEPT = 1 << 16  # elements: of smaller tensors the positions are kept, which take more memory than the tensor
_OF_POSITIONS = ("_kept_positions", "_stream")  # of Encoded: what is computed once
_COUNTED = (np.int8, np.uint8, np.int16, np.uint16)  # types whose zero may be any number

_CAST_BYTES = 24  # what the node that widens fp16 scales takes itself
_FP16 = np.finfo(np.float16)


@dataclass(frozen=True, eq=False)
class ZeroPoints:
    """The initializer that holds a zero point for each channel, and the shape in which it broadcasts."""

    name: str
    shape: tuple[int, ...]
    array: Array


@dataclass(frozen=True)
class Encoded:
    """One encoded tensor: codes [size] in its own type; of a float32 tensor maybe float16 or int8.

    For codes of int8 that stand for float32 there is a scale that broadcasts over `shape`.
    """

    name: str
    shape: tuple[int, ...]
    codes: Array
    weights: str
    scale: NDArray[np.float16] | Float32 | None = None
    note: str = ""
    original_nonzeros: int = 0
    original_bytes: int = 0  # the initializer's entry in the file
    data_type: int = TensorProto.FLOAT  # of the tensor, not of its codes
    fill: ZeroPoints | float = 0  # what the codes are that are not stored
    lossless: bool = False  # a narrower type that holds every number of the tensor
    signed_zeros: bool = False  # a negative zero is a value like any other
    whole: bool = False  # every code is stored, so that no positions are

    @property
    def exact(self) -> bool:
        """The codes are the tensor's own numbers, bit by bit."""
        return self.weights == TYPES[self.data_type]

    @property
    def base(self) -> Array:
        """What a rebuilt tensor [size] holds where no code is stored."""
        if isinstance(self.fill, ZeroPoints):
            return np.broadcast_to(self.fill.array.reshape(self.fill.shape), self.shape).reshape(-1)
        return np.array([self.fill]).astype(self.codes.dtype)

    @property
    def positions(self) -> Positions:
        """Where the codes are that are stored."""
        return self._kept_positions if self.codes.size <= _KEPT else self._positions()

    @cached_property
    def _kept_positions(self) -> Positions:
        return self._positions()

    def _positions(self) -> Positions:
        if self.whole:
            return np.arange(self.codes.size)
        plain = self.codes.dtype.kind in "iubf"
        if plain and not isinstance(self.fill, ZeroPoints) and self.fill == 0 and not self.signed_zeros:
            return self.codes.nonzero()[0]
        with np.errstate(invalid="ignore"):  # numpy's bfloat16 warns of signalling NaNs
            stored = self.codes != self.base
        if self.signed_zeros and self.fill == 0 and self.codes.dtype.kind not in "iub":
            stored |= np.signbit(self.codes)
        return np.flatnonzero(stored)

    def with_note(self, note: str) -> Encoded:
        """The same with another note; what is known of its positions is known of the copy."""
        copy = replace(self, note=note)
        copy.__dict__.update((name, kept) for name, kept in self.__dict__.items() if name in _OF_POSITIONS)
        return copy

    def decoded(self) -> Float32:
        """The float32 numbers that a file rebuilds from the codes."""
        numbers: Float32 = self.codes.astype(np.float32).reshape(self.shape)
        return numbers if self.scale is None else numbers * self.scale.astype(np.float32)

    @cached_property
    def _stream(self) -> tuple[int, int, int]:
        if self.whole:
            return self.codes.size, 0, 0
        positions = self.positions
        return len(positions), *gaps.shortest(positions)

    @property
    def nonzeros(self) -> int:
        """Codes that are stored: fewer than the weights that are not zero where small ones round to zero."""
        return self._stream[0]

    @property
    def low_bits(self) -> int:
        """The number of low bits for the shortest stream of positions."""
        return self._stream[1]

    @property
    def stream_bytes(self) -> int:
        """What the positions of the stored codes take, packed."""
        return self._stream[2]


def encodings(encoded: Callable[[Weights], Encoded], weights: Weights) -> list[Encoded]:
    """A float32 tensor in the encoding asked for, which comes first, and in every more precise one.

    `encoded` gives it in one encoding.
    """
    finer = WEIGHTS[: WEIGHTS.index(weights) + 1][::-1]
    found = [encoded(each) for each in finer]
    asked = found[0]
    others = {each.weights: each for each in found if each.weights != asked.weights}
    note = f"as {asked.weights} it would take more bytes"
    return [asked, *(each.with_note(asked.note or note) for each in others.values())]


def encode(name: str, array: Float32, weights: Weights, channel_axis: int | None) -> Encoded:
    """Encode `array` of any shape; `channel_axis` None means that int8 does not suit it (biases and the like)."""
    flat = array.reshape(-1)
    codes, encoding, scale, note = _codes(flat, array, weights, channel_axis)
    fill = _likely(flat) if encoding == "fp32" else 0
    return Encoded(name, array.shape, codes, encoding, scale, note, int(np.count_nonzero(flat)), fill=fill)


def as_it_is(name: str, array: Array, data_type: int, zero_points: ZeroPoints | None = None) -> Encoded:
    """`array` of any of TYPES in its own type; `zero_points` are those of its channels where they differ."""
    flat = array.reshape(-1)
    counted = flat.dtype in _COUNTED
    fill: ZeroPoints | float = zero_points or (_most_frequent(flat) if counted else _likely(flat))
    encoded = Encoded(name, array.shape, flat, TYPES[data_type], data_type=data_type, fill=fill)
    return replace(encoded, original_nonzeros=encoded.nonzeros)


def _likely(flat: Array) -> float:
    """The value of most elements of an even sample; 0 where there is none, or it is no number."""
    with np.errstate(all="ignore"):
        sample = flat[:: max(1, len(flat) // _SAMPLE)].astype(np.float64)
        values, counts = np.unique(sample, return_counts=True)
        value = float(values[np.argmax(counts)]) + 0.0  # no negative zero
        exact = np.array([value]).astype(flat.dtype).astype(np.float64)[0] == value
    return value if exact and 2 * counts.max() > len(sample) else 0


def _most_frequent(flat: Array) -> int:
    """The value that occurs most often; 0 where it is one of several."""
    lowest = min(int(flat.min()), 0)
    counts = np.bincount(flat.astype(np.int64) - lowest, minlength=1 - lowest)
    return 0 if counts[-lowest] == counts.max() else int(np.argmax(counts)) + lowest


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
