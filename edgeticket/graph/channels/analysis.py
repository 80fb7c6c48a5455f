"""One forward walk over a graph: it ties channels that belong together, and finds those that are constant."""

from __future__ import annotations

import onnx_ir as ir

from edgeticket.graph.channels.rules import CONTRIB_RULES, RULES
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import is_standard, opset

OUTPUT = "an output of the graph"


def analyse(model: ir.Model) -> State:
    """Walk over the main graph, whose shapes are inferred (graph/shapes.py), and apply each operator's rule.

    Pinned are the channels of graph inputs and outputs, of what a subgraph reads, and of whatever an operator without
    a rule reads or makes.
    """
    state = State(model.graph, opset(model))
    for node in model.graph:
        state.reader = node.op_type
        rule = RULES.get(node.op_type) if is_standard(node, state.version) else None
        if node.domain == "com.microsoft":
            rule = CONTRIB_RULES.get(node.op_type)
        if rule is not None and rule(state, node):
            state.followed.add(node)
            continue
        state.bar(node)
        for value in node.inputs:
            state.pin(value)
        for value in node.outputs:
            state.pin(value)
            state.channels.pop(value, None)
    for value in list(state.channels):
        if value.is_graph_output():
            state.reader = OUTPUT
            state.pin(value)
        for use in value.uses():
            if use.node.graph is not model.graph:
                state.reader = "a subgraph"
                state.pin(value)
    return state
