"""A shuffle of channels becomes one Gather, where it keeps channels that nobody needs.

    Reshape [N, C, ...] -> [N, g, C/g, ...], Transpose [N, C/g, g, ...], Reshape [N, C, ...]  =  Gather(x, order)

The three nodes need as many channels of each of the g rows, at the same places; a Gather takes any of them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import attribute, new_constant, stand_in
from edgeticket.graph.vectors import named_dims


def replace_shuffles(state: State) -> int:
    """Replace each shuffle that holds what could go. Returns how many there were."""
    last = [grid.node for grid in state.grids if grid.node is not None and grid.node.graph is state.graph]
    if not last:
        return 0
    wanted = Liveness(state, boxed=False)
    return sum(_replace(state, node, wanted) for node in last)


def _replace(state: State, node: ir.Node, wanted: Liveness) -> bool:
    """Replace the three nodes that end in this Reshape."""
    turn = node.inputs[0].producer() if node.inputs[0] is not None else None
    first = turn.inputs[0].producer() if turn is not None and turn.inputs[0] is not None else None
    if turn is None or first is None or (turn.op_type, first.op_type) != ("Transpose", "Reshape"):
        return False
    source, result = first.inputs[0], node.outputs[0]
    if source is None or any(len(value.uses()) != 1 for value in (first.outputs[0], turn.outputs[0])):
        return False
    before, split, after = (state.channels.get(value) for value in (source, first.outputs[0], result))
    if before is None or split is None or after is None or len(before.axes) != 1 or before.axes != after.axes:
        return False
    if wanted.keep(before.units).all() or len(np.unique(before.units)) < before.count or before.count != after.count:
        return False
    if not _only_shuffles(source, first.outputs[0], turn, before.axes[0], split.axes):
        return False
    places = np.argsort(before.units)[np.searchsorted(np.sort(before.units), after.units)]
    indices = new_constant(state.graph, f"{result.name}.order", places.astype(np.int64))
    made = ir.Node(
        "", "Gather", [source, indices], [ir.AttrInt64("axis", before.axes[0])], num_outputs=1, name=node.name
    )
    state.graph.insert_after(node, made)
    made.outputs[0].type, made.outputs[0].shape = result.type, result.shape
    stand_in(result, made.outputs[0])
    state.graph.remove([node, turn, first], safe=True)
    return True


def _only_shuffles(source: ir.Value, split: ir.Value, turn: ir.Node, axis: int, axes: tuple[int, ...]) -> bool:
    """Is one axis split, and are its parts alone exchanged?"""
    dims, parts = named_dims(source), named_dims(split)
    if dims is None or parts is None:
        return False
    count = len(parts) - len(dims) + 1
    order = attribute(turn, "perm", tuple(reversed(range(len(parts)))))
    return (
        axes == tuple(range(axis, axis + count))
        and dims[:axis] == parts[:axis]
        and dims[axis + 1 :] == parts[axis + count :]
        and all(place == moved for place, moved in enumerate(order) if place not in axes)
    )
