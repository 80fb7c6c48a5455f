"""The weight and the bias of a layer where they rest: initializers that it reads, maybe behind a DequantizeLinear.

A quantised weight is followed like any other: what equals its zero point is 0. It is cut together with the scales and
zero points that it has for each channel. Numbers are never changed but to the zero point.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import bias_of, one_for_each, own_weight
from edgeticket.graph.channels.records import Cut, Floats, LayerWeight, Units
from edgeticket.graph.channels.state import State
from edgeticket.graph.quantized import broadcast_shape, zero_points
from edgeticket.graph.values import Array, attribute, constant

_CODES = frozenset(
    np.dtype(kind) for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, ml_dtypes.int4, ml_dtypes.uint4)
)


def rests(value: ir.Value | None) -> bool:
    """Is it an initializer that nobody can override, or one that a DequantizeLinear reads?"""
    return constant(value) is not None or dequantiser(value) is not None


def dequantiser(value: ir.Value | None) -> ir.Node | None:
    """The node that makes numbers of a constant's codes."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "DequantizeLinear" or node.domain not in ("", "ai.onnx", "com.microsoft"):
        return None
    return node if all(entry is None or constant(entry) is not None for entry in node.inputs) else None


def layer_weight(state: State, node: ir.Node, index: int) -> LayerWeight | None:
    """The weight at an input, if it may be rewritten; None, maybe with a sentence, if not."""
    value = node.inputs[index] if len(node.inputs) > index else None
    if value is None:
        return None
    reader = dequantiser(value)
    if reader is None and index not in zero_points(node.domain, node.op_type):
        array = own_weight(state, node, index)
        return None if array is None else LayerWeight(value, node, index, array)
    found = codes(node, index) if reader is None else codes(reader, 0)
    if found is None:
        return None
    several = len(value.uses()) > 1 or len(found.value.uses()) > 1
    if several or found.value.is_graph_output() or value.is_graph_output():
        state.decline("their weight is shared with another reader", found.value.name)
        return None
    return found


def codes(node: ir.Node, index: int) -> LayerWeight | None:
    """The codes at an input of a node that knows their scale and zero point; None where these are of another form."""
    value = node.inputs[index]
    array = constant(value)
    place = zero_points(node.domain, node.op_type)[index]
    if value is None or array is None or array.dtype not in _CODES or attribute(node, "block_size", 0):
        return None
    beside, zero = [], None
    scaled = () if node.op_type.endswith("Integer") else (place - 1,)
    for other in (*scaled, place):
        vector = node.inputs[other] if other < len(node.inputs) else None
        if vector is None and other == place:
            continue
        numbers = constant(vector)
        shape = (
            None
            if numbers is None
            else broadcast_shape(
                node.op_type, lambda name, default: int(attribute(node, name, default)), array.shape, numbers.shape
            )
        )
        if numbers is None or shape is None:
            return None
        if shape:
            beside.append((other, array.ndim - len(shape)))
        if other == place:
            zero = numbers.reshape(shape)
    return LayerWeight(value, node, index, array, zero, tuple(beside), quantised=True)


def layer_bias(node: ir.Node, index: int, channels: int) -> Floats | None:
    """The bias at an input, float64 [channels], which may be int32 behind a DequantizeLinear; None where it is not."""
    reader = dequantiser(node.inputs[index] if len(node.inputs) > index else None)
    if reader is None:
        return bias_of(node, channels)
    found = codes(reader, 0)
    if found is None or not one_for_each(found.array, channels):
        return None
    return np.broadcast_to(real(found).reshape(-1), (channels,))


def dequantised(value: ir.Value) -> LayerWeight | None:
    """A constant operand behind a DequantizeLinear, with one scale, that nobody else reads."""
    reader = dequantiser(value)
    found = None if reader is None or len(value.uses()) > 1 or value.is_graph_output() else codes(reader, 0)
    return None if found is None or found.beside else found


def real(found: LayerWeight) -> Array:
    """The numbers that codes behind a DequantizeLinear stand for, in float64."""
    scale = constant(found.node.inputs[1])
    assert scale is not None
    moved = found.array.astype(np.float64) - (0 if found.zero is None else found.zero.astype(np.float64))
    axes = dict(found.beside)
    spread = [1] * found.array.ndim
    if 1 in axes:
        spread[axes[1]] = -1
    result: Array = moved * scale.astype(np.float64).reshape(spread)
    return result


def cut_bias(state: State, node: ir.Node, index: int, units: Units) -> None:
    """The bias at an input is cut with the layer's outputs, and so are its scales and zero points."""
    value = node.inputs[index] if len(node.inputs) > index else None
    reader = dequantiser(value)
    if reader is not None:
        node, index = reader, 0
        found = codes(reader, 0)
        assert found is not None
        state.cuts += [Cut(node, place, (0,), units) for place, _ in found.beside]
        value = found.value
    array = constant(value)
    if array is not None and array.shape[-1:] == (len(units),):
        state.cuts.append(Cut(node, index, (array.ndim - 1,), units))
