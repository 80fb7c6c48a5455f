"""Rules for layers with a weight: Conv, ConvTranspose, Gemm, and MatMul with a constant on either side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.grid import compact, kept_shape
from edgeticket.graph.channels.linear import blocks, constant_flow, may_round, used_weights
from edgeticket.graph.channels.records import (
    Bools,
    Channels,
    Cut,
    Fix,
    Floats,
    Grid,
    Keep,
    LayerWeight,
    Linear,
    Units,
    WeightLayout,
)
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.channels.stored import cut_bias, layer_bias, layer_weight, rests
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
    stored = layer_weight(state, node, 1)
    groups = attribute(node, "group", 1)
    out_first = node.op_type == "Conv"
    image = node.inputs[0]
    if stored is None or image is None or not splits(stored, groups, out_first):
        return False
    shape = stored.array.shape
    inputs, outputs = (groups * shape[1], shape[0])[:: 1 if out_first else -1]
    bias = layer_bias(node, 2, outputs)
    if bias is None or (1 < groups < inputs and len(stored.value.uses()) > 1):
        return False
    source = state.read(image, (1,), (inputs,))
    units = outputs_of(state, source.units, groups, outputs)
    only_zero = mixes_padding(node, stored.array) or not _rounds(node, stored)
    result = state.write(node.outputs[0], (1,), units)
    draft = Linear(node, stored, (0, 1), out_first, source, result, groups, only_zero)
    cut_weight(state, draft)
    cut_bias(state, node, 2, units)
    return finish(state, draft, bias)


def splits(stored: LayerWeight, groups: int, out_first: bool) -> bool:
    """Is it the weight of a convolution in that many groups, with scales for each output if for anything?"""
    shape = stored.array.shape
    if len(shape) < 3 or groups < 1 or shape[0] % groups:
        return False
    return groups == 1 or all(axis == 0 and out_first for _, axis in stored.beside)


def _rounds(node: ir.Node, stored: LayerWeight) -> bool:
    """May a constant that is not 0 be added to the bias?"""
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return may_round(stored.array) and (bias is None or constant(bias) is not None)


def outputs_of(state: State, source: Units, groups: int, outputs: int) -> Units:
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


def cut_weight(state: State, linear: Linear) -> None:
    """Which axes of the weight follow which units; a weight in groups of several channels is rewritten as a whole."""
    node, index, (first, second) = linear.stored.node, linear.stored.index, linear.places
    source, result = linear.source.units, linear.result.units
    made, read = (first, second) if linear.out_first else (second, first)
    for place, axis in linear.stored.beside:
        state.cuts.append(Cut(node, place, (0,), result if axis == made else source))
    if linear.groups == 1:
        state.cuts += [Cut(node, index, (made,), result), Cut(node, index, (read,), source, reads=True)]
        return
    if source.size == linear.groups:  # depthwise: a row of weights, or a block of them, for each channel
        state.cuts.append(Cut(node, index, (first,), result if linear.out_first else source))
        state.fixes.append(Fix(linear.node, partial(_regroup, linear.node, source)))
        return
    state.fixes.append(Fix(linear.node, partial(_cut_groups, linear)))


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
    assert (left, made, read) == (int(outputs.any(axis=1).sum()), made, read)
    change_constant(
        owned(linear.stored.node, linear.stored.index), partial(_kept_of_groups, linear.layout, inputs, outputs)
    )
    set_attribute(linear.node, "group", left)


def _kept_of_groups(layout: WeightLayout, inputs: Bools, outputs: Bools, weight: Array) -> Array:
    """What is left of a weight in groups: `inputs` [G, C] and `outputs` [G, M] are those kept."""
    split = blocks(np.ascontiguousarray(weight), layout)  # [G, M, C, T]
    split = compact(split, (0, 2), inputs, 1)
    split = compact(split, (0, 1), outputs[outputs.any(axis=1)], 1)
    if not layout.out_first:
        split = split.swapaxes(1, 2)
    return split.reshape(split.shape[0] * split.shape[1], split.shape[2], *weight.shape[2:])


def finish(
    state: State, draft: Linear, bias: Floats, requantise: Callable[[Floats], Floats] | None = None, moving: int = 0
) -> bool:
    """Record the layer and what it makes constant; `draft.result` is recorded already, without constants.

    `requantise` makes of the sums the codes that a layer returns, where it returns codes. `moving` is the input that is
    read.
    """
    output = draft.node.outputs[0]
    if draft.weight not in state.weights:
        state.weights[draft.weight] = used_weights(draft)
    used = state.weights[draft.weight]
    assert used is not None
    flow = constant_flow(draft, bias, used)
    numbers = flow.constant if requantise is None else requantise(flow.constant)
    result = state.write(output, draft.result.axes, draft.result.units, numbers)
    if output.shape is None:  # behind an operator that shape inference does not know
        rank = rank_of(draft.node.inputs[moving]) or draft.stored.array.ndim
        output.shape = ir.Shape([result.count if axis == result.axes[0] else None for axis in range(rank)])
    if output.dtype is None and draft.weight.dtype is not None and not draft.stored.quantised:
        output.dtype = draft.weight.dtype
    layer = replace(draft, result=result, used=flow.used, bias=bias)
    state.linears.append(layer)
    if len(layer.weight.uses()) > 1:
        first = state.shared.setdefault(layer.weight, layer)
        state.tie(first.source.units, layer.source.units)
        state.tie(first.result.units, layer.result.units)
    return True


def gemm(state: State, node: ir.Node) -> bool:
    """Gemm with the weight second: [N, K], or [K, N] with transA, times [K, M] or [M, K]."""
    stored = layer_weight(state, node, 1)
    scale, rows = attribute(node, "alpha", 1.0), node.inputs[0]
    if stored is None or stored.array.ndim != 2 or rows is None or scale == 0:
        return False
    out_first = bool(attribute(node, "transB", 0))
    inputs, outputs = stored.array.shape[:: -1 if out_first else 1]
    bias = layer_bias(node, 2, outputs)
    if bias is None:
        return False
    source = state.read(rows, (0 if attribute(node, "transA", 0) else 1,), (inputs,))
    result = state.write(node.outputs[0], (1,), state.fresh(outputs))
    beta, only_zero = attribute(node, "beta", 1.0), not _rounds(node, stored)
    draft = Linear(node, stored, (0, 1), out_first, source, result, only_zero=only_zero, scale=scale, bias_scale=beta)
    cut_weight(state, draft)
    cut_bias(state, node, 2, result.units)
    return finish(state, draft, bias)


def matmul(state: State, node: ir.Node) -> bool:
    """MatMul [..., K] x [K, M] with the channels on the last axis, or [M, K] x [..., K, N] with them before the last.

    Axes of length 1 before the weight's last two are allowed. Channels on an axis that the weight does not touch are
    passed on, where they may go at all; else the layer's own outputs are followed.
    """
    moving = 0 if rests(node.inputs[1]) else 1
    stored = layer_weight(state, node, 1 - moving)
    value = node.inputs[moving]
    rank = rank_of(value)
    if stored is None or value is None or rank is None or rank < 2:
        return False
    shape = stored.array.shape
    if len(shape) < 2 or len(shape) > rank or any(size != 1 for size in shape[:-2]):
        return False
    axis = rank - 1 if moving == 0 else rank - 2
    if (passed := state.channels.get(value)) is not None and axis not in passed.axes and _may_go(state, passed):
        zero = np.where(passed.constant == 0, 0.0, np.nan)
        state.write_like(node.outputs[0], passed, zero)
        return True
    places = (len(shape) - 2, len(shape) - 1)
    inputs, outputs = (shape[place] for place in (places if moving == 0 else places[::-1]))
    source = state.read(value, (axis,), (inputs,))
    result = state.write(node.outputs[0], (axis,), state.fresh(outputs))
    only_zero = not may_round(stored.array)
    draft = Linear(node, stored, places, moving == 1, source, result, only_zero=only_zero)
    cut_weight(state, draft)
    return finish(state, draft, np.zeros(outputs), moving=moving)


def _may_go(state: State, channels: Channels) -> bool:
    pinned = {state.find(unit) for unit in state.pinned}
    return not all(root in pinned for root in state.roots(channels.units).reshape(-1).tolist())
