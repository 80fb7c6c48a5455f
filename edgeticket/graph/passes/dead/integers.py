"""Constant channels fold into the bias of a quantised layer, in integers: b + Σ (x_i - zero of x) Σ (W_i - zero of W).

The bias is int32 in units of the product of the scales of what is read and of the weight, so nothing is rounded. Left
alone with a sentence: layers without such a bias, sums that int32 does not hold, and a constant before zero padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.integers import BIAS
from edgeticket.graph.channels.layers import mixes_padding
from edgeticket.graph.channels.linear import blocks
from edgeticket.graph.channels.records import Bools, Floats, Linear, WeightLayout
from edgeticket.graph.channels.state import State
from edgeticket.graph.channels.stored import codes, dequantiser
from edgeticket.graph.values import Array, attribute, change_constant, constant, new_constant, owned, set_constant

_SAME = 1e-6  # relative: a scale is the product of two that float32 rounds
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class _Bias:
    """The int32 numbers [G·M], and the node and input that hold them; there may be none yet."""

    numbers: Array
    node: ir.Node
    index: int


def fold_integer_constants(state: State, linear: Linear) -> int:
    """Add to the bias what constant channels other than 0 contribute, exactly. Returns how many folded."""
    assert linear.used is not None
    source = linear.source.constant.reshape(linear.groups, -1)
    gone = linear.used.any(axis=1) & ~np.isnan(source) & (source != 0)
    if not gone.any():
        return 0
    bias = None
    reason = "through zero padding"
    if "Conv" not in linear.node.op_type or not mixes_padding(linear.node, linear.stored.array):
        bias, reason = _bias(linear), "and no bias of int32 can take it exactly"
    unit = None if bias is None else _unit(linear)
    if bias is None or unit is None:
        state.decline(f"a constant other than 0 arrives {reason}, so that channel stays", linear.weight.name)
        return 0
    steps = np.rint(np.where(gone, source, 0) / unit).astype(np.int64)
    array, zero = linear.stored.array.astype(np.int64), linear.stored.zero
    differences = array if zero is None else array - zero.astype(np.int64)
    taps = blocks(np.ascontiguousarray(differences), linear).sum(axis=3)
    moved = bias.numbers + np.einsum("gmc,gc->gm", taps, steps).reshape(-1)
    if moved.min() < _INT32.min or moved.max() > _INT32.max:
        state.decline("the folded bias would not fit into int32", linear.weight.name)
        return 0
    _write(state.graph, linear, bias, moved.astype(np.int32))
    change_constant(linear.weight, partial(without, linear.layout, zero, gone))
    return int(np.count_nonzero(gone))


def without(layout: WeightLayout, zero: Array | None, gone: Bools, weight: Array) -> Array:
    """A layer's weight with the columns `gone` [G, C] set to 0, or to the `zero` that stands for it."""
    changed = np.array(weight, order="C")
    if zero is None:
        blocks(changed, layout).swapaxes(1, 2)[gone] = 0
    else:
        zeros = np.array(np.broadcast_to(zero, weight.shape), order="C")
        blocks(changed, layout).swapaxes(1, 2)[gone] = blocks(zeros, layout).swapaxes(1, 2)[gone]
    return changed


def _unit(linear: Linear) -> float | None:
    """How much one step between the codes of the input is in `source.constant`; None where that is not known."""
    if linear.node.op_type in BIAS:
        return 1.0  # these are differences of codes
    scale = _scale_read(linear)
    return None if scale is None else float(scale)


def _scale_read(linear: Linear) -> Floats | None:
    """The scale of the DequantizeLinear that a layer reads, which may be flattened between."""
    value = linear.node.inputs[0]
    producer = None if value is None else value.producer()
    while producer is not None and producer.op_type in ("Flatten", "Reshape", "Squeeze", "Transpose"):
        value = producer.inputs[0]
        producer = None if value is None else value.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        return None
    scale = constant(producer.inputs[1])
    return None if scale is None or scale.size != 1 else scale.reshape(()).astype(np.float64)


def _bias(linear: Linear) -> _Bias | None:
    """The bias that adds up with products of codes; None where there is none, or it has units of its own."""
    node, count = linear.node, linear.result.count
    if node.op_type in BIAS:
        assert linear.bias is not None
        return _Bias(linear.bias.astype(np.int64), node, BIAS[node.op_type])
    value = node.inputs[2] if len(node.inputs) > 2 else None
    reader = dequantiser(value)
    if value is None or reader is None or len(value.uses()) > 1 or value.is_graph_output():
        return None
    found, first = codes(reader, 0), _scale_read(linear)
    second, third = constant(linear.stored.node.inputs[1]), constant(reader.inputs[1])
    plain = attribute(node, "alpha", 1.0) == attribute(node, "beta", 1.0) == 1
    if found is None or first is None or second is None or third is None or not plain:
        return None
    if found.array.dtype != np.int32 or found.array.shape != (count,) or (found.zero is not None and found.zero.any()):
        return None
    if second.size not in (1, count) or third.size not in (1, count):
        return None
    wanted, there = first * second.astype(np.float64).reshape(-1), third.astype(np.float64).reshape(-1)
    if not np.allclose(wanted, there, rtol=_SAME, atol=0):
        return None
    return _Bias(found.array.astype(np.int64), reader, 0)


def _write(graph: ir.Graph, linear: Linear, bias: _Bias, numbers: Array) -> None:
    if bias.index < len(bias.node.inputs) and bias.node.inputs[bias.index] is not None:
        set_constant(owned(bias.node, bias.index), numbers)
        return
    bias.node.resize_inputs(max(bias.index + 1, len(bias.node.inputs)))
    bias.node.replace_input_with(bias.index, new_constant(graph, f"{linear.weight.name}.bias", numbers))
