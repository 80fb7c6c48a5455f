"""What is asked of onnx's own messages everywhere: the standard's version, inputs, bodies of nodes, what these read."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

STANDARD = ("", "ai.onnx")  # two names of the standard's own domain


def standard_version(holder: onnx.ModelProto | onnx.FunctionProto) -> int:
    """The version of the standard's operators that a model or a function imports; 0 where it imports none."""
    return max((int(entry.version) for entry in holder.opset_import if entry.domain in STANDARD), default=0)


def without_default(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs of a graph that a caller has to give: no initializer is a default for them."""
    defaults = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in defaults]


def bodies_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The branches and bodies of an If, a Loop or a Scan; not those inside of them."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all bodies in it."""
    yield graph
    for node in graph.node:
        for body in bodies_of(node):
            yield from graphs_of(body)


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph, each with those of its bodies behind it."""
    for node in graph.node:
        yield node
        for body in bodies_of(node):
            yield from nodes_of(body)


def reads_of(node: onnx.NodeProto) -> Iterator[str]:
    """The values that a node reads, by its inputs or in its bodies."""
    yield from filter(None, node.input)
    for body in bodies_of(node):
        yield from captured(body)


def captured(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that a body reads of the graphs around it."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {sparse.values.name for sparse in graph.sparse_initializer}
    own |= {name for node in graph.node for name in node.output}
    for node in graph.node:
        yield from (name for name in reads_of(node) if name not in own)
    yield from (value.name for value in graph.output if value.name not in own)
