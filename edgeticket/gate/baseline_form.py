"""Is the baseline that was given the best form of its network? A slow form makes every candidate look fast."""

from __future__ import annotations

from edgeticket.subject.subject import Subject
from edgeticket.text import listing


def remarks(baseline: Subject) -> list[str]:
    """A sentence about what ONNX Runtime left in the baseline although it fuses it elsewhere; nothing without onnx."""
    try:
        from edgeticket.graph.optimised import optimised, unfused
    except ModuleNotFoundError:
        return []
    graph = optimised(baseline.model)
    left = unfused(graph) if graph is not None else []
    if not left:
        return []
    return [
        f"The baseline is not its network's best form: ONNX Runtime left {listing(left, 3)} in it, which it fuses "
        "where the graph allows. `edgeticket export` of the dense network (--round 0 of a ticket) gives a fairer one."
    ]
