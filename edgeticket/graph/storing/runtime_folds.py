"""Does ONNX Runtime fold what was written, so that nothing is rebuilt at inference? Seen on the graph it optimised."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.protos import nodes_of
from edgeticket.graph.serialize import LIMIT_BYTES


def unfolded(model: onnx.ModelProto, names: Iterable[str]) -> frozenset[str] | None:
    """Those of `names` that a node still computes after ONNX Runtime's constant folding.

    None where the runtime cannot load the model (an operator it does not know), so that nothing can be said.
    """
    graph = _optimized(model)
    if graph is None:
        return None
    return frozenset(names) & frozenset(name for node in nodes_of(graph) for name in node.output)


def same_operators(before: onnx.ModelProto, after: onnx.ModelProto, *, fewer: bool = False) -> bool:
    """Whether ONNX Runtime runs the same operators, as often, for both models after everything it fuses.

    Integer kernels are found by fusing quantised nodes around their weights: this is where it would show that they
    are no longer found, for what they are made of would be there instead. With `fewer`, `after` may run some of them
    less often: what two equal weights compute of one input is computed once where they are one. True where the runtime
    cannot load one of the models, so that nothing can be said.
    """
    counts = []
    for model in (before, after):
        graph = _optimized(model, whole=True)
        if graph is None:
            return True
        counts.append(Counter((node.domain, node.op_type) for node in nodes_of(graph)))
    return counts[0] == counts[1] or (fewer and not counts[1] - counts[0])


def as_well_fused(before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    """Whether ONNX Runtime runs no operator for `after` that it does not run for `before`, as often or more often."""
    return same_operators(before, after, fewer=True)


def _optimized(model: onnx.ModelProto, *, whole: bool = False) -> onnx.GraphProto | None:
    """The graph after constant folding and the basic rewrites, or after the `whole` of them; its weights unread."""
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        source: bytes | Path
        if model.ByteSize() > LIMIT_BYTES:
            source = Path(folder, "model.onnx")
            onnx.save_model(model, source, save_as_external_data=True, location="model.data")
        else:
            source = model.SerializeToString()
        optimized = Path(folder, "optimized.onnx")
        try:
            runtime.cpu_session(source, optimized_path=optimized, whole=whole)
        except ModelError:
            return None
        return onnx.load_model(optimized, load_external_data=False).graph
