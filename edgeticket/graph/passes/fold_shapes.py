"""Evaluate shape arithmetic whose result does not depend on a free axis, and free what needs none of it.

    Shape(x [n, 16], start=1)                =  [16]
    Shape(Expand(0, (1, n, 16)), start=2)    =  [16]        what PyTorch's exporter slices recurrent weights with
    Reshape(x, (10, f(n), 3, 16))            =  Reshape(x, (10, -1, 3, 16))

A size that is known although the batch is free becomes a constant, and with it whatever is sliced by it. A Reshape
keeps the number of elements, so the one entry that is not known follows from the others, which are positive. Declined:
targets with two entries that are not known, and values whose rank is not, for a number and a vector of one look alike.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.passes.note import Note
from edgeticket.graph.shapes import infer_shapes
from edgeticket.graph.values import Array, constant, is_standard, new_constant, opset, shape_of
from edgeticket.graph.vectors import Symbol, Vector, vector
from edgeticket.text import plural

NAME = "fold-shapes"
_ARITHMETIC = frozenset([
    "Add", "Cast", "Concat", "Div", "Gather", "Identity", "Mul", "Reshape", "Shape", "Slice", "Squeeze", "Sub",
    "Unsqueeze",
])  # fmt: skip


def fold_shapes(model: ir.Model) -> list[Note]:
    """Replace what is known by constants, until nothing more becomes known."""
    version = opset(model)
    total = 0
    while any(node.op_type == "Shape" for node in model.graph):
        infer_shapes(model)
        found = 0
        for node in [node for node in model.graph if is_standard(node, version)]:
            if node.op_type == "Expand":
                _know_expanded(node)
            elif node.op_type in _ARITHMETIC and (numbers := _numbers(node)) is not None:
                _replace(model.graph, node, numbers)
                found += 1
            elif node.op_type == "Reshape":
                found += _infer_last(model.graph, node)
        total += found
        if not found:
            break
    return [Note(NAME, total, f"evaluated {plural(total, 'size')} that no free axis changes")] if total else []


def _know_expanded(node: ir.Node) -> None:
    """Note the shape of Expand(x, target) where x has one element and no more axes than the target."""
    numbers, target = constant(node.inputs[0]), vector(node.inputs[1])
    if numbers is not None and target is not None and numbers.size == 1 and numbers.ndim <= len(target):
        node.outputs[0].shape = ir.Shape([dim.name if isinstance(dim, Symbol) else dim for dim in target])


def _numbers(node: ir.Node) -> Array | None:
    """What the node computes, int64 or int32 of rank 0 or 1; None where an entry, the rank or the type is not known."""
    output = node.outputs[0]
    entries = None if output.is_graph_output() else vector(output)
    if entries is None or any(isinstance(entry, Symbol) for entry in entries):
        return None
    shape = [len(entries)] if node.op_type == "Shape" else shape_of(output)
    if shape not in ([], [len(entries)]) or (shape == [] and len(entries) != 1):
        return None
    wide = output.dtype != ir.DataType.INT32
    if not wide and any(isinstance(entry, int) and abs(entry) >= 2**31 for entry in entries):
        return None
    return np.array(entries, np.int64 if wide else np.int32).reshape([len(entries)] if shape else ())


def _infer_last(graph: ir.Graph, node: ir.Node) -> bool:
    """Write -1 for the only entry of a computed target that is not known, where all others are positive."""
    target = node.inputs[1]
    maker = target.producer() if target is not None else None
    if maker is None or maker.op_type != "Concat":
        return False
    entries: list[int | Symbol] = []
    for part in maker.inputs:
        known = _entries(part)
        if known is None:
            return False
        entries += known
    free = [place for place, entry in enumerate(entries) if isinstance(entry, Symbol)]
    if len(free) != 1 or any(isinstance(entry, int) and entry < 1 for entry in entries):
        return False
    numbers = np.array([-1 if isinstance(entry, Symbol) else entry for entry in entries], np.int64)
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.shape", numbers))
    return True


def _entries(part: ir.Value | None) -> Vector | None:
    """The entries of a part of a target; one number that nobody knows is a symbol of its own."""
    known = vector(part)
    if known is None and part is not None and shape_of(part) == [1]:
        return (Symbol(part.name or ""),)
    return known


def _replace(graph: ir.Graph, node: ir.Node, numbers: Array) -> None:
    output = node.outputs[0]
    name, output.name = output.name, None
    output.replace_all_uses_with(new_constant(graph, name or "size", numbers))
    graph.remove(node, safe=True)
