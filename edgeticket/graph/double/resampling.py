"""Resize and Upsample in float64: on each axis a matrix, for which the runtime is asked by resizing a unit matrix.

Every mode of the operator is linear in its input and takes one axis after the other. The runtime computes its
coordinates in float32, and which pixel it takes depends on their last bit; so its matrix is the one that is meant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.double.operation import NotHereError, Operation, Values, runtime_alone

Array = NDArray[Any]
_LONGEST = 4096  # of an axis: its matrix is square or larger


def resize(operation: Operation, inputs: Values) -> list[Array]:
    """Resize from opset 10 on, and Upsample."""
    x = inputs[0]
    policy = operation.attribute("keep_aspect_ratio_policy", "stretch")
    crops = operation.attribute("coordinate_transformation_mode") == "tf_crop_and_resize"
    if x.dtype.kind != "f" or policy != "stretch" or operation.attribute("axes") or crops or max(x.shape) > _LONGEST:
        raise NotHereError("a crop, an aspect ratio, chosen axes or a long axis")
    upsample = operation.node.op_type == "Upsample"
    place = 1 if upsample or operation.version < 11 else 2
    scales = operation.attribute("scales") if upsample and len(inputs) < 2 else inputs[place]
    sizes = inputs[3] if len(inputs) > 3 else None
    if sizes is not None and not np.size(sizes):
        sizes = None
    y = x
    for axis in range(x.ndim):
        if sizes is not None and int(sizes[axis]) != x.shape[axis]:
            one: dict[str, Array] = {"sizes": np.array([1, 1, x.shape[axis], int(sizes[axis])], np.int64)}
        elif sizes is None and float(scales[axis]) != 1:
            one = {"scales": np.array([1, 1, 1, float(scales[axis])], np.float32)}
        else:
            continue
        matrix = _matrix(operation, x.shape[axis], one)
        moved = np.moveaxis(y, axis, -1)
        picked = matrix.argmax(axis=0)
        selects = np.count_nonzero(matrix) == len(picked) and np.all(matrix[picked, np.arange(len(picked))] == 1)
        y = np.moveaxis(moved[..., picked] if selects else moved @ matrix, -1, axis)
    return [np.ascontiguousarray(y)]


def _matrix(operation: Operation, length: int, how: dict[str, Array]) -> Array:
    """[in, out] of one axis, as the last one of an image."""
    node = onnx.NodeProto()
    node.CopyFrom(operation.node)
    unit = np.eye(length, dtype=np.float32)[None, None]
    scales, sizes = how.get("scales"), how.get("sizes")
    if operation.node.op_type == "Upsample" and len(operation.node.input) < 2:
        assert scales is not None
        for entry in node.attribute:
            if entry.name == "scales":
                entry.CopyFrom(onnx.helper.make_attribute("scales", scales.tolist()))
        inputs: list[Any] = [unit]
    elif operation.node.op_type == "Upsample" or operation.version < 11:
        inputs = [unit, scales]
    else:
        empty = np.zeros(0, np.float32)
        inputs = [unit, empty, empty if scales is None else scales, *([] if sizes is None else [sizes])]
    del node.input[:]
    node.input.extend(f"x{index}" for index in range(len(inputs)))
    alone = Operation(node, operation.opsets, (False,) * len(inputs))
    return np.asarray(runtime_alone(alone, inputs)[0][0, 0], np.float64)
