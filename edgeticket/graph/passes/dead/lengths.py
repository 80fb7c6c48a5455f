"""A number of channels that is read with other lengths, and keeps channels for it, is written as a constant.

    Shape(x [n, 64, h, w])  =  Concat(Gather(Shape(x), [0]), [64], Gather(Shape(x), [2, 3]))

so that what is read at run time are the other lengths alone.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.reshaping import entries_read
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import attribute, fresh_name, new_constant
from edgeticket.graph.vectors import named_dims


def replace_lengths(state: State) -> int:
    """Rewrite each reader of a Shape that needs constant channels for their number. Returns how many there were."""
    replaced = 0
    for node in list(state.graph):
        value = node.inputs[0] if node.inputs else None
        channels = state.followed_input(value)
        if node.op_type != "Shape" or node in state.followed or channels is None or value is None:
            continue
        dims = named_dims(value)
        if dims is None or np.isnan(channels.constant).all():
            continue
        listed = list(range(len(dims)))[attribute(node, "start", 0) : attribute(node, "end", None)]
        readers = [
            (use.node, entries_read(use.node, listed))
            if use.idx == 0 and use.node.graph is state.graph
            else (None, None)
            for use in node.outputs[0].uses()
        ]
        if all(reader is not None and places is not None for reader, places in readers):
            for reader, places in readers:
                assert reader is not None
                assert places is not None
                if set(places) & set(channels.axes) and reader.outputs[0].shape is not None:
                    replaced += _rewrite(state, reader, value, dims, places)
        elif len(listed) > 1:
            replaced += _rewrite(state, node, value, dims, listed)
    return replaced


def _rewrite(state: State, node: ir.Node, value: ir.Value, dims: list[int | str], places: list[int]) -> bool:
    """Put known lengths and computed ones together, in place of a vector."""
    output, graph = node.outputs[0], state.graph
    if output.is_graph_output() or (output.shape is not None and len(output.shape) != 1):
        return False
    whole = ir.Node("", "Shape", [value], num_outputs=1)
    parts: list[ir.Value] = []
    made = [(whole, len(dims))]
    for known, run in groupby(places, key=lambda place: isinstance(dims[place], int)):
        listed = list(run)
        if known:
            parts.append(new_constant(graph, f"{output.name}.known", np.array([dims[p] for p in listed], np.int64)))
            continue
        indices = new_constant(graph, f"{output.name}.places", np.array(listed, np.int64))
        chosen = ir.Node("", "Gather", [whole.outputs[0], indices], [ir.AttrInt64("axis", 0)], num_outputs=1)
        made.append((chosen, len(listed)))
        parts.append(chosen.outputs[0])
    joined = ir.Node("", "Concat", parts, [ir.AttrInt64("axis", 0)], num_outputs=1)
    for one, length in (*made, (joined, len(places))):
        result = one.outputs[0]
        result.name = one.name = fresh_name(graph, f"{output.name}.{one.op_type.lower()}")
        result.type, result.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([length])
        graph.insert_before(node, one)
    output.replace_all_uses_with(joined.outputs[0])
    graph.remove(node, safe=True)
    return True
