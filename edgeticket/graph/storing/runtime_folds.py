"""Does ONNX Runtime fold what was written, so that nothing is rebuilt at inference? Seen on the graph it optimised."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.serialize import LIMIT_BYTES


def unfolded(model: onnx.ModelProto, names: Iterable[str]) -> frozenset[str] | None:
    """Those of `names` that a node still computes after ONNX Runtime's constant folding.

    None where the runtime cannot load the model (an operator it does not know), so that nothing can be said.
    """
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        source: bytes | Path
        if model.ByteSize() > LIMIT_BYTES:
            source = Path(folder, "model.onnx")
            onnx.save_model(model, source, save_as_external_data=True, location="model.data")
        else:
            source = model.SerializeToString()
        optimized = Path(folder, "optimized.onnx")
        try:
            runtime.cpu_session(source, optimized_path=optimized)
        except ModelError:
            return None
        graph = onnx.load_model(optimized, load_external_data=False).graph
    return frozenset(names) & frozenset(_computed(graph))


def _computed(graph: onnx.GraphProto) -> Iterator[str]:
    """What the nodes of a graph and of its subgraphs compute."""
    for node in graph.node:
        yield from node.output
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _computed(subgraph)
