"""What is left of a channel that is one number everywhere, behind operators that take several of its elements together.

Each function returns NaN for channels that vary, and where what comes is not one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Floats
from edgeticket.graph.channels.state import rank_of
from edgeticket.graph.values import attribute, exact, shape_of

_REPEATED: dict[str, Callable[[Floats, int], Floats]] = {
    "ReduceL1": lambda x, count: count * np.abs(x),
    "ReduceL2": lambda x, count: np.sqrt(count) * np.abs(x),
    "ReduceLogSum": lambda x, count: np.log(count * x),
    "ReduceLogSumExp": lambda x, count: x + np.log(count),
    "ReduceProd": lambda x, count: x**count,
    "ReduceSum": lambda x, count: count * x,
    "ReduceSumSquare": lambda x, count: count * x**2,
}


def count_of(node: ir.Node, axes: set[int]) -> int | None:
    """How many elements these axes of the node's input have; None where a length is not known."""
    dims = shape_of(node.inputs[0]) if node.inputs[0] is not None else None
    lengths = [dim for axis, dim in enumerate(dims or ()) if axis in axes and isinstance(dim, int)]
    return math.prod(lengths) if len(lengths) == len(axes) and all(lengths) else None


def reduced_to(kind: str, numbers: Floats, count: int | None) -> Floats:
    """What a reduction makes of a channel that is the same number `count` times."""
    if kind in ("ReduceMean", "ReduceMax", "ReduceMin"):
        return numbers
    if count is None:
        return np.where((numbers == 0) & (kind not in ("ReduceLogSum", "ReduceLogSumExp")), 0.0, np.nan)
    with np.errstate(all="ignore"):
        return np.asarray(_REPEATED[kind](numbers, count), np.float64)


def spread_evenly(node: ir.Node, numbers: Floats, count: int | None) -> Floats | None:
    """What a softmax or a norm makes of a channel that is the same number `count` times; None if that is not followed.

    What a channel of zeros divided by its norm is, runtimes do not agree on.
    """
    if node.op_type == "LpNormalization" and count is not None:
        return np.where(numbers == 0, np.nan, np.sign(numbers) / count ** (1 / attribute(node, "p", 2)))
    if count is None or node.op_type not in ("Softmax", "LogSoftmax"):
        return None
    share = 1 / count if node.op_type == "Softmax" else -np.log(count)
    return np.where(np.isnan(numbers), np.nan, share)


def window(node: ir.Node) -> int | None:
    """How many elements each number of an LpPool is made of; None where they differ at the border or are not known."""
    if node.op_type == "GlobalLpPool":
        rank = rank_of(node.inputs[0])
        return None if rank is None else count_of(node, set(range(2, rank)))
    if (
        any(attribute(node, "pads", ()))
        or attribute(node, "ceil_mode", 0)
        or attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    ):
        return None
    return int(math.prod(attribute(node, "kernel_shape", ())))


def group_normalised(node: ir.Node, numbers: Floats, groups: int) -> Floats:
    """What the normalisation makes of a group whose channels are all constant."""
    scale, bias = (exact(value) for value in node.inputs[1:3] if value is not None)
    rows = numbers.reshape(groups, -1)
    spread = rows - rows.mean(axis=1, keepdims=True)
    epsilon = np.float64(np.float32(attribute(node, "epsilon", 1e-5)))
    with np.errstate(all="ignore"):
        rows = spread / np.sqrt((spread**2).mean(axis=1, keepdims=True) + epsilon)
        shape = (groups, -1 if scale.size == numbers.size else 1)
        return np.asarray(rows * scale.reshape(shape) + bias.reshape(shape)).reshape(-1)
