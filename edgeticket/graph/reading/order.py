"""The nodes of a graph in an order in which each comes after what it reads.

The standard asks for such an order. ONNX Runtime asks for it in subgraphs only: the nodes of the main graph it sorts
itself, so that files in any order are about. Whoever reads a graph front to back needs it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import onnx


def put_in_order(graph: onnx.GraphProto) -> None:
    """Sort the nodes of the main graph where they are not in order: of those that may come next, the first as written.

    Nodes that wait for one another or for what nothing computes stay at the end, as they were.
    """
    nodes = list(graph.node)
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    reads = [{maker[name] for name in _read(node) if name in maker} for node in nodes]
    if all(source < index for index, sources in enumerate(reads) for source in sources):
        return
    readers: list[list[int]] = [[] for _ in nodes]
    for index, sources in enumerate(reads):
        for source in sources:
            readers[source].append(index)
    missing = [len(sources) for sources in reads]
    ready = [index for index, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    order += sorted(set(range(len(nodes))) - set(order))
    copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
    del graph.node[:]
    graph.node.extend(copies)


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, its subgraphs included."""
    yield from node.input
    for attribute in node.attribute:
        for part in (attribute.g, *attribute.graphs):
            if part.node or part.output:
                yield from _captured(part)


def _captured(graph: onnx.GraphProto) -> Iterator[str]:
    """What a subgraph reads of the graphs around it."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    read = [name for node in graph.node for name in _read(node)] + [value.name for value in graph.output]
    yield from (name for name in read if name not in own)
