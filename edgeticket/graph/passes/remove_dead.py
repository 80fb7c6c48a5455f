"""Remove what is dead, exactly: constant channels fold into the next layer, channels that nobody reads are cut.

    W[:, i] x_i + b  =  b + v W[:, i]          where x_i is the constant v: W[:, i] := 0, b := b + v Σ W[:, i]
    x + y            =  x + const              where the whole branch y is constant; x alone where it is 0
    channel i goes   if every weight that reads it is zero, in all layers that share it through sums, concatenation,
                        flatten, pooling and depthwise layers

repeated until nothing changes. Exact in real arithmetic for finite inputs; biases are summed in float64 and rounded
once. Declined in a sentence: a constant other than 0 in front of zero padding, shared or half-precision weights.
Nothing is removed from graph inputs and outputs, subgraphs' captures, and whatever an operator without a rule touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import bias_of, reading, set_bias
from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.rules import RULES
from edgeticket.graph.channels.state import Linear, State
from edgeticket.graph.passes.remove_unused import remove_unused
from edgeticket.graph.plan import Note
from edgeticket.graph.shapes import infer_shapes
from edgeticket.graph.values import (
    Array,
    attribute,
    constant,
    is_standard,
    new_constant,
    opset,
    owned,
    set_attribute,
    set_constant,
    shape_of,
    to_dtype,
)
from edgeticket.text import listing, plural

NAME = "remove-dead"
_MIXING = ("Add", "Sub", "Mul", "Div", "Max", "Min")


@dataclass
class _Tally:
    """What was done, for the sentence."""

    channels: dict[str, int] = field(default_factory=dict)
    folded: int = 0
    branches: int = 0
    declined: dict[str, list[str]] = field(default_factory=dict)


def remove_dead(model: ir.Model) -> list[Note]:
    """Fold and cut until nothing changes."""
    tally = _Tally()
    for _ in range(2 * len(model.graph) + 16):  # each round removes something; a few are enough for most networks
        infer_shapes(model)
        state = analyse(model)
        tally.declined = state.declined
        steps: tuple[Callable[[State, _Tally], bool], ...] = (_settle, _replace_branches, _cut)
        if not any(step(state, tally) for step in steps):
            break
        remove_unused(model)
    return _notes(tally)


def analyse(model: ir.Model) -> State:
    """Walk forward over the main graph: ties, constants and cuts."""
    state = State(model.graph, opset(model))
    for node in model.graph:
        rule = RULES.get(node.op_type) if is_standard(node, state.version) else None
        if rule is not None and rule(state, node):
            state.followed.add(node)
            continue
        for value in node.inputs:
            state.pin(value)
        for value in node.outputs:
            state.pin(value)
            state.channels.pop(value, None)
    for value in list(state.channels):
        if value.is_graph_output() or any(use.node.graph is not model.graph for use in value.uses()):
            state.pin(value)
    return state


def _settle(state: State, tally: _Tally) -> bool:
    """Zero the weights that read constant channels and add what they contributed to the bias."""
    changed = False
    for linear in state.linears:
        changed |= _settle_one(state, linear, tally)
    return changed


def _settle_one(state: State, linear: Linear, tally: _Tally) -> bool:
    array, node = constant(linear.weight), linear.node
    assert array is not None
    channels = array.shape[linear.out_axis]
    bias = np.zeros(channels) if node.op_type == "MatMul" else bias_of(node, channels)
    assert bias is not None
    found = reading(linear, bias)
    source = linear.source.constant
    kept = ~found.foldable & ~np.isnan(source if not linear.depthwise else np.repeat(source, channels // len(source)))
    reads = found.used[:, 0] if linear.depthwise else found.used.any(axis=0)
    if (kept & reads).any():
        state.decline(
            "they read constants other than 0 through zero padding, so those channels stay", linear.weight.name
        )
    gone = found.foldable & reads
    if not gone.any():
        return False
    moved = to_dtype(bias * linear.bias_scale + found.shift, array.dtype)
    if not np.isfinite(moved).all():
        state.decline("the folded bias would not be finite", linear.weight.name)
        return False
    weight = np.array(array)
    taps = np.moveaxis(weight, (linear.out_axis, linear.in_axis), (0, 1))
    if linear.depthwise:
        taps[gone] = 0
    else:
        taps[:, gone] = 0
    if np.any(found.shift):
        if node.op_type == "MatMul":
            _add_after(state.graph, node, moved)
        else:
            set_bias(state.graph, node, moved)
    set_constant(linear.weight, weight)
    tally.folded += int(np.count_nonzero(gone))
    return True


def _add_after(graph: ir.Graph, node: ir.Node, bias: Array) -> None:
    output = node.outputs[0]
    readers = [(use.node, use.idx) for use in output.uses()]
    weight = node.inputs[1]
    base = (weight.name if weight is not None else None) or "layer.weight"
    shift = new_constant(graph, base.removesuffix(".weight") + ".bias", bias)
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


def _replace_branches(state: State, tally: _Tally) -> bool:
    """An operand that is constant as a whole becomes a small initializer, so that its branch is dead code."""
    for node in list(state.graph):
        output = state.channels.get(node.outputs[0])
        if node.op_type not in _MIXING or node not in state.followed or output is None or len(node.inputs) != 2:
            continue
        if not np.isnan(output.constant).any():
            continue  # the result is constant too: replaced where it meets something that varies
        for index, value in enumerate(node.inputs):
            if value is not None and _replace_operand(state, node, index, value):
                tally.branches += 1
                return True
    return False


def _replace_operand(state: State, node: ir.Node, index: int, value: ir.Value) -> bool:
    channels, other = state.channels.get(value), node.inputs[1 - index]
    if channels is None or other is None or np.isnan(channels.constant).any() or constant(other) is not None:
        return False
    mine, theirs = shape_of(value), shape_of(other)
    if (
        mine is None
        or theirs is None
        or len(mine) > len(theirs)
        or value.dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE)
    ):
        return False
    aligned = theirs[len(theirs) - len(mine) :]
    if any(dim != 1 and (dim != there or dim is None) for dim, there in zip(mine, aligned, strict=True)):
        return False
    output = node.outputs[0]
    neutral = node.op_type == "Add" or (node.op_type == "Sub" and index == 1)
    if neutral and not channels.constant.any() and not output.is_graph_output():
        output.replace_all_uses_with(other)
        state.graph.remove(node, safe=True)
        return True
    dtype = value.dtype.numpy()
    array = to_dtype(channels.constant, dtype).reshape([-1] + [1] * (len(mine) - channels.axis - 1))
    if not np.isfinite(array).all():
        return False
    node.replace_input_with(index, new_constant(state.graph, f"{value.name}.constant", array))
    return True


def _cut(state: State, tally: _Tally) -> bool:
    """Cut every constant along the units that die."""
    liveness = Liveness(state)
    for linear in state.linears:
        dead = int(np.count_nonzero(~liveness.keep(linear.result.units)))
        if dead and linear.weight.name:
            tally.channels[linear.weight.name] = tally.channels.get(linear.weight.name, 0) + dead
    changed = False
    for cut in state.cuts:
        keep = liveness.keep(cut.units)
        if keep.all():
            continue
        changed = True
        if liveness.empty(cut.node.outputs[0]):
            continue  # the node is dropped as a whole
        value = owned(cut.node, cut.index)
        array = constant(value)
        assert array is not None
        set_constant(value, np.compress(keep, array, axis=cut.axis))
    for linear in state.linears:
        if linear.depthwise and attribute(linear.node, "group", 1) > 1:
            kept = int(np.count_nonzero(liveness.keep(linear.source.units)))
            if kept:
                set_attribute(linear.node, "group", kept)
    for node in list(state.followed):
        if node.op_type == "Concat":
            changed |= _drop_operands(node, liveness)
    return changed


def _drop_operands(node: ir.Node, liveness: Liveness) -> bool:
    """A Concat goes on without the operands of which nothing stays."""
    operands = [value for value in node.inputs if value is None or not liveness.empty(value)]
    if len(operands) == len(node.inputs) or not operands:
        return False
    for index in range(len(node.inputs)):
        node.replace_input_with(index, operands[index] if index < len(operands) else None)
    node.resize_inputs(len(operands))
    return True


def _notes(tally: _Tally) -> list[Note]:
    notes = []
    cut = sum(tally.channels.values())
    if cut:
        layers = listing([f"{name} ({count})" for name, count in tally.channels.items()])
        notes.append(Note(NAME, cut, f"removed {plural(cut, 'dead channel')}: {layers}"))
    if tally.folded:
        notes.append(
            Note(
                NAME, tally.folded, f"folded {plural(tally.folded, 'constant channel')} into the layers that read them"
            )
        )
    if tally.branches:
        notes.append(Note(NAME, tally.branches, f"replaced {tally.branches} constant branches"))
    notes += [Note(NAME, 0, f"left {listing(where)} alone: {reason}") for reason, where in tally.declined.items()]
    return notes
