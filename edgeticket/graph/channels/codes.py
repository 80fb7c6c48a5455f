"""Rules for what makes codes of numbers and numbers of codes: QuantizeLinear, DequantizeLinear and the dynamic one.

The constant of a channel of codes is its code. Where rounding decides about it, nothing is known. Behind a
DynamicQuantizeLinear, whose zero point is not known before, it is the code less the zero point.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Channels, Cut, Floats
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.channels.stored import rests
from edgeticket.graph.protos import STANDARD
from edgeticket.graph.values import Array, attribute, constant

_NEAR = 1e-4  # of a step between codes: float32 may round to either side
_ROUNDING = 1e-6  # relative error of a constant that the runtime computes in float32


def quantize(state: State, node: ir.Node) -> bool:
    """QuantizeLinear: clip(round(x / scale) + zero point)."""
    return _scaled(state, node)


def dequantize(state: State, node: ir.Node) -> bool:
    """DequantizeLinear: (x - zero point) scale. That of a constant is read by the layer whose weight or bias it is."""
    value = node.inputs[0]
    if value is not None and rests(node.outputs[0]):
        node.outputs[0].shape = value.shape  # what was cut before has changed it, and nobody else writes it down
        return True
    return _scaled(state, node)


def quantize_dynamically(state: State, node: ir.Node) -> bool:
    """DynamicQuantizeLinear: channels that are 0 may go, because its range always holds 0. All others make the range.

    Their codes are followed where all readers subtract the zero point: ConvInteger and MatMulInteger.
    """
    source = state.followed_input(node.inputs[0])
    output, zero = node.outputs[0], node.outputs[2]
    if (
        source is None
        or output.is_graph_output()
        or not all(_subtracts(use.node, use.idx, zero) for use in output.uses())
    ):
        return False
    state.pin_units(source.units[source.constant != 0])
    _shaped(node)
    state.write_like(output, source, np.where(source.constant == 0, 0.0, np.nan))
    return True


def _subtracts(node: ir.Node, place: int, zero: ir.Value) -> bool:
    integers = node.op_type in ("ConvInteger", "MatMulInteger") and node.domain in STANDARD
    return integers and place < 2 and len(node.inputs) > place + 2 and node.inputs[place + 2] is zero


def _shaped(node: ir.Node) -> None:
    """Codes have the shape of their numbers, where inference does not know it."""
    value, output = node.inputs[0], node.outputs[0]
    if output.shape is None and value is not None:
        output.shape = value.shape


def dynamic_scales(state: State, node: ir.Node) -> bool:
    """The product of a scale that DynamicQuantizeLinear found and a weight's constant ones: one for each channel."""
    for index, value in enumerate(node.inputs if node.op_type == "Mul" else ()):
        array, other = constant(value), node.inputs[1 - index]
        producer = None if other is None else other.producer()
        if array is None or producer is None or producer.op_type != "DynamicQuantizeLinear":
            continue
        axes = tuple(axis for axis, size in enumerate(array.shape) if size > 1)
        if len(axes) == 1 and other is producer.outputs[1]:
            units = state.fresh(array.size)
            state.cuts.append(Cut(node, index, axes, units))
            state.write(node.outputs[0], axes, units)
            return True
    return False


def _scaled(state: State, node: ir.Node) -> bool:
    """What a QuantizeLinear or DequantizeLinear with constant scales makes of channels."""
    source = state.followed_input(node.inputs[0])
    scale, zero = scale_and_zero(node, 1)
    absent = len(node.inputs) < 3 or node.inputs[2] is None
    if source is None or scale is None or (zero is None and not absent) or attribute(node, "block_size", 0):
        return False
    if scale.size != 1 and not _for_each(state, node, source, scale):
        return False
    if node.op_type == "DequantizeLinear":
        shift = 0.0 if zero is None else zero.astype(np.float64).reshape(-1)
        numbers = (source.constant - shift) * scale.astype(np.float64).reshape(-1)
    elif zero is None and attribute(node, "output_dtype", 0):
        numbers = np.full(source.units.shape, np.nan)
    else:
        numbers = quantised(source.constant, scale, np.zeros(1, np.uint8) if zero is None else zero)
    _shaped(node)
    state.write_like(node.outputs[0], source, numbers)
    return True


def _for_each(state: State, node: ir.Node, source: Channels, scale: Array) -> bool:
    """Is there a scale, and a zero point, for each channel? They are cut with them."""
    rank = rank_of(node.inputs[0])
    if rank is None or source.axes != (attribute(node, "axis", 1) % rank,) or scale.shape != (source.count,):
        return False
    places = [index for index in (1, 2) if index < len(node.inputs) and node.inputs[index] is not None]
    state.cuts += [Cut(node, index, (0,), source.units) for index in places]
    return True


def scale_and_zero(node: ir.Node, place: int) -> tuple[Array | None, Array | None]:
    """The constant scale at an input and the zero point at the next; None for one that is computed or left out."""
    scale, zero = (constant(value) for value in [*node.inputs[place : place + 2], None, None][:2])
    return scale, zero


def quantised(numbers: Floats, scale: Array, zero: Array) -> Floats:
    """The codes of numbers; NaN for what is not known, and for what is nearly as near to one code as to the next."""
    if zero.dtype.kind not in "iu":
        return np.full(numbers.shape, np.nan)
    limits, shift = np.iinfo(zero.dtype), zero.astype(np.float64).reshape(-1)
    codes = numbers / scale.astype(np.float64).reshape(-1)
    margin = _NEAR + _ROUNDING * np.abs(codes)
    low, high = (np.clip(np.rint(codes + side) + shift, limits.min, limits.max) for side in (-margin, margin))
    return np.where(low == high, low, np.nan)
