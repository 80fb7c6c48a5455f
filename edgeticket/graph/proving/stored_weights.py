"""The check of stored weights: rebuilt by onnx.reference, they have the planned shapes and numbers of nonzeros.

Nothing of the network is run here; proof.py compares outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.errors import ProofError
from edgeticket.graph import evaluate
from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.passes.fold_constants import FOLDABLE, fold_constants
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.reading.load import parse_model
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


def check_stored_weights(model_bytes: bytes, layers: Sequence[LayerInfo], *, lossy: bool = False) -> tuple[str, ...]:
    """Compare every layer of the plan with what the file holds.

    With `lossy` (stored as fp16 or int8) small weights may have become zero: fewer nonzeros are then as planned, more
    are not. Returns the weights that could not be checked: those so large that what rebuilds them is beyond the
    limit of evaluate.py (2**27 elements, of bits where positions are packed). The proof runs them all the same.

    Raises:
        ProofError: a weight is missing, has another shape or another number of nonzeros, or should be gone.
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
    return tuple(unchecked)


def _too_large(layer: LayerInfo) -> bool:
    """Rebuilding takes up to 8 elements for each of the weight's: the bits of a byte of its positions."""
    return 8 * math.prod(layer.shape_after) > evaluate.MAX_ELEMENTS
