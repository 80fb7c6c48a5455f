"""The check of stored weights: rebuilt by onnx.reference, they are the planned ones, number by number.

Where values are stored as they are, every constant of the file equals the plan's. Where they are stored rounded on
purpose, each equals what its encoding makes of the planned one. Nothing of the network is run here; proof.py compares
outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.artifact.numbers import is_float
from edgeticket.errors import ProofError
from edgeticket.graph import evaluate
from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.layers import Weight, layer_weights
from edgeticket.graph.passes.fold_constants import FOLDABLE, fold_constants
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.proving.static.scopes import differing, texts_as_unicode
from edgeticket.graph.storing.encoding import Weights, encode
from edgeticket.graph.storing.readers import channel_axes
from edgeticket.graph.storing.zeros import signed_zeros
from edgeticket.graph.values import Array, nonzeros


@dataclass(frozen=True)
class Rebuilt:
    """The constants of a file by name, with the chains that rebuild weights evaluated.

    `unevaluated` are computed from constants alone, and were not evaluated. `weights` are those of layers by name,
    bodies included: two bodies may use one name.
    """

    constants: Mapping[str, Array]
    unevaluated: frozenset[str]
    weights: Mapping[str, Sequence[Weight]]


def evaluated(file: onnx.ModelProto) -> Rebuilt:
    """The constants of a model that was read; the argument is not changed."""
    proto, _ = inline_functions(file)
    model = to_ir(proto)
    unread = [value for node in model.graph for value in node.outputs if value.name and not value.uses()]
    model.graph.outputs.extend(value for value in unread if not value.is_graph_output())  # or they would not be kept
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
    weights: dict[str, list[Weight]] = {}
    for weight in layer_weights(model.graph):
        weights.setdefault(weight.value.name or "", []).append(weight)
    return Rebuilt(constants, frozenset(fixed - set(constants)), weights)


def check_stored_weights(
    found: Rebuilt,
    layers: Sequence[LayerInfo],
    *,
    planned: onnx.ModelProto | None = None,
    encoded: Mapping[str, Weights] | None = None,
    lossy: bool = False,
) -> tuple[str, ...]:
    """Hold the constants of a file to every layer of the plan, and to every constant of the model that was `planned`.

    `encoded` says of the tensors stored rounded as what: 'fp16' or 'int8', by name; all others must be the same
    numbers. A negative zero is a zero here, but where its readers tell the two apart (zeros.py).

    With `lossy` (stored as fp16 or int8) small weights may have become zero: fewer nonzeros are then as planned, more
    are not. Returns the weights that could not be checked: those so large that what rebuilds them is beyond the
    limit of evaluate.py (2**27 elements, of bits where positions are packed). The proof runs them all the same.

    Raises:
        ProofError: a weight is missing, has another shape, number or number of nonzeros, or should be gone.
    """
    constants, unevaluated, weights = found.constants, found.unevaluated, found.weights
    unchecked = []
    for layer in layers:
        array, weight = constants.get(layer.name), _nearest(weights.get(layer.name, []), layer)
        if layer.removed:
            if array is not None or layer.name in unevaluated:
                raise ProofError(f"the weight {layer.name!r} should be gone, but the exported file holds it")
            continue
        if layer.name in unevaluated and _too_large(layer):
            unchecked.append(layer.name)
            continue
        if array is None and weight is not None:  # it rests in the body of a branch or a loop
            array = weight.array
        if array is None:
            raise ProofError(f"the exported file does not hold the weight {layer.name!r}, or not as a constant")
        if tuple(array.shape) != layer.shape_after:
            raise ProofError(
                f"the exported weight {layer.name!r} is {list(array.shape)}, planned was {list(layer.shape_after)}"
            )
        count = nonzeros(array) if weight is None else weight.nonzeros
        if count > layer.nonzeros_after or (count < layer.nonzeros_after and not lossy):
            raise ProofError(
                f"the exported weight {layer.name!r} has {count} nonzeros, planned were {layer.nonzeros_after}"
            )
    if planned is not None:
        unchecked += _check_constants(constants, unevaluated, planned, encoded or {})
    return tuple(dict.fromkeys(unchecked))


def _nearest(found: Sequence[Weight], layer: LayerInfo) -> Weight | None:
    """Of the weights of one name the one that is as planned, if any is."""
    return min(
        found,
        key=lambda weight: (tuple(weight.array.shape) != layer.shape_after, weight.nonzeros != layer.nonzeros_after),
        default=None,
    )


def _check_constants(
    constants: Mapping[str, Array],
    unevaluated: Collection[str],
    planned: onnx.ModelProto,
    encoded: Mapping[str, Weights],
) -> list[str]:
    """Hold every initializer of `planned` to what the file rebuilds under its name. Returns what was not rebuilt."""
    unchecked = []
    as_encoded, signed = encoding_of(planned, encoded), signed_zeros(planned.graph)
    for tensor in planned.graph.initializer:
        if tensor.name in unevaluated:
            unchecked.append(tensor.name)
            continue
        array = constants.get(tensor.name)
        if array is None:
            raise ProofError(f"the exported file does not hold the constant {tensor.name!r}, or not as a constant")
        array = texts_as_unicode(array)
        wanted = as_encoded(tensor.name, texts_as_unicode(onnx.numpy_helper.to_array(tensor)))
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise ProofError(
                f"the exported constant {tensor.name!r} is {array.dtype}{list(array.shape)}, planned was "
                f"{wanted.dtype}{list(wanted.shape)}"
            )
        differ = differing(array, wanted)
        if tensor.name in signed and tensor.name not in encoded and is_float(wanted):
            differ |= (wanted == 0) & (np.signbit(array) != np.signbit(wanted))
        if np.any(differ):
            place = tuple(np.argwhere(differ)[0].tolist())  # () of a scalar
            raise ProofError(
                f"the exported constant {tensor.name!r} differs from the planned one in {int(np.sum(differ))} of "
                f"{array.size} numbers: at {list(place)} it is {array[place]}, planned was {wanted[place]}"
            )
    return unchecked


def encoding_of(planned: onnx.ModelProto, encoded: Mapping[str, Weights]) -> Callable[[str, Array], Array]:
    """From a constant's name and numbers in the plan to the numbers that its encoding makes of them."""
    axes = channel_axes(planned.graph)

    def wanted(name: str, array: Array) -> Array:
        kind = encoded.get(name, "fp32")
        if kind == "fp32" or array.dtype != np.float32:
            return array
        decoded: Array = encode(name, array, kind, axes.get(name) if array.ndim > 1 else None).decoded()
        return decoded

    return wanted


def _too_large(layer: LayerInfo) -> bool:
    """Rebuilding takes up to 8 elements for each of the weight's: the bits of a byte of its positions."""
    return 8 * math.prod(layer.shape_after) > evaluate.MAX_ELEMENTS
