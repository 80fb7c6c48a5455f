"""Shapes that are numbers: Shape(x) = c where inference finds every dimension that it returns.

A graph with fixed input shapes computes with them at every inference (Shape, Gather, Concat, Reshape). Once the first
is a constant, fold_constants evaluates the rest, and what depends on that has a shape in turn. The runtime refuses
inputs of another shape than the declared one, so that this is exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.passes.note import Note
from edgeticket.graph.shapes import infer_shapes, vector
from edgeticket.graph.values import is_standard, new_constant, opset
from edgeticket.text import plural

NAME = "fold-shapes"


def fold_shapes(model: ir.Model) -> list[Note]:
    """Fold until nothing changes; shapes must be inferred, and are so afterwards."""
    total = 0
    while count := _fold(model):
        total += count
        fold_constants(model)
        infer_shapes(model)
    return [Note(NAME, total, f"wrote {plural(total, 'shape')} down as numbers")] if total else []


def _fold(model: ir.Model) -> int:
    graph, version = model.graph, opset(model)
    count = 0
    for node in list(graph):
        if node.op_type != "Shape" or not is_standard(node, version) or node.outputs[0].is_graph_output():
            continue
        found = vector(node.outputs[0])
        if found is None or not all(isinstance(entry, int) and entry >= 0 for entry in found):
            continue
        known = new_constant(graph, f"{node.outputs[0].name}.known", np.array(found, np.int64))
        node.outputs[0].replace_all_uses_with(known)
        graph.remove(node, safe=True)
        count += 1
    return count
