"""Rules for the operators that mix channels: Conv, Gemm, MatMul. Everything else ties channels or is a barrier.

An output channel is constant if each of its weights is zero or reads a channel that is constant: then it is
b + Σ v ΣW. A zero-padded convolution mixes a constant v ≠ 0 with zeros at the border, so there only v = 0 counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeticket.graph.channels.state import Bools, Cut, Floats, Linear, State, Units, rank_of
from edgeticket.graph.values import (
    Array,
    attribute,
    constant,
    exact,
    new_constant,
    owned,
    set_attribute,
    set_constant,
    to_dtype,
)


def own_weight(state: State, node: ir.Node) -> Array | None:
    """The weight at input 1 if it may be rewritten; None, with a sentence, if not."""
    weight = node.inputs[1]
    array = constant(weight)
    if weight is None or array is None:
        return None
    if len(weight.uses()) != 1 or weight.is_graph_output():
        state.decline("their weight is shared with another reader", weight.name)
        return None
    if array.dtype not in (np.float32, np.float64):
        state.decline(f"weights of type {array.dtype} are left alone", weight.name)
        return None
    if not np.isfinite(array).all():
        state.decline("their weights are not all finite", weight.name)
        return None
    return array


def bias_of(node: ir.Node, channels: int) -> Floats | None:
    """The constant bias, float64 [channels]; None where it is computed or of another form."""
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return np.zeros(channels)
    array = constant(value)
    if array is None or not one_for_each(array, channels):
        return None
    if not np.isfinite(array).all():
        return None
    assert value is not None
    return np.broadcast_to(exact(value).reshape(-1), (channels,))


def one_for_each(array: Array, channels: int) -> bool:
    """Does it add one number to each of the channels on the last axis: [M], [1, M], or one number for all?

    [M, 1] is none: broadcast against [N, M] it adds a number to each row.
    """
    return array.size == 1 or (array.shape[-1:] == (channels,) and array.size == channels > 0)


def set_bias(graph: ir.Graph, node: ir.Node, bias: Floats, dtype: np.dtype[Any]) -> None:
    """Give a Conv or Gemm the bias [channels], float64, rounded to `dtype`, added once (beta = 1)."""
    rounded = to_dtype(bias, dtype)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        set_constant(owned(node, 2), rounded, bias)
    else:
        weight = node.inputs[1]
        base = (weight.name if weight is not None else None) or "layer.weight"
        node.resize_inputs(3)
        node.replace_input_with(2, new_constant(graph, base.removesuffix(".weight") + ".bias", rounded, bias))
    if node.op_type == "Gemm":
        set_attribute(node, "beta", 1.0)


def matrix(weight: Array, out_axis: int, in_axis: int) -> Array:
    """The weight as [out, in, taps], a view where possible."""
    return np.moveaxis(weight, (out_axis, in_axis), (0, 1)).reshape(weight.shape[out_axis], weight.shape[in_axis], -1)


@dataclass(frozen=True)
class ConstantFlow:
    """Constants through one layer: which weights count, which inputs fold away, which outputs are constant."""

    used: Bools  # [out, in] some tap is not zero
    foldable: Bools  # [in] zero, or constant and not mixed with padding
    shift: Floats  # [out] what the foldable inputs add to the bias
    constant: Floats  # [out] NaN where it varies


def constant_flow(linear: Linear, bias: Floats) -> ConstantFlow:
    """What a layer with this bias [out] makes of the constants among its inputs, in float64."""
    taps = matrix(exact(linear.weight), linear.out_axis, linear.in_axis)
    rounded = constant(linear.weight)
    assert rounded is not None
    source = linear.source.constant
    if linear.depthwise:
        repeat = taps.shape[0] // linear.source.count
        source = np.repeat(source, repeat)
    used: NDArray[np.bool_] = (matrix(rounded, linear.out_axis, linear.in_axis) != 0).any(axis=2)
    fixed = ~np.isnan(source)
    foldable = (source == 0) | (fixed & (not linear.mixes_padding))
    shift = np.zeros(taps.shape[0])
    added = np.flatnonzero(foldable & (source != 0))
    if linear.depthwise:
        shift[added] = source[added] * taps[added, 0].sum(axis=1)
        varies = used[:, 0] & ~foldable
    else:
        if added.size:
            shift = taps[:, added].sum(axis=2) @ source[added]
        varies = used[:, ~foldable].any(axis=1)
    shift = shift * linear.scale
    return ConstantFlow(used, foldable, shift, np.where(varies, np.nan, bias * linear.bias_scale + shift))


def _finish(state: State, draft: Linear, bias: Floats) -> bool:
    """Record the layer and what it makes constant; `draft.result` is recorded already, without constants."""
    output, weight = draft.node.outputs[0], constant(draft.weight)
    result = state.write(output, draft.result.axis, draft.result.units, constant_flow(draft, bias).constant)
    if output.shape is None and weight is not None:  # behind an operator that shape inference does not know
        rank = rank_of(draft.node.inputs[0]) or weight.ndim  # MatMul takes more dimensions than its weight has
        output.shape = ir.Shape([result.count if axis == result.axis else None for axis in range(rank)])
    state.linears.append(replace(draft, result=result))
    return True


def mixes_padding(node: ir.Node, weight: Array) -> bool:
    """Do zeros around the image take part? SAME padding counts as such unless the kernel is 1."""
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "VALID" or (mode.startswith("SAME") and all(size == 1 for size in weight.shape[2:])):
        return False
    return mode.startswith("SAME") or any(attribute(node, "pads", ()))


def conv(state: State, node: ir.Node) -> bool:
    """Conv with group 1, or depthwise (each output channel reads one input channel)."""
    weight = own_weight(state, node)
    group = attribute(node, "group", 1)
    if weight is None or weight.ndim < 3 or node.inputs[0] is None or node.inputs[1] is None:
        return False
    outputs = weight.shape[0]
    bias = bias_of(node, outputs)
    depthwise = group > 1 and weight.shape[1] == 1
    if bias is None or (group > 1 and (not depthwise or outputs % group)):
        return False
    source = state.read(node.inputs[0], 1, group if depthwise else weight.shape[1])
    units = np.repeat(source.units, outputs // group) if depthwise else state.fresh(outputs)
    state.cuts.append(Cut(node, 1, 0, units))
    if not depthwise:
        state.cuts.append(Cut(node, 1, 1, source.units, reads=True))
    _cut_bias(state, node, units)
    result = state.write(node.outputs[0], 1, units)
    padded = mixes_padding(node, weight)
    draft = Linear(node, node.inputs[1], 0, 1, source, result, mixes_padding=padded, depthwise=depthwise)
    return _finish(state, draft, bias)


def gemm(state: State, node: ir.Node) -> bool:
    """Gemm with the weight second and A as it is: [N, K] x [K, M] or [M, K]."""
    weight = own_weight(state, node)
    scale = attribute(node, "alpha", 1.0)
    if weight is None or weight.ndim != 2 or node.inputs[0] is None or node.inputs[1] is None:
        return False
    if attribute(node, "transA", 0) or scale == 0:
        return False
    out_axis = 0 if attribute(node, "transB", 0) else 1
    bias = bias_of(node, weight.shape[out_axis])
    if bias is None:
        return False
    source = state.read(node.inputs[0], 1, weight.shape[1 - out_axis])
    units = state.fresh(weight.shape[out_axis])
    state.cuts += [Cut(node, 1, out_axis, units), Cut(node, 1, 1 - out_axis, source.units, reads=True)]
    _cut_bias(state, node, units)
    result = state.write(node.outputs[0], 1, units)
    beta = attribute(node, "beta", 1.0)
    draft = Linear(node, node.inputs[1], out_axis, 1 - out_axis, source, result, scale=scale, bias_scale=beta)
    return _finish(state, draft, bias)


def matmul(state: State, node: ir.Node) -> bool:
    """MatMul [..., K] x [K, M] with the channels on the last axis."""
    weight = own_weight(state, node)
    rank = rank_of(node.inputs[0])
    if weight is None or weight.ndim != 2 or rank is None or rank < 2:
        return False
    if node.inputs[0] is None or node.inputs[1] is None:
        return False
    source = state.read(node.inputs[0], rank - 1, weight.shape[0])
    units = state.fresh(weight.shape[1])
    state.cuts += [Cut(node, 1, 1, units), Cut(node, 1, 0, source.units, reads=True)]
    result = state.write(node.outputs[0], rank - 1, units)
    return _finish(state, Linear(node, node.inputs[1], 1, 0, source, result), np.zeros(weight.shape[1]))


def _cut_bias(state: State, node: ir.Node, units: Units) -> None:
    array = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if array is not None and array.shape[-1:] == (len(units),):
        state.cuts.append(Cut(node, 2, array.ndim - 1, units))
