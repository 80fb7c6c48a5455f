"""Rules for layers with a weight: Conv, ConvTranspose, Gemm, and MatMul with a constant on either side."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.grid import compact, kept_shape
from edgeticket.graph.channels.linear import bias_of, blocks, constant_flow, may_round, own_weight, used_weights
from edgeticket.graph.channels.records import Channels, Cut, Fix, Floats, Grid, Keep, Linear, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import Array, attribute, change_constant, constant, owned, set_attribute


def mixes_padding(node: ir.Node, weight: Array) -> bool:
    """Do zeros around the image take part? SAME padding counts as such unless the kernel is 1.

    A transposed convolution leaves taps out at the border, and between its strides.
    """
    if node.op_type == "ConvTranspose":
        return True
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "VALID" or (mode.startswith("SAME") and all(size == 1 for size in weight.shape[2:])):
        return False
    return mode.startswith("SAME") or any(attribute(node, "pads", ()))


def conv(state: State, node: ir.Node) -> bool:
    """Conv [G·M, C, ...] and ConvTranspose [G·C, M, ...], with any number of groups."""
    weight = own_weight(state, node)
    groups = attribute(node, "group", 1)
    out_first = node.op_type == "Conv"
    image, kernel = node.inputs[0], node.inputs[1]
    if weight is None or weight.ndim < 3 or image is None or kernel is None or groups < 1 or weight.shape[0] % groups:
        return False
    inputs, outputs = (groups * weight.shape[1], weight.shape[0])[:: 1 if out_first else -1]
    bias = bias_of(node, outputs)
    alone = len(kernel.uses()) == 1
    if bias is None or (1 < groups < inputs and not alone):
        return False
    source = state.read(image, (1,), (inputs,))
    units = _result(state, source.units, groups, outputs)
    only_zero = mixes_padding(node, weight) or not may_round(weight)
    result = state.write(node.outputs[0], (1,), units)
    draft = Linear(node, kernel, (0, 1), out_first, source, result, groups, only_zero)
    _cut_weight(state, draft)
    _cut_bias(state, node, units)
    return _finish(state, draft, bias)


def _result(state: State, source: Units, groups: int, outputs: int) -> Units:
    """The outputs' units: their own in most layers, those of the input where each group reads one channel.

    Groups of several channels go as a whole, or lose the same number of inputs, and of outputs, each.
    """
    if groups > 1 and source.size == groups:
        return np.repeat(source, outputs // groups)
    units = state.fresh(outputs)
    if groups > 1:
        group = state.fresh(groups)
        state.grids += [Grid(part.reshape(groups, -1), 1, {0: group}) for part in (source, units)]
    return units


def _cut_weight(state: State, linear: Linear) -> None:
    """Which axes of the weight follow which units; a weight in groups of several channels is rewritten as a whole."""
    node, (first, second) = linear.node, linear.places
    source, result = linear.source.units, linear.result.units
    index = list(node.inputs).index(linear.weight)
    if linear.groups == 1:
        made, read = (first, second) if linear.out_first else (second, first)
        state.cuts += [Cut(node, index, (made,), result), Cut(node, index, (read,), source, reads=True)]
        return
    if source.size == linear.groups:  # depthwise: a row of weights, or a block of them, for each channel
        state.cuts.append(Cut(node, index, (first,), result if linear.out_first else source))
        state.fixes.append(Fix(node, partial(_regroup, node, source)))
        return
    state.fixes.append(Fix(node, partial(_cut_groups, linear)))


def _regroup(node: ir.Node, source: Units, keep: Keep) -> None:
    """A depthwise layer has as many groups as channels are left."""
    set_attribute(node, "group", int(keep(source).sum()))


def _cut_groups(linear: Linear, keep: Keep) -> None:
    """Drop whole groups, and as many inputs and outputs of each of the others."""
    groups = linear.groups
    inputs, outputs = (keep(part.units).reshape(groups, -1) for part in (linear.source, linear.result))
    if inputs.all() and outputs.all():
        return
    left, made = kept_shape(inputs, 1)
    _, read = kept_shape(outputs, 1)

    def change(weight: Array) -> Array:
        split = blocks(np.ascontiguousarray(weight), linear)  # [G, M, C, T]
        split = compact(split, (0, 2), inputs, 1)
        split = compact(split, (0, 1), outputs[outputs.any(axis=1)], 1)
        if not linear.out_first:
            split = split.swapaxes(1, 2)
        return split.reshape(split.shape[0] * split.shape[1], split.shape[2], *weight.shape[2:])

    assert (left, made, read) == (int(outputs.any(axis=1).sum()), made, read)
    change_constant(owned(linear.node, 1), change)
    set_attribute(linear.node, "group", left)


def _cut_bias(state: State, node: ir.Node, units: Units) -> None:
    array = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if array is not None and array.shape[-1:] == (len(units),):
        state.cuts.append(Cut(node, 2, (array.ndim - 1,), units))


def _finish(state: State, draft: Linear, bias: Floats) -> bool:
    """Record the layer and what it makes constant; `draft.result` is recorded already, without constants."""
    output, weight = draft.node.outputs[0], constant(draft.weight)
    if draft.weight not in state.weights:
        state.weights[draft.weight] = used_weights(draft)
    used = state.weights[draft.weight]
    assert used is not None
    flow = constant_flow(draft, bias, used)
    result = state.write(output, draft.result.axes, draft.result.units, flow.constant)
    if output.shape is None and weight is not None:  # behind an operator that shape inference does not know
        rank = rank_of(draft.node.inputs[0 if draft.node.op_type != "MatMul" else _moving(draft.node)]) or weight.ndim
        output.shape = ir.Shape([result.count if axis == result.axes[0] else None for axis in range(rank)])
    if output.dtype is None and draft.weight.dtype is not None:
        output.dtype = draft.weight.dtype
    layer = replace(draft, result=result, used=flow.used)
    state.linears.append(layer)
    if len(layer.weight.uses()) > 1:
        first = state.shared.setdefault(layer.weight, layer)
        state.tie(first.source.units, layer.source.units)
        state.tie(first.result.units, layer.result.units)
    return True


def gemm(state: State, node: ir.Node) -> bool:
    """Gemm with the weight second: [N, K], or [K, N] with transA, times [K, M] or [M, K]."""
    weight = own_weight(state, node)
    scale = attribute(node, "alpha", 1.0)
    rows, matrix = node.inputs[0], node.inputs[1]
    if weight is None or weight.ndim != 2 or rows is None or matrix is None or scale == 0:
        return False
    out_first = bool(attribute(node, "transB", 0))
    inputs, outputs = weight.shape[:: -1 if out_first else 1]
    bias = bias_of(node, outputs)
    if bias is None:
        return False
    source = state.read(rows, (0 if attribute(node, "transA", 0) else 1,), (inputs,))
    result = state.write(node.outputs[0], (1,), state.fresh(outputs))
    beta = attribute(node, "beta", 1.0)
    draft = Linear(
        node, matrix, (0, 1), out_first, source, result, only_zero=not may_round(weight), scale=scale, bias_scale=beta
    )
    _cut_weight(state, draft)
    _cut_bias(state, node, result.units)
    return _finish(state, draft, bias)


def _moving(node: ir.Node) -> int:
    """Which input of a MatMul is no constant."""
    return 0 if constant(node.inputs[1]) is not None else 1


def matmul(state: State, node: ir.Node) -> bool:
    """MatMul [..., K] x [K, M] with the channels on the last axis, or [M, K] x [..., K, N] with them before the last.

    Axes of length 1 before the weight's last two are allowed. Channels on an axis that the weight does not touch are
    passed on, where they may go at all; else the layer's own outputs are followed.
    """
    moving = _moving(node)
    weight = own_weight(state, node, 1 - moving)
    value, matrix = node.inputs[moving], node.inputs[1 - moving]
    rank = rank_of(value)
    if weight is None or value is None or matrix is None or rank is None or rank < 2:
        return False
    if weight.ndim < 2 or weight.ndim > rank or any(size != 1 for size in weight.shape[:-2]):
        return False
    axis = rank - 1 if moving == 0 else rank - 2
    if (passed := state.channels.get(value)) is not None and axis not in passed.axes and _may_go(state, passed):
        zero = np.where(passed.constant == 0, 0.0, np.nan)
        state.write_like(node.outputs[0], passed, zero)
        return True
    places = (weight.ndim - 2, weight.ndim - 1)
    inputs, outputs = (weight.shape[place] for place in (places if moving == 0 else places[::-1]))
    source = state.read(value, (axis,), (inputs,))
    result = state.write(node.outputs[0], (axis,), state.fresh(outputs))
    draft = Linear(node, matrix, places, moving == 1, source, result, only_zero=not may_round(weight))
    _cut_weight(state, draft)
    return _finish(state, draft, np.zeros(outputs))


def _may_go(state: State, channels: Channels) -> bool:
    pinned = {state.find(unit) for unit in state.pinned}
    return not all(root in pinned for root in state.roots(channels.units).reshape(-1).tolist())
