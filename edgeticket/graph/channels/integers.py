"""The rule for layers that multiply codes: QLinearConv, QLinearMatMul, QGemm, ConvInteger and MatMulInteger.

They add up (x - zero point of x) (w - zero point of w), and a bias of int32 in units of the product of both scales.
A convolution is padded with the zero point of x. So what equals a zero point is 0, with or without padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.codes import quantised, scale_and_zero
from edgeticket.graph.channels.layers import cut_weight, finish, outputs_of, splits
from edgeticket.graph.channels.records import Channels, Cut, Floats, LayerWeight, Linear
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.channels.stored import layer_weight
from edgeticket.graph.quantized import zero_points
from edgeticket.graph.values import attribute, constant

_WEIGHT = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3, "ConvInteger": 1, "MatMulInteger": 1}
BIAS = {"QLinearConv": 8, "QGemm": 6}
_SCALE = {"QLinearConv": 6, "QLinearMatMul": 6, "QGemm": 7}  # that of the result; its zero point follows


def layer(state: State, node: ir.Node) -> bool:
    """A layer whose weight is a constant on the right."""
    stored, value = layer_weight(state, node, _WEIGHT[node.op_type]), node.inputs[0]
    form = None if stored is None else _form(node, stored)
    if stored is None or value is None or form is None:
        return False
    axis, out_first, groups = form
    rows, columns = stored.array.shape[:2]
    inputs, outputs = (groups * columns, rows) if out_first else (rows, columns)
    bias = _bias(node, outputs)
    if bias is None:
        return False
    source = state.read(value, (axis,), (inputs,))
    source = replace(source, constant=_differences(node, source))
    units = outputs_of(state, source.units, groups, outputs)
    result = state.write(node.outputs[0], (axis,), units)
    draft = Linear(node, stored, (0, 1), out_first, source, result, groups, only_zero=True)
    cut_weight(state, draft)
    place = BIAS.get(node.op_type, len(node.inputs))
    if place < len(node.inputs) and node.inputs[place] is not None:
        state.cuts.append(Cut(node, place, (0,), units))
    return finish(state, draft, bias, _returned(node, outputs))


def _form(node: ir.Node, stored: LayerWeight) -> tuple[int, bool, int] | None:
    """The axis of the channels that are read and made, whether the weight has its outputs first, and its groups."""
    if "Conv" in node.op_type:
        groups = int(attribute(node, "group", 1))
        return (1, True, groups) if splits(stored, groups, out_first=True) else None
    rank = rank_of(node.inputs[0])
    if stored.array.ndim != 2 or rank is None or rank < 2 or attribute(node, "transA", 0):
        return None
    return rank - 1, bool(attribute(node, "transB", 0)), 1


def _bias(node: ir.Node, outputs: int) -> Floats | None:
    """The constant bias; None where it is computed."""
    place = BIAS.get(node.op_type, len(node.inputs))
    if place >= len(node.inputs) or node.inputs[place] is None:
        return np.zeros(outputs)
    array = constant(node.inputs[place])
    return None if array is None or array.shape != (outputs,) else array.astype(np.float64)


def _differences(node: ir.Node, source: Channels) -> Floats:
    """What the codes of constant channels are above their zero point."""
    place = zero_points(node.domain, node.op_type).get(0, 2)
    value = node.inputs[place] if place < len(node.inputs) else None
    zero = constant(value)
    if value is None:
        return source.constant
    if zero is not None and zero.size == 1:
        return source.constant - float(zero.reshape(-1)[0])
    producer = value.producer()
    ours = producer is not None and producer.op_type == "DynamicQuantizeLinear" and value is producer.outputs[2]
    if ours and producer is not None and node.inputs[0] is producer.outputs[0]:
        return source.constant  # codes.py writes these as differences
    return np.full(source.units.shape, np.nan)


def _returned(node: ir.Node, outputs: int) -> Callable[[Floats], Floats] | None:
    """What the layer makes of its sums: codes with a scale of their own; None where it returns the sums."""
    if node.op_type not in _SCALE:
        return None
    weight, place = _WEIGHT[node.op_type], _SCALE[node.op_type]
    scale, zero = scale_and_zero(node, place)
    first, second = constant(node.inputs[1]), constant(node.inputs[weight + 1])
    if scale is None or zero is None or first is None or second is None or first.size > 1 or scale.size > 1:
        return lambda sums: np.full(sums.shape, np.nan)
    alpha = float(attribute(node, "alpha", 1.0))
    factors = alpha * np.broadcast_to(first.astype(np.float64).reshape(-1) * second.reshape(-1), (outputs,))
    return lambda sums: quantised(sums * factors, scale, zero)
