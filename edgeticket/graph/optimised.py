"""What ONNX Runtime makes of a model before it runs: its graph after the rewrites that hold on every processor."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.protos import nodes_of

_LAYERS = frozenset(["Conv", "ConvTranspose", "Gemm"])
_KEPT = frozenset([  # constants that the runtime computes on purpose, and what differs from run to run
    "Bernoulli", "DequantizeLinear", "Multinomial", "QuantizeLinear", "RandomNormal", "RandomUniform",
])  # fmt: skip


def optimised(model: bytes | Path) -> onnx.GraphProto | None:
    """The graph after constant folding and the basic rewrites; None where the runtime cannot load the model."""
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        path = Path(folder, "optimised.onnx")
        try:
            runtime.cpu_session(model, optimized_path=path)
        except ModelError:
            return None
        return onnx.load_model(path, load_external_data=False).graph


def operators(graph: onnx.GraphProto) -> Counter[str]:
    """How many nodes of each operator the graph and its subgraphs have."""
    return Counter(node.op_type for node in nodes_of(graph))


def unfused(graph: onnx.GraphProto) -> list[str]:
    """What is left in an optimised graph although the runtime fuses it where a graph allows: one phrase each."""
    constants = {tensor.name for tensor in (*graph.initializer, *(each.values for each in graph.sparse_initializer))}
    made = {output: node for node in graph.node for output in node.output}
    readers = Counter(name for node in graph.node for name in node.input) + Counter(each.name for each in graph.output)
    found = []
    for node in graph.node:
        name = node.name or (node.output[0] if node.output else "")
        read = [each for each in node.input if each]
        layer = made.get(read[0]) if read else None
        if node.op_type == "BatchNormalization" and layer is not None:
            if layer.op_type in _LAYERS and readers[read[0]] == 1:
                found.append(f"BatchNormalization {name!r} after {layer.op_type}")
        elif node.op_type not in _KEPT and read and constants.issuperset(read):
            found.append(f"{node.op_type} {name!r} of constants")
    return found
