"""The proof of the graph, in float64: the original and the simplified network are the same function.

Removal and folding are exact in real arithmetic, and passes keep the float64 numbers of which the file holds the
rounding (values.py). So in float64 the two networks differ by float64's own rounding alone. The error of an evaluation
grows with the unit roundoff, to first order (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., ch. 3),
and for this network and this feed it was measured in float32 as e = max |y32 - y64|. In float64 it is about 2**-29 e:
    tolerance = 64 2**-29 e + 1024 2**-52 max |y| + 1e-30, and never more than 1e-7 of the output's range.
Where that does not hold, the original is run once more with every weight and input moved by one unit of float64: what
this moves is its true sensitivity, and 64 times as much is allowed, within the same limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact.manifest import GraphProof
from edgeticket.artifact.numbers import NEGLIGIBLE, is_float
from edgeticket.graph.double.operation import Signature
from edgeticket.graph.proving import chosen, forced, reference
from edgeticket.graph.proving.apart import DOUBLE, apart_by, nudged_outputs, shape_text
from edgeticket.graph.proving.finding import GraphFinding, Sample
from edgeticket.graph.proving.parts import part_left
from edgeticket.graph.proving.stillness import Movement
from edgeticket.graph.proving.yardstick import Yardstick, largest, span
from edgeticket.graph.simplify import Simplified
from edgeticket.graph.values import to_dtype

Array = NDArray[Any]
Feed = Mapping[str, Array]
FACTOR, ULPS = 64.0, 1024.0
SHARE = 1e-7  # of an output's range, at most
COARSE = 1e-5  # of the magnitude: what float32 is taken to err by where that was not measured
FOLDED = 2.0**-20  # of the magnitude: an int32 bias takes up constants by a scale that is rounded to float32
_QUANTISE = frozenset(["DynamicQuantizeLinear", "QuantizeLinear"])
_PER_SINGLE = 2.0**-29  # float64's unit roundoff, of float32's


def prove_graph(
    original: onnx.ModelProto,
    simplified: Simplified,
    samples: Sequence[Sample],
    yardstick: Yardstick,
    coarse: frozenset[str],
    by_runtime: frozenset[Signature],
) -> GraphFinding:
    """Compare the simplified network with the original in float64, over samples.

    `coarse` are outputs that are no better than float32, because an operator on the way was run in that: they are held
    to float32's tolerance. What the network chooses from (chosen.py) is compared too, over two samples.
    """
    changed = _not_rounded(simplified)
    if changed:
        reason = f"the constant {changed!r} is not the rounding of what was computed for it"
        return GraphFinding(GraphProof("refuted", reason))
    compare = _Compare(yardstick, coarse, by_runtime)
    found = compare(original, simplified, samples)
    if found.verdict != "proved":
        return GraphFinding(found)
    few = _alike(samples)
    branches = forced.prove_branches(original, simplified, few, compare)
    if branches.against is not None:
        return GraphFinding(branches.against)
    finding = _choices(original, simplified, few, replace(compare, coarse=frozenset()))
    return replace(finding, proof=finding.proof or found, not_run=branches.not_run)


@dataclass(frozen=True)
class _Compare:
    """Compares what two networks give out, over samples."""

    yardstick: Yardstick
    coarse: frozenset[str]
    by_runtime: frozenset[Signature]
    least: float = 0.0  # of the magnitude: what is allowed at least

    def evaluate(
        self, model: onnx.ModelProto, feeds: Sequence[Feed], unrounded: Mapping[str, Array] | None = None
    ) -> reference.Reference:
        return reference.evaluate(model, feeds, unrounded, self.by_runtime)

    def __call__(
        self,
        original: onnx.ModelProto,
        plan: Simplified,
        samples: Sequence[Sample],
        after: reference.Reference | None = None,
    ) -> GraphProof:
        """The proof of what both networks give out; `after` is what the simplified one does, where it was run."""
        feeds = [sample.feed for sample in samples]
        found = after or self.evaluate(plan.model, feeds, plan.unrounded)
        if found.outputs is None:
            return GraphProof("not proved", f"the simplified network: {found.reason}")
        coarse = self.coarse | found.single
        delta, tolerance, worst, compared = 0.0, 0.0, -1.0, 0
        for sample, outputs in zip(samples, found.outputs, strict=True):
            if outputs is None:
                return GraphProof("refuted", "in float64 the original runs, and the simplified network does not")
            moved: dict[str, Array] | None = None
            compared += reference.rows(sample.feed)
            for name, before in sample.double.items():
                now = outputs.get(name)
                if now is None or now.shape != before.shape:
                    return GraphProof("refuted", f"in float64 the output {name!r} has another shape: {shape_text(now)}")
                allowed = _allowed(name, sample, self.yardstick, coarse)
                allowed += self.least * largest(before[np.isfinite(before)]) if self.least and is_float(before) else 0.0
                apart, reason = apart_by(before, now, sample.single.get(name))
                if reason or apart > allowed:
                    moved = moved or nudged_outputs(original, sample, self.by_runtime)
                    jumps, _ = apart_by(before, moved.get(name, before))
                    cap = _most(name, before, self.yardstick)
                    if (reason or apart > cap) and jumps > cap:
                        continue  # a choice hangs by the last bit of float64 here: this feed says nothing about it
                    allowed = max(allowed, min(FACTOR * jumps, cap))
                    if reason or apart > allowed:
                        said = reason or f"moved by {apart:.3g} in float64, where rounding explains {allowed:.3g}"
                        return GraphProof("refuted", f"output {name!r} {said}", apart, allowed, compared)
                share = apart / allowed if allowed > 0 else 0.0
                if share > worst:
                    delta, tolerance, worst = apart, allowed, share
        operators = found.operators
        reason = f"in float64 no output moved by more than {delta:.3g} (allowed {tolerance:.3g})"
        return GraphProof("proved", reason, delta, tolerance, compared, operators)


def _choices(
    original: onnx.ModelProto, simplified: Simplified, samples: Sequence[Sample], compare: _Compare
) -> GraphFinding:
    """Compare what outputs are chosen from. The proof is None where nothing is against them."""
    feeds = [sample.feed for sample in samples]
    inner = chosen.exposed(original, simplified, feeds[0])
    if inner is None:
        return GraphFinding(None)
    wide = compare.evaluate(inner.original, feeds)
    after = compare.evaluate(inner.simplified, feeds, simplified.unrounded)
    quantised = any(node.op_type in _QUANTISE for node in inner.original.graph.node)
    least = FOLDED if quantised else 0.0
    known: list[Sample] = []
    ran: list[dict[str, Array]] = []
    for feed, before, now in zip(feeds, wide.outputs or (), after.outputs or (), strict=False):
        if before is not None and now is not None:
            found = {
                name: part_left(array, now[name], inner.left.get(name, ()), least)
                for name, array in before.items()
                if name in now
            }
            parts = {name: part for name, part in found.items() if part is not None}
            known.append(Sample(feed, {}, {name: part(before[name]) for name, part in parts.items()}, parts))
            ran.append(now)
    after = replace(after, outputs=tuple(ran))
    compare = replace(compare, coarse=wide.single | after.single, least=least)
    against = compare(inner.original, replace(simplified, model=inner.simplified), known, after) if known else None
    if against is not None and against.verdict == "refuted":
        return GraphFinding(replace(against, reason=f"where it chooses, {against.reason}"))
    movement = Movement()
    for sample in known if against is not None and against.verdict == "proved" else ():
        for name, array in sample.double.items():
            movement.see(name, array, sample.feed)
    moved = {name for name in inner.by_choice if not all(movement.still(each) for each in inner.sources[name])}
    seen = {name for sample in known for name in sample.double}
    unseen = {name for name in inner.by_choice if inner.sources[name] and seen.isdisjoint(inner.sources[name])}
    wanted = {each for name in inner.by_choice for each in inner.sources[name] if name not in unseen}
    left_out = inner.left_out + len(wanted - seen)
    return GraphFinding(None, frozenset(moved), frozenset(unseen) | inner.lost, left_out=left_out)


def _alike(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Two samples, of one shape where there are such: between those one sees what moves."""
    first, *rest = samples
    shapes = [array.shape for array in first.feed.values()]
    same = [sample for sample in rest if [array.shape for array in sample.feed.values()] == shapes]
    return [first, *(same or rest)[:1]]


def _allowed(name: str, sample: Sample, yardstick: Yardstick, coarse: frozenset[str]) -> float:
    double, single = sample.double[name], sample.single.get(name)
    if not is_float(double):
        return 0.0
    finite = np.isfinite(double)
    scale = largest(double[finite])
    error = 0.0
    if single is not None and single.shape == double.shape and is_float(single):
        both = finite & np.isfinite(single)
        error = largest(single[both].astype(np.float64) - double[both])
    if name in coarse:
        error = error if single is not None else COARSE * scale
        return yardstick.allowed(name, scale, span(double[finite]), error).tolerance
    if single is not None and single.dtype == np.float64:
        error = error / _PER_SINGLE  # it was measured in float64 already
    explained = FACTOR * _PER_SINGLE * error + ULPS * DOUBLE * scale
    return min(explained, _most(name, double, yardstick)) + NEGLIGIBLE


def _most(name: str, double: Array, yardstick: Yardstick) -> float:
    """What is allowed at most: a share of the output's range."""
    if not is_float(double):
        return 0.0
    finite = double[np.isfinite(double)]
    return SHARE * yardstick.range_of(name, largest(finite), span(finite))


def _not_rounded(simplified: Simplified) -> str:
    """A constant that is not the rounding, once, of the float64 numbers that were computed for it; '' if all are."""
    stored = {tensor.name: tensor for tensor in simplified.model.graph.initializer}
    for name, numbers in simplified.unrounded.items():
        if name in stored:
            array = onnx.numpy_helper.to_array(stored[name])
            if not np.array_equal(to_dtype(numbers, array.dtype), array, equal_nan=True):
                return name
    return ""
