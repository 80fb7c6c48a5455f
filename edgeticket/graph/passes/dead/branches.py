"""A branch that is constant as a whole becomes a small initializer: x + y = x + const, and x alone where y is 0."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.state import State
from edgeticket.graph.values import constant, new_constant, shape_of, to_dtype

_MIXING = ("Add", "Sub", "Mul", "Div", "Max", "Min")


def replace_constant_branches(state: State) -> int:
    """Replace every such operand, so that its branch is dead code. Returns how many there were."""
    replaced = 0
    for node in list(state.graph):
        output = state.channels.get(node.outputs[0])
        if node.op_type not in _MIXING or node not in state.followed or output is None or len(node.inputs) != 2:
            continue
        if not np.isnan(output.constant).any():
            continue  # the result is constant too: replaced where it meets something that varies
        for index, value in enumerate(node.inputs):
            if value is not None and _replace_operand(state, node, index, value):
                replaced += 1
                break
    return replaced


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
    spread = [1] * len(mine)
    for axis, size in zip(channels.axes, channels.units.shape, strict=True):
        spread[axis] = size
    numbers = channels.constant.reshape(spread[channels.axes[0] :])
    array = to_dtype(numbers, value.dtype.numpy())
    if not np.isfinite(array).all():
        return False
    node.replace_input_with(index, new_constant(state.graph, f"{value.name}.constant", array, numbers))
    return True
