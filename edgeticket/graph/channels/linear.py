"""What a layer with a weight does to constants, and its weight and bias as arrays.

An output channel is constant if each of its weights is zero or reads a channel that is constant: then it is
b + Σ v ΣW. A zero-padded convolution mixes a constant v ≠ 0 with zeros at the border, so there only v = 0 counts.

Letters: G groups, M outputs and C inputs of each group, T taps. A layer without groups has G = 1; in a depthwise one
C = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Bools, Floats, Linear, WeightLayout
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import (
    HALF_AND_SINGLE,
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

_SHARED_ATTRIBUTES = ("group", "transB", "alpha", "beta")
_UNSEEN = np.zeros(0, np.bool_)
_ROUNDED_ONCE = (np.dtype(np.float32), np.dtype(np.float64))


def own_weight(state: State, node: ir.Node, index: int = 1) -> Array | None:
    """The weight at an input, 1 in most layers, if it may be rewritten; None, with a sentence, if not.

    Layers that share it, such as the heads of a detector at several scales, must all be of the same kind.
    """
    weight = node.inputs[index] if len(node.inputs) > index else None
    array = constant(weight)
    if weight is None or array is None:
        return None
    if weight.is_graph_output() or weight in state.barred or not _alike(state, node, index, weight):
        state.decline("their weight is shared with another reader", weight.name)
        return None
    if array.dtype != np.float64 and array.dtype not in HALF_AND_SINGLE:
        state.decline(f"weights of type {array.dtype} are left alone", weight.name)
        return None
    if weight not in state.weights and not np.isfinite(array).all():
        state.weights[weight] = None
    if state.weights.get(weight, _UNSEEN) is None:
        state.decline("their weights are not all finite", weight.name)
        return None
    return array


def _alike(state: State, node: ir.Node, index: int, weight: ir.Value) -> bool:
    """Do all readers of the weight use it in the same way? Then they keep the same channels."""
    return all(
        use.idx == index
        and use.node.graph is state.graph
        and use.node.op_type == node.op_type
        and use.node.domain == node.domain
        and all(attribute(use.node, name, None) == attribute(node, name, None) for name in _SHARED_ATTRIBUTES)
        for use in weight.uses()
    )


def may_round(array: Array) -> bool:
    """May new numbers be computed in this weight's type? In half precision weights are only dropped."""
    return array.dtype in _ROUNDED_ONCE


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
    return np.broadcast_to(exact(value).reshape(-1), (channels,))


def one_for_each(array: Array, channels: int) -> bool:
    """Does it add one number to each of the channels on the last axis: [M], [1, M], or one number for all?

    [M, 1] is none: broadcast against [N, M] it adds a number to each row.
    """
    return array.size == 1 or (array.shape[-1:] == (channels,) and array.size == channels > 0)


def set_bias(graph: ir.Graph, node: ir.Node, bias: Floats, dtype: np.dtype[Any]) -> None:
    """Give a layer the bias [channels], float64, rounded to `dtype`, added once (beta = 1), in a tensor of its own."""
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


def blocks(weight: Array, linear: Linear | WeightLayout) -> Array:
    """The weight as [G, M, C, T]: a view of a weight that lies in one piece, so that writing to it writes the weight.

    Outputs first: [G·M, C, ...] (Conv, transposed Gemm). Inputs first: [G·C, M, ...] (ConvTranspose, MatMul).
    """
    rows, columns = (weight.shape[place] for place in linear.places)
    split = weight.reshape(linear.groups, rows // linear.groups, columns, -1)
    return split if linear.out_first else split.swapaxes(1, 2)


@dataclass(frozen=True)
class ConstantFlow:
    """Constants through one layer: which weights count, which inputs fold away, which outputs are constant."""

    used: Bools  # [G, M, C] some tap is not zero
    foldable: Bools  # [G, C] zero, or constant and free to fold
    shift: Floats  # [G·M] what the foldable inputs add to the bias
    constant: Floats  # [G·M] NaN where it varies


def used_weights(linear: Linear) -> Bools:
    """Which weights count: [G, M, C], some tap is not zero."""
    array = constant(linear.weight)
    assert array is not None
    zero = linear.stored.zero
    used: Bools = np.asarray(blocks(np.asarray(array != (0 if zero is None else zero)), linear).any(axis=3))
    return used


def constant_flow(linear: Linear, bias: Floats, used: Bools) -> ConstantFlow:
    """What a layer with this bias [G·M], of whose weights `used` count, makes of constant inputs, in float64."""
    source = linear.source.constant.reshape(linear.groups, -1)
    foldable = (source == 0) | (~np.isnan(source) & (not linear.only_zero))
    adds = foldable & (source != 0)
    shift = np.zeros(used.shape[:2])
    if adds.any():
        taps = blocks(exact(linear.weight), linear).sum(axis=3)
        shift = np.einsum("gmc,gc->gm", taps, np.where(adds, source, 0.0)) * linear.scale
    varies = (used & ~foldable[:, None]).any(axis=2)
    constants = np.where(varies, np.nan, bias.reshape(shift.shape) * linear.bias_scale + shift)
    return ConstantFlow(used, foldable, shift.reshape(-1), constants.reshape(-1))
