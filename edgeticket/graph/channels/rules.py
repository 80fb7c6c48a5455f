"""What each operator does to channels: a registry from operator to rule.

A rule ties the channels of its output to those of its inputs, carries constants through, and names the constant inputs
that must be cut with them. It returns False, having changed nothing that matters, where it does not know the node.
Such a node, and every operator without a rule, is a barrier: all its inputs' channels stay.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeticket.graph.channels import codes, integers, joining, perchannel, qlinear, reshaping, spatial, splitting
from edgeticket.graph.channels.elementwise import ELEMENTWISE, elementwise
from edgeticket.graph.channels.layers import conv, gemm
from edgeticket.graph.channels.products import product
from edgeticket.graph.channels.recurrent import recurrent
from edgeticket.graph.channels.state import State

Rule = Callable[[State, ir.Node], bool]
_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
_SAMPLERS = ("GlobalLpPool", "GridSample", "LpPool", "MaxRoiPool", "RoiAlign")
_MIXERS = (
    "Hardmax", "LayerNormalization", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "RMSNormalization",
    "Softmax",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(_MIXERS, perchannel.along_other_axes),
    **dict.fromkeys(_POOLS, perchannel.pool),
    **dict.fromkeys(_SAMPLERS, perchannel.sample),
    **dict.fromkeys((f"Reduce{kind}" for kind in _REDUCTIONS), perchannel.reduce),
    **dict.fromkeys(("Conv", "ConvTranspose"), conv),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"), integers.layer),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), recurrent),
    **dict.fromkeys(("Resize", "Upsample"), spatial.resize),
    "BatchNormalization": perchannel.batch_normalization,
    "Concat": joining.concat,
    "DequantizeLinear": codes.dequantize,
    "DepthToSpace": spatial.depth_to_space,
    "DynamicQuantizeLinear": codes.quantize_dynamically,
    "Expand": spatial.expand,
    "Flatten": reshaping.flatten,
    "Gather": splitting.gather,
    "Gemm": gemm,
    "GroupNormalization": perchannel.group_normalization,
    "InstanceNormalization": perchannel.instance_normalization,
    "MatMul": product,
    "Pad": spatial.pad,
    "QuantizeLinear": codes.quantize,
    "Reshape": reshaping.reshape,
    "Shape": reshaping.shape,
    "Slice": splitting.slice_,
    "SpaceToDepth": spatial.space_to_depth,
    "Split": splitting.split,
    "Squeeze": reshaping.squeeze,
    "Transpose": reshaping.transpose,
    "Unsqueeze": reshaping.unsqueeze,
}
# Operators of com.microsoft.
CONTRIB_RULES: dict[str, Rule] = {
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), qlinear.binary),
    **dict.fromkeys(("QLinearLeakyRelu", "QLinearSigmoid"), qlinear.unary),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool"), qlinear.pool),
    "DequantizeLinear": codes.dequantize,
    "QGemm": integers.layer,
    "QLinearConcat": qlinear.concat,
    "QuantizeLinear": codes.quantize,
}
