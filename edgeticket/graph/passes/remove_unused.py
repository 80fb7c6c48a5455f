"""Dead code: drop nodes whose outputs nobody reads and initializers nobody reads. Unknown operators stay."""

from __future__ import annotations

import onnx_ir as ir

from edgeticket.graph.passes.note import Note
from edgeticket.graph.values import is_standard, opset
from edgeticket.text import plural

NAME = "remove-unused"


def remove_unused(model: ir.Model) -> list[Note]:
    """Remove from the main graph what no output depends on. Initializers that are graph inputs stay."""
    graph, version = model.graph, opset(model)
    removed = 0
    for node in reversed(list(graph)):
        if not is_standard(node, version):
            continue
        if all(not output.uses() and not output.is_graph_output() for output in node.outputs):
            graph.remove(node, safe=True)
            removed += 1
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output() and not value.is_graph_input():
            del graph.initializers[name]
            removed += 1
    return [Note(NAME, removed, f"dropped {plural(removed, 'value')} that no output depends on")] if removed else []
