"""Lengths that a node reads from a vector, such as the target of a Reshape: written anew where channels go."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.records import Keep, Units
from edgeticket.graph.values import constant, new_constant


def set_lengths(node: ir.Node, index: int, units: dict[int, Units], keep: Keep) -> None:
    """At the node's input, write how many of the units stay: place in the vector -> units."""
    write_lengths(node, index, {place: int(keep(some).sum()) for place, some in units.items()})


def write_lengths(node: ir.Node, index: int, lengths: dict[int, int]) -> None:
    """At the node's input, write these lengths: place in the vector -> length.

    A vector that is computed at run time keeps its other entries: Where(these places, these lengths, the vector).
    """
    value, graph = node.inputs[index], node.graph
    array = constant(value)
    assert value is not None
    assert isinstance(graph, ir.Graph)
    base = f"{node.outputs[0].name}.lengths"
    if array is not None:
        changed = np.array(array)
        for place, length in lengths.items():
            changed[place] = length
        if not np.array_equal(changed, array):
            node.replace_input_with(index, new_constant(graph, base, changed))
        return
    size = value.shape[0] if value.shape is not None and len(value.shape) == 1 else None
    assert isinstance(size, int)
    places, numbers = np.zeros(size, np.bool_), np.zeros(size, np.int64)
    before = value.producer()
    if before is not None and before.op_type == "Where":  # one of ours, or as good
        old, listed = constant(before.inputs[0]), constant(before.inputs[1])
        if old is not None and listed is not None and old.shape == places.shape == listed.shape:
            places, numbers, value = np.array(old), np.array(listed), before.inputs[2]
    for place, length in lengths.items():
        places[place], numbers[place] = True, length
    made = ir.Node(
        "",
        "Where",
        [new_constant(graph, f"{base}.places", places), new_constant(graph, base, numbers), value],
        num_outputs=1,
        name=f"{node.name or node.outputs[0].name}.lengths",
    )
    made.outputs[0].type, made.outputs[0].shape = ir.TensorType(ir.DataType.INT64), ir.Shape([size])
    graph.insert_before(node, made)
    node.replace_input_with(index, made.outputs[0])


def length_known(value: ir.Value | None) -> bool:
    """May the vector be rewritten: is it constant, or of a known number of entries?"""
    if constant(value) is not None:
        return True
    shape = None if value is None else value.shape
    return shape is not None and len(shape) == 1 and isinstance(shape[0], int)
