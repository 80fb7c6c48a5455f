"""Branches of an If that no input takes are proved by force: conditions become constants in both networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
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
from edgeticket.graph.proving.static.bodies import NAMES, Body, bodies_of, digests
from edgeticket.graph.simplify import Simplified

Array = NDArray[Any]
MOST_FORCED = 16  # branches; each takes a run of both networks
_NAMED = 3  # bodies of those that never ran
_CONDITION = "edgeticket.condition"


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
    """Run every body that none of the samples ran, in both networks, and is not the same in both, node for node."""
    inlined, _ = inline_functions(original)
    left = {body for body, _ in bodies_of(simplified.model.graph)}
    names = simplified.shortened
    bodies = {body: place for body, place in bodies_of(inlined.graph) if _named(body, names) in left}
    if not bodies:
        return Branches()
    feeds = [sample.feed for sample in samples]
    entered = set(compare.evaluate(inlined, feeds).entered)
    waiting = {body: place for body, place in bodies.items() if body not in entered}
    if waiting:
        before, after = digests(inlined, names), digests(simplified.model, {})
        waiting = {body: place for body, place in waiting.items() if before[body] != after[_named(body, names)]}
    not_run: list[str] = []
    for number, (body, place) in enumerate(waiting.items()):
        if body in entered:
            continue  # it stands in a branch that was forced
        proved = None
        if place.node.op_type == "If" and number < MOST_FORCED:
            there = {_named(branch, names) for branch in place.branches}
            wide_model, now = _forced(inlined, set(place.branches)), _forced(simplified.model, there)
            wide = compare.evaluate(wide_model, feeds)
            known = list(_in_shape(samples, wide))
            proved = compare(wide_model, replace(simplified, model=now), known) if known else None
            if proved is not None and proved.verdict == "proved":
                entered |= wide.entered
        said = f"the {NAMES[body[1]]} of {place.node.op_type} {place.node.name or body[0]!r}"
        if proved is not None and proved.verdict == "refuted" and proved.max_abs_delta is not None:
            return Branches(replace(proved, reason=f"in {said}, which no input takes, {proved.reason}"))
        if body not in entered:
            not_run.append(said)
    if not not_run:
        return Branches()
    more = f" and {len(not_run) - _NAMED} more" if len(not_run) > _NAMED else ""
    return Branches(None, (f"{', '.join(not_run[:_NAMED])}{more} never ran",))


def _named(body: Body, names: Mapping[str, str]) -> Body:
    """A body of the original as the simplified network calls it."""
    return names.get(body[0], body[0]), body[1]


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


def _forced(model: onnx.ModelProto, branches: Set[Body]) -> onnx.ModelProto:
    """A copy in which Ifs take these branches, whatever their conditions."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for wanted in (True, False):
        found.graph.initializer.append(onnx.numpy_helper.from_array(np.array(wanted), f"{_CONDITION}.{wanted}"))
    _force(found.graph, branches)
    return found


def _force(graph: onnx.GraphProto, branches: Set[Body]) -> None:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                if (node.output[0], attribute.name) in branches:
                    node.input[0] = f"{_CONDITION}.{attribute.name == 'then_branch'}"
                _force(attribute.g, branches)
