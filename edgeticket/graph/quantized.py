"""What stands for zero in quantised weights: which input of an operator holds it, and along which axis it varies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_MS = "com.microsoft"

# (domain, operator) -> {input of the quantised numbers: input of their zero points}
ZERO_POINTS: dict[tuple[str, str], dict[int, int]] = {
    ("", "DequantizeLinear"): {0: 2},
    ("", "QLinearConv"): {3: 5},
    ("", "ConvInteger"): {1: 3},
    ("", "QLinearMatMul"): {0: 2, 3: 5},
    ("", "MatMulInteger"): {0: 2, 1: 3},
    (_MS, "DequantizeLinear"): {0: 2},
    (_MS, "QGemm"): {0: 2, 3: 5},
    (_MS, "QLinearAdd"): {0: 2, 3: 5},
    (_MS, "QLinearMul"): {0: 2, 3: 5},
    (_MS, "QLinearWhere"): {1: 3, 4: 6},
    (_MS, "MatMulIntegerToFloat"): {0: 4, 1: 5},
    (_MS, "DynamicQuantizeMatMul"): {1: 3},
    (_MS, "QAttention"): {1: 7},
    (_MS, "DynamicQuantizeLSTM"): {1: 9, 2: 11},
}
# Operators with layers' weights among those inputs -> which.
QUANTIZED_WEIGHTS: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "QLinearConv"): (3,),
    ("", "ConvInteger"): (1,),
    ("", "QLinearMatMul"): (0, 3),
    ("", "MatMulInteger"): (0, 1),
    (_MS, "QGemm"): (3,),
    (_MS, "MatMulIntegerToFloat"): (1,),
    (_MS, "DynamicQuantizeMatMul"): (1,),
    (_MS, "QAttention"): (1,),
    (_MS, "DynamicQuantizeLSTM"): (1, 2),
}


def zero_points(domain: str, op_type: str) -> dict[int, int]:
    """The inputs of an operator that hold quantised numbers, and those that hold their zero points."""
    return ZERO_POINTS.get(("" if domain == "ai.onnx" else domain, op_type), {})


def quantized_weights(domain: str, op_type: str) -> tuple[int, ...]:
    """The inputs of an operator that are quantised weights of a layer."""
    return QUANTIZED_WEIGHTS.get(("" if domain == "ai.onnx" else domain, op_type), ())


def broadcast_shape(
    op_type: str, integer: Callable[[str, int], int], shape: Sequence[int], zero_points_shape: Sequence[int]
) -> tuple[int, ...] | None:
    """The shape in which zero points broadcast over numbers of `shape`; None where that is not one for each channel.

    `integer` gives an attribute of the operator, or the default.
    """
    count, rank = math.prod(zero_points_shape), len(shape)
    if count == 1:
        return ()
    if len(zero_points_shape) != 1:  # blocks, or one for each direction of an LSTM
        return None
    if op_type == "DequantizeLinear":
        axis = integer("axis", 1)
    elif op_type.endswith("Conv") or op_type == "ConvInteger" or (op_type == "QGemm" and integer("transB", 0)):
        axis = 0
    else:
        axis = -1
    if not -rank <= axis < rank or shape[axis] != count:
        return None
    return (count, *([1] * (rank - 1 - axis % rank)))
