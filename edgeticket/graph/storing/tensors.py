"""The tensors of a model that may be packed, each with the encodings that it may have."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgeticket.graph.protos import standard_version
from edgeticket.graph.storing import readers, rebuild
from edgeticket.graph.storing.encoding import (
    TYPES,
    WEIGHTS,
    Encoded,
    Weights,
    as_it_is,
    encode,
    encodings,
)
from edgeticket.graph.storing.layout import Trials, Twin
from edgeticket.graph.storing.narrow import narrowed, narrowed_integers
from edgeticket.graph.storing.writer import Writer, all_names, entry_bytes
from edgeticket.graph.storing.zeros import signed_zeros

Array = NDArray[np.generic]

Key = tuple[int, tuple[int, ...], bytes]

SMALLEST = 17  # elements; shapes, scales and the like stay as they are


@dataclass(frozen=True)
class Survey:
    """The encodings of each tensor, the one asked for first, and the tensors that repeat the numbers of another."""

    encodings: tuple[list[Encoded], ...]
    twins: tuple[Twin, ...]
    names: tuple[str, ...]  # of all, in the model's order


class TensorReader:
    """The initializers of a model that may be packed, read and encoded once however often they are surveyed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.model = model
        self.opset = standard_version(model)
        self.trials = Trials()
        self.taken = all_names(graph)
        self._axes = readers.channel_axes(graph)
        self._points = readers.zero_points(graph)
        self._signed = signed_zeros(graph)
        self._products = _products(graph)
        left = {each.name for each in self._points.values()}  # what rebuilds others is not rebuilt itself
        self._tensors = [tensor for tensor in eligible(graph, self.opset) if tensor.name not in left]
        self._arrays: dict[str, Array] = {}
        self._keys: dict[str, Key] = {}
        self._encoded: dict[tuple[str, str], Encoded] = {}
        self.negative_zeros: dict[str, int] = {}  # how many are kept in a tensor, where its readers tell them apart
        self._narrowed: dict[str, list[Encoded]] = {}

    def survey(self, weights: Weights, dense_notes: Mapping[str, str], writer: Writer, *, packed: bool) -> Survey:
        """The encodings that tensors may have. Those in `dense_notes` stay as they are, with that note.

        With `packed`, a tensor may also rest in a narrower type that holds its numbers, or be made of another one.
        """
        found: list[list[Encoded]] = []
        repeated: list[Twin] = []
        first: dict[Key, str] = {}
        for tensor in self._tensors:
            name = tensor.name
            if name in dense_notes:
                dense = as_it_is(name, self._array(tensor), tensor.data_type)
                found.append([replace(dense, note=dense_notes[name], original_bytes=entry_bytes(tensor.ByteSize()))])
                continue
            each = self._encodings(tensor, weights, packed=packed)
            if not packed:
                found.append(each)
                continue
            twin = Twin(each[-1], first.setdefault(self._key(tensor), name))
            rounded = weights != "fp32" and tensor.data_type == TensorProto.FLOAT
            if rounded and self._axes.get(twin.of) != self._axes.get(name):
                twin = Twin(each[-1], name)  # the same numbers have other scales there
            if twin.of == name and not rounded:  # a product of rounded numbers is not the rounded product
                twin = self._products.get(name, twin)
            expanded = tensor.data_type != TensorProto.BFLOAT16  # Expand of these is not in ONNX Runtime
            if expanded and twin.of != name and _twin_bytes(writer, twin) < each[-1].original_bytes:
                repeated.append(replace(twin, tensor=each[-1]))
            else:
                found.append(each)
        repeated.sort(key=lambda twin: bool(twin.times))  # a factor may repeat another one's numbers
        return Survey(tuple(found), tuple(repeated), tuple(tensor.name for tensor in self._tensors))

    def types(self, weights: Weights) -> tuple[str, ...]:
        """What each tensor rests as where `weights` is asked for; where that is the same, so is all that is stored."""
        return tuple(
            self._encode(tensor, weights).weights if tensor.data_type == TensorProto.FLOAT else TYPES[tensor.data_type]
            for tensor in self._tensors
        )

    def _encodings(self, tensor: onnx.TensorProto, weights: Weights, *, packed: bool) -> list[Encoded]:
        if tensor.data_type != TensorProto.FLOAT:
            exact = self._encode(tensor, TYPES[tensor.data_type])
            if not packed or tensor.data_type not in (TensorProto.INT32, TensorProto.INT64):
                return [exact]
            if tensor.name not in self._narrowed:
                self._narrowed[tensor.name] = narrowed_integers(exact)
            return [*self._narrowed[tensor.name], exact]
        found = encodings(partial(self._encode, tensor), weights)
        if weights != "fp32" or not packed:
            return found
        if tensor.name not in self._narrowed:
            self._narrowed[tensor.name] = narrowed(found[0], bfloat16=self.opset >= rebuild.OPSET_BF16)
        return [*self._narrowed[tensor.name], *found]

    def _encode(self, tensor: onnx.TensorProto, weights: str) -> Encoded:
        """In one encoding: its own type, or for float32 one of Weights."""
        known = self._encoded.get((tensor.name, weights))
        if known is not None:
            return known
        array = self._array(tensor)
        if tensor.data_type == TensorProto.FLOAT:
            [asked] = [each for each in WEIGHTS if each == weights]
            made = encode(
                tensor.name,
                array.astype(np.float32, copy=False),
                asked,
                self._axes.get(tensor.name) if array.ndim > 1 else None,
            )
        else:
            made = as_it_is(tensor.name, array, tensor.data_type, self._points.get(tensor.name))
        made = replace(made, original_bytes=entry_bytes(tensor.ByteSize()), signed_zeros=tensor.name in self._signed)
        self._encoded[tensor.name, weights] = made
        return made

    def _array(self, tensor: onnx.TensorProto) -> Array:
        array = self._arrays.get(tensor.name)
        if array is None:
            array = numpy_helper.to_array(tensor)
            negative = _negative_zeros(array)
            if negative.any() and tensor.name in self._signed:
                self.negative_zeros[tensor.name] = int(negative.sum())
            elif negative.any():
                array = np.where(negative, np.zeros((), array.dtype), array)
            self._arrays[tensor.name] = array
        return array

    def _key(self, tensor: onnx.TensorProto) -> Key:
        """Equal for tensors of the same numbers."""
        known = self._keys.get(tensor.name)
        if known is None:
            array = self._array(tensor)
            known = (tensor.data_type, array.shape, hashlib.sha256(array.tobytes()).digest())
            self._keys[tensor.name] = known
        return known


def _products(graph: onnx.GraphProto) -> dict[str, Twin]:
    """Scales of biases that are, bit by bit, the scale of the layer's input times those of its weight."""
    inputs = {value.name for value in graph.input}
    known = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}
    pairs = readers.bias_scales(graph)
    found: dict[str, Twin] = {}
    for name, pair in pairs.items():
        tensors = [known.get(each) for each in (name, *pair)]
        if any(each is None or each.data_type != TensorProto.FLOAT for each in tensors) or {*pairs} & {*pair}:
            continue
        scale, factor, source = (numpy_helper.to_array(each) for each in tensors if each is not None)
        with np.errstate(all="ignore"):
            same = factor.size == 1 and source.shape == scale.shape and (factor * source).tobytes() == scale.tobytes()
        if same and factor.ndim <= 1:
            found[name] = Twin(as_it_is(name, scale, TensorProto.FLOAT), pair[1], pair[0])
    return found


def eligible(graph: onnx.GraphProto, opset: int) -> list[onnx.TensorProto]:
    """The initializers of more than 16 elements that a chain can rebuild and nobody can override."""
    return [tensor for tensor in _large(graph) if _rebuilt(tensor, opset)]


def unpackable(graph: onnx.GraphProto, opset: int) -> dict[str, list[str]]:
    """Initializers of types that no chain rebuilds: the type's name -> theirs."""
    found: dict[str, list[str]] = {}
    for tensor in _large(graph):
        if not _rebuilt(tensor, opset):
            found.setdefault(TensorProto.DataType.Name(tensor.data_type).lower(), []).append(tensor.name)
    return found


def _large(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    inputs = {value.name for value in graph.input}
    for tensor in graph.initializer:
        small = math.prod(tensor.dims) < SMALLEST
        if not small and tensor.name not in inputs and tensor.data_location != TensorProto.EXTERNAL:
            yield tensor


def _rebuilt(tensor: onnx.TensorProto, opset: int) -> bool:
    return tensor.data_type in TYPES and (tensor.data_type != TensorProto.BFLOAT16 or opset >= rebuild.OPSET_BF16)


def _negative_zeros(array: Array) -> NDArray[np.bool_]:
    if array.dtype.kind in "iub":
        return np.zeros(0, np.bool_)
    with np.errstate(invalid="ignore"):  # numpy's bfloat16 warns of signalling NaNs
        negative: NDArray[np.bool_] = (array == 0) & np.signbit(array)
    return negative


def _twin_bytes(writer: Writer, twin: Twin) -> int:
    trial = writer.fresh()
    rebuild.write_twin(trial, twin.tensor, twin.of, twin.times)
    return trial.size_bytes()
