"""Bind a ticket's weights to its traced graph, whose parameters are graph inputs: m ⊙ θ becomes the initializers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from edgeticket.errors import ModelError
from edgeticket.graph.reading.load import parse_model
from edgeticket.graph.values import Array
from edgeticket.ticket.mask import Mask


def bind(graph: bytes, weights: Mapping[str, Array], mask: Mask | None) -> onnx.ModelProto:
    """The graph with `weights` as initializers instead of inputs, exactly 0 wherever `mask` is False.

    Weights that the graph does not read (a counter of batches, say) are left out. Initializers come in the order of the
    graph's inputs, so that the same ticket gives the same bytes.

    Raises:
        ModelError: the graph does not parse, a weight or mask has another shape than the graph's input, or a mask
            names a weight that is not there.
    """
    model = parse_model(graph, "the ticket's graph")
    missing = sorted(set(mask or {}) - set(weights))
    if missing:
        raise ModelError(f"the ticket's mask names {missing[0]!r}, which its weights lack. Find the ticket again.")
    inputs = []
    for entry in model.graph.input:
        if entry.name not in weights:
            inputs.append(entry)
            continue
        array = np.asarray(weights[entry.name])
        _check_shape(entry, array)
        if mask is not None and entry.name in mask:
            array = _masked(entry.name, array, mask)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(array, order="C"), entry.name))
    if not inputs:
        raise ModelError("the ticket's graph has no input left besides its weights. Find the ticket again.")
    kept = [onnx.ValueInfoProto.FromString(entry.SerializeToString()) for entry in inputs]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model


def _check_shape(entry: onnx.ValueInfoProto, array: Array) -> None:
    kind = entry.type.tensor_type
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    if shape != array.shape or kind.elem_type != onnx.helper.np_dtype_to_tensor_dtype(array.dtype):
        raise ModelError(
            f"the weight {entry.name!r} is {array.dtype} {list(array.shape)}, the ticket's graph wants "
            f"{onnx.TensorProto.DataType.Name(kind.elem_type)} {list(shape)}. Find the ticket again."
        )


def _masked(name: str, array: Array, mask: Mask) -> Array:
    """Selected, not multiplied: -1 · 0 would be -0, and NaN · 0 NaN."""
    if mask[name].shape != array.shape:
        raise ModelError(f"the mask of {name!r} is {list(mask[name].shape)}, its weight {list(array.shape)}.")
    return np.where(mask[name], array, array.dtype.type(0))
