"""Constant channels fold into the layers that read them: b + W[:, i] x_i = (b + v W[:, i]) where x_i is constant v.

Where zeros around an image take part, a constant v ≠ 0 cannot go into the bias. But W[:, i] v + W[:, j] u equals
(W[:, i] + u/v W[:, j]) v, border and all: such channels fold into one of them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import ConstantFlow, blocks, constant_flow, may_round, set_bias
from edgeticket.graph.channels.records import Bools, Floats, Linear, Recurrent
from edgeticket.graph.channels.state import State
from edgeticket.graph.passes.dead.integers import fold_integer_constants, without
from edgeticket.graph.values import (
    Array,
    change_constant,
    constant,
    exact,
    new_constant,
    owned,
    set_attribute,
    set_constant,
    to_dtype,
)


def fold_constant_channels(state: State) -> int:
    """Zero the weights that read constant channels and add what they contributed elsewhere. Returns how many folded.

    Declined, with a sentence in `state`: the last constant other than 0 in front of zero padding, and numbers that
    would not be finite.
    """
    by_weight: dict[ir.Value, list[Linear]] = {}
    for linear in state.linears:
        by_weight.setdefault(linear.weight, []).append(linear)
    folded = sum(fold_integer_constants(state, linear) for linear in state.linears if linear.stored.quantised)
    folded += sum(_fold(state, _agreed(linears)) for linears in by_weight.values())
    return folded + sum(_fold_recurrent(state, found) for found in state.recurrents)


def _agreed(linears: list[Linear]) -> list[Linear]:
    """Layers that share a weight, with the constants that all of them read."""
    if len(linears) == 1:
        return linears
    first = linears[0].source.constant
    same = np.all([linear.source.constant == first for linear in linears], axis=0)
    numbers = np.where(same, first, np.nan)
    only_zero = any(linear.only_zero for linear in linears)
    return [replace(one, source=replace(one.source, constant=numbers), only_zero=only_zero) for one in linears]


def _fold(state: State, linears: list[Linear]) -> int:
    linear = linears[0]
    array = constant(linear.weight)
    assert array is not None
    used = linear.used
    assert used is not None
    if np.isnan(linear.source.constant).all():
        return 0
    flows = [constant_flow(one, _bias(one), used) for one in linears]
    reads = np.asarray(flows[0].used.any(axis=1))
    gone = flows[0].foldable & reads
    merged = _merge(state, linear, flows[0], reads)
    if not gone.any():
        return merged
    moved = [_bias(one) * one.bias_scale + flow.shift for one, flow in zip(linears, flows, strict=True)]
    added = [bias for bias, flow in zip(moved, flows, strict=True) if np.any(flow.shift)]
    if not all(np.isfinite(to_dtype(bias, array.dtype)).all() for bias in added):
        state.decline("the folded bias would not be finite", linear.weight.name)
        return merged
    written: dict[ir.Value | None, ir.Value | None] = {}
    for one, flow, bias in zip(linears, flows, moved, strict=True):
        if not np.any(flow.shift):
            continue
        if one.node.op_type == "MatMul":
            _add_after(state.graph, one, bias, array.dtype)
            continue
        before = one.node.inputs[2] if len(one.node.inputs) > 2 else None
        if before in written:
            one.node.resize_inputs(3)
            one.node.replace_input_with(2, written[before])
            if one.node.op_type == "Gemm":
                set_attribute(one.node, "beta", 1.0)
        else:
            set_bias(state.graph, one.node, bias, array.dtype)
            written[before] = one.node.inputs[2]
    change_constant(linear.weight, partial(without, linear.layout, linear.stored.zero, gone))
    return merged + int(np.count_nonzero(gone))


def _bias(linear: Linear) -> Floats:
    assert linear.bias is not None
    return linear.bias


def _merge(state: State, linear: Linear, flow: ConstantFlow, reads: Bools) -> int:
    """Fold constants other than 0 in front of zero padding into one of each group; returns how many went."""
    array = constant(linear.weight)
    assert array is not None
    source = linear.source.constant.reshape(reads.shape)
    kept = reads & ~flow.foldable & ~np.isnan(source)
    if kept.any() and not linear.stored.quantised:
        reason = "through zero padding" if may_round(array) else "and a bias is not computed in half precision"
        state.decline(f"a constant other than 0 arrives {reason}, so that channel stays", linear.weight.name)
    several = np.flatnonzero(kept.sum(axis=1) > 1)
    if not several.size or not may_round(array):
        return 0
    wide = np.array(exact(linear.weight), order="C")
    taps = blocks(wide, linear)
    for group in several:
        columns = np.flatnonzero(kept[group])
        values = source[group, columns]
        first = int(np.argmax(np.abs(values)))
        taps[group, :, columns[first]] = np.einsum("mct,c->mt", taps[group][:, columns], values / values[first])
        taps[group][:, np.delete(columns, first)] = 0
    rounded = to_dtype(wide, array.dtype)
    if not np.isfinite(rounded).all():
        state.decline("the folded weights would not be finite", linear.weight.name)
        return 0
    set_constant(linear.weight, rounded, wide)
    return int(kept[several].sum()) - len(several)


def _fold_recurrent(state: State, found: Recurrent) -> int:
    """The bias of an LSTM, GRU or RNN takes what its constant inputs add at every step."""
    node, value, bias = found.node, found.node.inputs[1], found.node.inputs[3] if len(found.node.inputs) > 3 else None
    array = constant(value)
    assert array is not None
    assert value is not None
    source = found.source.constant
    gone = ~np.isnan(source) & (array != 0).any(axis=(0, 1))
    if not gone.any():
        return 0
    directions, rows, _ = array.shape
    moved = np.zeros((directions, 2 * rows)) if bias is None else np.array(exact(bias))
    moved[:, :rows] += exact(value)[:, :, gone] @ source[gone]
    rounded = to_dtype(moved, array.dtype)
    if not np.isfinite(rounded).all():
        state.decline("the folded bias would not be finite", value.name)
        return 0
    if bias is not None:
        set_constant(owned(node, 3), rounded, moved)
    elif moved.any():
        node.resize_inputs(max(4, len(node.inputs)))
        node.replace_input_with(3, new_constant(state.graph, f"{value.name}.bias", rounded, moved))
    change_constant(value, partial(_without_columns, gone))
    return int(np.count_nonzero(gone))


def _without_columns(gone: Bools, weight: Array) -> Array:
    """A recurrent layer's weight with columns set to 0."""
    return np.where(gone, np.zeros((), weight.dtype), weight)


def _add_after(graph: ir.Graph, linear: Linear, bias: Floats, dtype: np.dtype[Any]) -> None:
    """Put an Add with the bias behind a MatMul, along the axis of the layer's channels."""
    node = linear.node
    output = node.outputs[0]
    readers = [(use.node, use.idx) for use in output.uses()]
    base = linear.weight.name or "layer.weight"
    numbers = bias[:, None] if linear.out_first else bias  # a weight on the left makes rows
    shift = new_constant(graph, base.removesuffix(".weight") + ".bias", to_dtype(numbers, dtype), numbers)
    add = ir.Node("", "Add", [output, shift], num_outputs=1, name=f"{node.name or output.name}.bias")
    result = add.outputs[0]
    result.type, result.shape = output.type, output.shape
    graph.insert_after(node, add)
    for reader, index in readers:
        reader.replace_input_with(index, result)
    if output.is_graph_output():
        name = output.name
        output.name = f"{name}.before_bias"
        result.name = name
        graph.outputs[list(graph.outputs).index(output)] = result
