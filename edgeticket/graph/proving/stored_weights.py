"""The check of stored weights: rebuilt by onnx.reference, they are the planned ones, number by number.

Where values are stored as they are, every constant of the file equals the plan's. Where they are stored rounded on
purpose, each equals what its encoding makes of the planned one. Nothing of the network is run here; proof.py compares
outputs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.errors import ProofError
from edgeticket.graph import evaluate
from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.passes.fold_constants import FOLDABLE, fold_constants
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.reading.load import parse_model
from edgeticket.graph.storing.encoding import Weights, encode
from edgeticket.graph.storing.readers import channel_axes
from edgeticket.graph.values import Array, nonzeros


def rebuilt(model_bytes: bytes, where: str = "the exported model") -> dict[str, Array]:
    """Every constant of a stored file by name, with the chains that rebuild weights evaluated by onnx.reference.

    Raises:
        ModelError: the bytes are no ONNX model.
    """
    return _evaluated(model_bytes, where)[0]


def _evaluated(model_bytes: bytes, where: str) -> tuple[dict[str, Array], frozenset[str], dict[str, int]]:
    """The constants by name, the names of those that are computed from constants alone but were not evaluated, and the
    nonzeros of the layers' weights (of quantised ones: what differs from the zero point).
    """
    proto, _ = inline_functions(parse_model(model_bytes, where))
    model = to_ir(proto)
    fold_constants(model, outputs=True)
    constants = {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }
    fixed = set(constants)  # nodes come after what they read
    for node in model.graph:
        if node.op_type in FOLDABLE and all(value is None or value.name in fixed for value in node.inputs):
            fixed.update(value.name for value in node.outputs if value.name)
    counts = {weight.value.name or "": weight.nonzeros for weight in layer_weights(model.graph)}
    return constants, frozenset(fixed - set(constants)), counts


def check_stored_weights(
    model_bytes: bytes,
    layers: Sequence[LayerInfo],
    *,
    planned: onnx.ModelProto | None = None,
    encoded: Mapping[str, Weights] | None = None,
    lossy: bool = False,
) -> tuple[str, ...]:
    """Compare every layer of the plan, and every constant of the model that was `planned`, with what the file holds.

    `encoded` says of the tensors stored rounded as what: 'fp16' or 'int8', by name; all others must be the same
    numbers. A negative zero is a zero here.

    With `lossy` (stored as fp16 or int8) small weights may have become zero: fewer nonzeros are then as planned, more
    are not. Returns the weights that could not be checked: those so large that what rebuilds them is beyond the
    limit of evaluate.py (2**27 elements, of bits where positions are packed). The proof runs them all the same.

    Raises:
        ProofError: a weight is missing, has another shape, number or number of nonzeros, or should be gone.
        ModelError: the bytes are no ONNX model.
    """
    constants, unevaluated, counts = _evaluated(model_bytes, "the exported model")
    unchecked = []
    for layer in layers:
        array = constants.get(layer.name)
        if layer.removed:
            if array is not None or layer.name in unevaluated:
                raise ProofError(f"the weight {layer.name!r} should be gone, but the exported file holds it")
            continue
        if layer.name in unevaluated and _too_large(layer):
            unchecked.append(layer.name)
            continue
        if array is None:
            raise ProofError(f"the exported file does not hold the weight {layer.name!r}, or not as a constant")
        if tuple(array.shape) != layer.shape_after:
            raise ProofError(
                f"the exported weight {layer.name!r} is {list(array.shape)}, planned was {list(layer.shape_after)}"
            )
        count = counts.get(layer.name, nonzeros(array))
        if count > layer.nonzeros_after or (count < layer.nonzeros_after and not lossy):
            raise ProofError(
                f"the exported weight {layer.name!r} has {count} nonzeros, planned were {layer.nonzeros_after}"
            )
    if planned is not None:
        unchecked += _check_constants(constants, unevaluated, planned, encoded or {})
    return tuple(dict.fromkeys(unchecked))


def _check_constants(
    constants: Mapping[str, Array],
    unevaluated: Collection[str],
    planned: onnx.ModelProto,
    encoded: Mapping[str, Weights],
) -> list[str]:
    """Hold every initializer of `planned` to what the file rebuilds under its name. Returns what was not rebuilt."""
    unchecked = []
    axes = channel_axes(planned.graph)
    for tensor in planned.graph.initializer:
        if tensor.name in unevaluated:
            unchecked.append(tensor.name)
            continue
        array = constants.get(tensor.name)
        if array is None:
            raise ProofError(f"the exported file does not hold the constant {tensor.name!r}, or not as a constant")
        array, wanted = _texts_as_unicode(array), _texts_as_unicode(onnx.numpy_helper.to_array(tensor))
        kind = encoded.get(tensor.name, "fp32")
        if kind != "fp32" and wanted.dtype == np.float32:
            wanted = encode(tensor.name, wanted, kind, axes.get(tensor.name) if wanted.ndim > 1 else None).decoded()
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise ProofError(
                f"the exported constant {tensor.name!r} is {array.dtype}{list(array.shape)}, planned was "
                f"{wanted.dtype}{list(wanted.shape)}"
            )
        differ = (array != wanted) & ~((array != array) & (wanted != wanted))
        if np.any(differ):
            place = tuple(int(axis[0]) for axis in np.nonzero(differ))
            raise ProofError(
                f"the exported constant {tensor.name!r} differs from the planned one in {int(np.sum(differ))} of "
                f"{array.size} numbers: at {list(place)} it is {array[place]}, planned was {wanted[place]}"
            )
    return unchecked


def _texts_as_unicode(array: Array) -> Array:
    """Texts come as bytes from onnx-ir and as objects from onnx; numbers stay as they are."""
    if array.dtype.kind not in "SO":
        return array
    flat = (each.decode("utf-8", "surrogateescape") if isinstance(each, bytes) else str(each) for each in array.flat)
    return np.array(list(flat), np.str_).reshape(array.shape)


def _too_large(layer: LayerInfo) -> bool:
    """Rebuilding takes up to 8 elements for each of the weight's: the bits of a byte of its positions."""
    return 8 * math.prod(layer.shape_after) > evaluate.MAX_ELEMENTS
