"""What each operator does to channels: a registry from operator to rule.

A rule ties the channels of its output to those of its inputs, carries constants through, and names the constant inputs
that must be cut with them. It returns False, having changed nothing that matters, where it does not know the node.
Such a node, and every operator without a rule, is a barrier: all its inputs' channels stay.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeticket.graph.channels.elementwise import ELEMENTWISE, elementwise
from edgeticket.graph.channels.linear import conv, gemm, matmul
from edgeticket.graph.channels.perchannel import batch_normalization, pool, reduce
from edgeticket.graph.channels.reshaping import concat, flatten, reshape, shape, squeeze, transpose, unsqueeze
from edgeticket.graph.channels.state import State

Rule = Callable[[State, ir.Node], bool]

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise),
    "AveragePool": pool,
    "BatchNormalization": batch_normalization,
    "Concat": concat,
    "Conv": conv,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": pool,
    "GlobalMaxPool": pool,
    "MatMul": matmul,
    "MaxPool": pool,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceMin": reduce,
    "Reshape": reshape,
    "Shape": shape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
