"""Groups of channels that nobody reads are cut out of every constant that takes part in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.groups import groups_of
from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import attribute, change_constant, owned, set_attribute


@dataclass(frozen=True)
class CutChannels:
    """Whether the graph changed, and how many output channels each weight lost, by its name."""

    changed: bool
    lost: dict[str, int]


def cut_dead_channels(state: State) -> CutChannels:
    """Remove every group of channels that is not needed."""
    liveness = Liveness(state)
    lost = {}
    for linear in state.linears:
        dead = int(np.count_nonzero(~liveness.keep(linear.result.units)))
        if dead and linear.weight.name:
            lost[linear.weight.name] = dead
    gone: dict[tuple[ir.Node, int, int], list[int]] = {}
    for group in groups_of(state):
        if not liveness.needs(group.unit):
            for member in group.members:
                gone.setdefault((member.node, member.place, member.axis), []).extend(member.indices)
    for (node, place, axis), indices in gone.items():
        if liveness.empty(node.outputs[0]):
            continue  # the node is dropped as a whole
        change_constant(owned(node, place), partial(np.delete, obj=indices, axis=axis))
    _shrink_groups(state, liveness)
    dropped = [_drop_operands(node, liveness) for node in state.followed if node.op_type == "Concat"]
    return CutChannels(bool(gone) or any(dropped), lost)


def _shrink_groups(state: State, liveness: Liveness) -> None:
    """A depthwise layer has as many groups as channels are left."""
    for linear in state.linears:
        if linear.depthwise and attribute(linear.node, "group", 1) > 1:
            kept = int(np.count_nonzero(liveness.keep(linear.source.units)))
            if kept:
                set_attribute(linear.node, "group", kept)


def _drop_operands(node: ir.Node, liveness: Liveness) -> bool:
    """A Concat goes on without the operands of which nothing stays."""
    operands = [value for value in node.inputs if value is None or not liveness.empty(value)]
    if len(operands) == len(node.inputs) or not operands:
        return False
    for index in range(len(node.inputs)):
        node.replace_input_with(index, operands[index] if index < len(operands) else None)
    node.resize_inputs(len(operands))
    return True
