"""The tensors of a model that may be packed, each with the encodings that it may have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgeticket.graph.storing import readers, rebuild
from edgeticket.graph.storing.encoding import TYPES, Encoded, Float32, Weights, as_it_is, encodings, narrowed
from edgeticket.graph.storing.layout import Twin
from edgeticket.graph.storing.writer import Writer, entry_bytes

Array = NDArray[np.generic]

SMALLEST = 17  # elements; shapes, scales and the like stay as they are


@dataclass(frozen=True)
class Survey:
    """The encodings of each tensor, the one asked for first, and the tensors that repeat the numbers of another."""

    encodings: tuple[list[Encoded], ...]
    twins: tuple[Twin, ...]
    names: tuple[str, ...]  # of all, in the model's order


def survey(
    model: onnx.ModelProto, weights: Weights, dense_notes: Mapping[str, str], writer: Writer, *, packed: bool
) -> Survey:
    """Read the initializers that may be packed. Those in `dense_notes` stay as they are, with that note.

    With `packed`, a tensor may also rest in a narrower type that holds its numbers, or be made of another one.
    """
    axes = readers.channel_axes(model.graph)
    points = readers.zero_points(model.graph)
    signed = readers.signed_zeros(model.graph)
    products = _products(model.graph)
    left = {each.name for each in points.values()}  # what rebuilds others is not rebuilt itself
    found: list[list[Encoded]] = []
    repeated: list[Twin] = []
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    names = []
    for tensor in eligible(model.graph, writer.opset):
        if tensor.name in left:
            continue
        names.append(tensor.name)
        original_bytes = entry_bytes(tensor.ByteSize())
        array = numpy_helper.to_array(tensor)
        if tensor.name not in signed and array.dtype.kind not in "iub":
            array = _without_negative_zeros(array)
        if tensor.name in dense_notes:
            dense = replace(as_it_is(tensor.name, array, tensor.data_type), note=dense_notes[tensor.name])
            found.append([replace(dense, original_bytes=original_bytes)])
            continue
        key = (tensor.data_type, array.shape, hashlib.sha256(array.tobytes()).digest())
        if tensor.data_type == TensorProto.FLOAT:
            float32: Float32 = array
            each = encodings(tensor.name, float32, weights, axes.get(tensor.name) if array.ndim > 1 else None)
            if weights == "fp32" and packed:
                each = [*narrowed(each[0], bfloat16=writer.opset >= rebuild.OPSET_BF16), *each]
        else:
            each = [as_it_is(tensor.name, array, tensor.data_type, points.get(tensor.name))]
        each = [replace(one, original_bytes=original_bytes, signed_zeros=tensor.name in signed) for one in each]
        twin = Twin(each[-1], first.setdefault(key, tensor.name))
        if twin.of == tensor.name:
            twin = products.get(tensor.name, twin)
        expanded = tensor.data_type != TensorProto.BFLOAT16  # Expand of these is not in ONNX Runtime
        if packed and expanded and twin.of != tensor.name and _twin_bytes(writer, twin) < original_bytes:
            repeated.append(replace(twin, tensor=each[-1]))
        else:
            found.append(each)
    repeated.sort(key=lambda twin: bool(twin.times))  # a factor may repeat another one's numbers
    return Survey(tuple(found), tuple(repeated), tuple(names))


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
        small = int(np.prod(tensor.dims, dtype=np.int64)) < SMALLEST
        if not small and tensor.name not in inputs and tensor.data_location != TensorProto.EXTERNAL:
            yield tensor


def _rebuilt(tensor: onnx.TensorProto, opset: int) -> bool:
    return tensor.data_type in TYPES and (tensor.data_type != TensorProto.BFLOAT16 or opset >= rebuild.OPSET_BF16)


def _without_negative_zeros(array: Array) -> Array:
    with np.errstate(invalid="ignore"):  # numpy's bfloat16 warns of signalling NaNs
        negative = (array == 0) & np.signbit(array)
    return np.where(negative, np.zeros((), array.dtype), array) if negative.any() else array


def _twin_bytes(writer: Writer, twin: Twin) -> int:
    trial = writer.fresh()
    rebuild.write_twin(trial, twin.tensor, twin.of, twin.times)
    return trial.size_bytes()
