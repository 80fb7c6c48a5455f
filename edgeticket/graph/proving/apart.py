"""How far two outputs are apart in float64, and how far the original moves by one unit in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact.numbers import is_float
from edgeticket.graph.double.operation import Signature
from edgeticket.graph.proving import reference
from edgeticket.graph.proving.finding import Sample
from edgeticket.graph.proving.yardstick import largest

Array = NDArray[Any]
DOUBLE = 2.0**-52


def apart_by(before: Array, now: Array, single: Array | None = None) -> tuple[float, str]:
    """The largest difference; and a reason where they differ in kind, not in size.

    An infinity's sign counts where float32 (`single`) has the same one: else it is that of a zero which either may be.
    """
    if before.shape != now.shape:
        return np.inf, f"has another shape: {shape_text(now)}"
    if not is_float(before) or not is_float(now):
        differ = int(np.sum(before != now))
        return float(differ), f"changed in {differ} of {before.size} entries in float64" if differ else ""
    finite = np.isfinite(before)
    if not np.all(np.isfinite(now[finite])):
        return np.inf, "became NaN or infinite in float64"
    known = single is None or single.shape != before.shape or single == before
    turned = int(np.sum(np.isinf(before) & (now == -before) & known))
    if turned:
        return np.inf, f"has {turned} infinities of the other sign in float64"
    return largest(now[finite] - before[finite]), ""


def nudged_outputs(original: onnx.ModelProto, sample: Sample, by_runtime: frozenset[Signature]) -> dict[str, Array]:
    """The original's outputs in float64 with every weight and input moved by one unit in the last place."""
    rng = np.random.default_rng(52)

    def nudged(array: Array) -> Array:
        return np.asarray(array.astype(np.float64) * (1 + DOUBLE * rng.choice([-1.0, 1.0], array.shape)))

    weights = {
        tensor.name: nudged(onnx.numpy_helper.to_array(tensor))
        for tensor in original.graph.initializer
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    }
    moved = {name: nudged(array) if is_float(array) else array for name, array in sample.feed.items()}
    found = reference.evaluate(original, [moved], weights, by_runtime).outputs
    if found is None or found[0] is None:
        return {}
    return {name: sample.parts.get(name, _whole)(array) for name, array in found[0].items()}


def _whole(array: Array) -> Array:
    return array


def shape_text(array: Array | None) -> str:
    return "none" if array is None else str(list(array.shape))
