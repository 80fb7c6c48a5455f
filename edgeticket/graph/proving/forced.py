"""Branches of an If that no input takes are proved by force: the condition becomes a constant in both networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact.manifest import GraphProof
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.proving import reference
from edgeticket.graph.proving.finding import Sample
from edgeticket.graph.proving.samples import Feed
from edgeticket.graph.simplify import Simplified

Array = NDArray[Any]
MOST_FORCED = 16  # branches; each takes a run of both networks
_NAMED = 3  # bodies of those that never ran
_CONDITION = "edgeticket.condition"
_WORDS = {"then_branch": "then-branch", "else_branch": "else-branch", "body": "body"}

Body = tuple[str, str]  # the first output of an If, a Loop or a Scan, and the attribute that holds the body


class Compare(Protocol):
    """Evaluates a network in float64, and compares two."""

    def evaluate(self, model: onnx.ModelProto, feeds: Sequence[Feed]) -> reference.Reference: ...

    def __call__(self, original: onnx.ModelProto, plan: Simplified, samples: Sequence[Sample]) -> GraphProof: ...


@dataclass(frozen=True)
class Branches:
    """What speaks against a branch; and those that could not be run, each in a clause."""

    against: GraphProof | None = None
    not_run: tuple[str, ...] = ()


def prove_branches(
    original: onnx.ModelProto, simplified: Simplified, samples: Sequence[Sample], compare: Compare
) -> Branches:
    """Run every body that none of the samples ran, in both networks, where an If of the main graph holds it."""
    inlined, _ = inline_functions(original)
    left = {body for body, _ in _bodies(simplified.model.graph)}
    named = {body: (simplified.shortened.get(body[0], body[0]), body[1]) for body, _ in _bodies(inlined.graph)}
    bodies = {body: found for body, found in _bodies(inlined.graph) if named[body] in left}
    if not bodies:
        return Branches()
    feeds = [sample.feed for sample in samples]
    entered = set(compare.evaluate(inlined, feeds).entered)
    waiting = {body: found for body, found in bodies.items() if body not in entered}
    not_run: list[str] = []
    for number, (body, (node, outermost)) in enumerate(waiting.items()):
        proved = None
        if node.op_type == "If" and outermost and number < MOST_FORCED:
            wanted = body[1] == "then_branch"
            before, after = _forced(inlined, body[0], wanted), _forced(simplified.model, named[body][0], wanted)
            wide = compare.evaluate(before, feeds)
            entered |= wide.entered
            known = list(_in_shape(samples, wide))
            proved = compare(before, replace(simplified, model=after), known) if known else None
        said = f"the {_WORDS[body[1]]} of {node.op_type} {node.name or body[0]!r}"
        if proved is not None and proved.verdict == "refuted" and proved.max_abs_delta is not None:
            return Branches(replace(proved, reason=f"in {said}, which no input takes, {proved.reason}"))
        if body in entered:
            continue  # it stands in a branch that was forced
        if proved is None or proved.verdict != "proved":
            not_run.append(said)
    if not not_run:
        return Branches()
    more = f" and {len(not_run) - _NAMED} more" if len(not_run) > _NAMED else ""
    return Branches(None, (f"{', '.join(not_run[:_NAMED])}{more} never ran",))


def _in_shape(samples: Sequence[Sample], forced: reference.Reference) -> Iterator[Sample]:
    """What came out of a branch, where it has the shapes of what the other gives: else it may be one for other ranks.

    Passes rely on inferred shapes, so that such a branch may be none that can be taken.
    """
    for sample, outputs in zip(samples, forced.outputs or (), strict=False):
        alike = {
            name: array
            for name, array in (outputs or {}).items()
            if name in sample.double and sample.double[name].shape == array.shape
        }
        if alike:
            yield Sample(sample.feed, {}, alike)


def _bodies(graph: onnx.GraphProto, *, outermost: bool = True) -> Iterator[tuple[Body, tuple[onnx.NodeProto, bool]]]:
    """All bodies, with the node that holds each, and whether that stands in the main graph."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                if attribute.name in _WORDS:
                    yield (node.output[0], attribute.name), (node, outermost)
                yield from _bodies(attribute.g, outermost=False)


def _forced(model: onnx.ModelProto, output: str, condition: bool) -> onnx.ModelProto:
    """A copy in which the If that gives this output takes one branch, whatever its condition."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    found.graph.initializer.append(onnx.numpy_helper.from_array(np.array(condition), _CONDITION))
    for node in found.graph.node:
        if node.op_type == "If" and node.output[0] == output:
            node.input[0] = _CONDITION
    return found
