"""The nodes of a graph in an order in which each comes after what it reads.

The standard asks for such an order. ONNX Runtime asks for it in subgraphs only: the nodes of the main graph it sorts
itself, so that there are files in any order. Whoever reads a graph front to back needs it.
"""

from __future__ import annotations

import heapq

import onnx

from edgeticket.graph.protos import reads_of


def put_in_order(graph: onnx.GraphProto) -> None:
    """Sort the nodes of the main graph where they are not in order."""
    order = _order(graph)
    if order == sorted(order):
        return
    copies = [onnx.NodeProto.FromString(graph.node[index].SerializeToString()) for index in order]
    del graph.node[:]
    graph.node.extend(copies)


def ordered(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes so that each comes after what it reads (Kahn 1962): of those that may come next, the first as written.

    Nodes that wait for one another stay at the end, as they were.
    """
    return [graph.node[index] for index in _order(graph)]


def _order(graph: onnx.GraphProto) -> list[int]:
    nodes = list(graph.node)
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    reads = [{maker[name] for name in reads_of(node) if name in maker} for node in nodes]
    if all(source < index for index, sources in enumerate(reads) for source in sources):
        return list(range(len(nodes)))
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
    return order + sorted(set(range(len(nodes))) - set(order))
