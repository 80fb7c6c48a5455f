"""The original in float32 and in float64, feed by feed, and how much it moves by rounding alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import outputs
from edgeticket.artifact.golden import nudged
from edgeticket.artifact.manifest import GraphProof
from edgeticket.artifact.numbers import flushed, is_float
from edgeticket.errors import InputError
from edgeticket.graph.double.operation import Signature
from edgeticket.graph.double.suspects import suspects
from edgeticket.graph.proving import reference as float64
from edgeticket.graph.proving.comparison import Run, lost_infinities, same
from edgeticket.graph.proving.finding import GraphFinding, Sample
from edgeticket.graph.proving.graph_proof import prove_graph
from edgeticket.graph.proving.stillness import Movement, elsewhere
from edgeticket.graph.proving.yardstick import SINGLE, Yardstick, largest, measured, span
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import Simplified

Array = NDArray[Any]
Feed = Mapping[str, Array]
_UNITS = {onnx.TensorProto.BFLOAT16: 2.0**-7, onnx.TensorProto.FLOAT16: 2.0**-10, onnx.TensorProto.FLOAT: SINGLE}
_NUDGES = 4


class Trial:
    """The original and the exported file with the feeds that the original ran on."""

    def __init__(self, original: onnx.ModelProto, before: runtime.Session, after: runtime.Session) -> None:
        self.original, self.before, self.after = original, before, after
        self.runs: list[Run] = []
        self.coarse: frozenset[str] = frozenset()
        self._operators: tuple[str, ...] = ()
        self._by_runtime: frozenset[Signature] = frozenset()
        self._missing = ""
        self._plain: runtime.Session | None = None

    def single(self, feed: Feed, *, usual: bool = True) -> Run:
        """The original in float32 on one feed.

        Raises:
            InputError: it does not take the feed.
        """
        clean = {name: flushed(array, half=False) for name, array in feed.items()}
        return Run(clean, usual, outputs.run(self.before, clean))

    def run(self, feeds: Sequence[Feed], *, usual: bool) -> None:
        """Run the original on feeds and keep what it gave; an extreme one that it does not take is left out.

        Raises:
            InputError: it does not take a usual feed.
        """
        for feed in feeds:
            try:
                self.runs.append(self.single(feed, usual=usual))
            except InputError:
                if usual:
                    raise

    def wake(self, names: Collection[str]) -> None:
        """Run the original on feeds unlike the first one, until every output of `names` has moved somewhere."""
        seen = Movement(_unit(self.original))
        for each in self.runs:
            for name in each.single:
                seen.see(name, each.single[name], each.feed)
        asleep = {name for name in names if seen.still(name)}
        operators = {node.op_type for node in self.original.graph.node}
        for feed in elsewhere(self.runs[0].feed, operators) if asleep else ():
            try:
                each = self.single(feed, usual=False)
            except InputError:
                continue
            for name in asleep:
                seen.see(name, each.single[name], each.feed)
            woken = {name for name in asleep if not seen.still(name)}
            if woken:
                self.runs.append(each)
                asleep -= woken
            if not asleep:
                return

    def is_random(self) -> bool:
        """Does it give other outputs each time?"""
        first = self.runs[0]
        return not same(first.single, outputs.run(self.before, first.feed))

    def yardstick(self, *, exact: bool) -> Yardstick:
        """Run the original in float64, on as many feeds as the budget allows, and measure."""
        unit = _unit(self.original)
        usual = [each for each in self.runs if each.usual]
        affordable = float64.within_budget(self.original, [each.feed for each in self.runs]) if exact else []
        chosen = _alternating([each for each in self.runs if any(each.feed is feed for feed in affordable)])
        found = measured([each.single for each in usual], [None] * len(usual), unit)
        if not chosen or not exact:
            missing = "the model is too large for a float64 reference" if exact else ""
            return Yardstick(ranges=found.ranges, unit=unit, missing=missing)
        reason = self._double(chosen)
        if reason:
            return Yardstick(ranges=found.ranges, unit=unit, missing=reason)
        found = measured([each.single for each in usual], [each.double for each in usual], unit)
        strange = [each for each in chosen if each.usual and self._apart(each, found)]
        if strange and len(strange) == sum(each.usual for each in chosen):
            self._by_runtime = suspects(self.original, strange[0].feed)
            if self._by_runtime and not self._double(chosen):
                found = measured([each.single for each in usual], [each.double for each in usual], unit)
        return found

    def _double(self, chosen: Sequence[Run]) -> str:
        """Run the original in float64; the reason where it cannot be."""
        feeds = [each.feed for each in chosen]
        found = float64.evaluate(self.original, feeds, {}, self._by_runtime, budget_s=float64.BUDGET_S)
        self.coarse, self._operators = found.single, found.operators
        for each, doubled in zip(chosen, found.outputs or [None] * len(chosen), strict=True):
            each.double = doubled
        return "" if found.outputs is not None else found.reason

    def _apart(self, each: Run, yardstick: Yardstick) -> bool:
        """Do float32 and float64 differ by more than a feed that testifies may?"""
        if each.double is None:
            return True
        for name, single in each.single.items():
            double = each.double.get(name)
            if double is None or double.shape != single.shape:
                return True
            if is_float(single):
                finite = np.isfinite(single) & np.isfinite(double)
                exact = double[finite]
                error = largest(single[finite] - exact)
                if np.any(np.isfinite(single) & ~np.isfinite(double)) or not yardstick.testifies(
                    name, error, largest(exact), span(exact)
                ):
                    return True
        return False

    def graph(self, simplified: Simplified, yardstick: Yardstick) -> GraphFinding:
        """The proof of the graph, over what was run in float64."""
        samples = [Sample(each.feed, each.single, each.double) for each in self.runs if each.double is not None]
        if not samples:
            reason = yardstick.missing or "no feed was run in float64"
            return GraphFinding(GraphProof("not proved", reason))
        found = prove_graph(self.original, simplified, samples, yardstick, self.coarse, self._by_runtime)
        if found.proof is None or found.proof.verdict != "refuted":
            return found
        # A pass changes attributes, so that what float64 gets wrong may have another signature in the other graph.
        others = suspects(simplified.model, samples[0].feed) - self._by_runtime
        if not others:
            return found
        return prove_graph(self.original, simplified, samples, yardstick, self.coarse, self._by_runtime | others)

    def explains(self, each: Run, found: Mapping[str, Array], yardstick: Yardstick) -> bool:
        """Does the original move as much as the file did, when nothing but its rounding changes?

        It is run without the runtime's fusions, and with every float of the inputs moved by one unit in the last
        place. What it chooses otherwise then, or how much, is no fault of the file's; and where its own error is seen
        to be larger than one run showed, that error counts.
        """
        others = list(self._otherwise(each.feed))
        for name, before in each.single.items():
            after = found[name]
            if before.shape != after.shape:
                if not _as_many([before, *(other[name] for other in others)], after):
                    return False
                continue
            if not is_float(before):
                open_to_choice = np.zeros(before.shape, np.bool_)
                for other in others:
                    open_to_choice |= other[name] != before if other[name].shape == before.shape else True
                if each.double is not None and each.double[name].shape == before.shape:
                    open_to_choice |= each.double[name] != before
                if np.any((before != after) & ~open_to_choice):
                    return False
                continue
            lost = lost_infinities(each, name, after) if each.usual else np.zeros(before.shape, np.bool_)
            for other in others if lost.any() else ():
                lost &= other[name] == before if other[name].shape == before.shape else False
            if lost.any():
                return False
            exact = before if each.double is None or each.double[name].shape != before.shape else each.double[name]
            finite = np.isfinite(before) & np.isfinite(exact)
            known = exact[finite].astype(np.float64)
            spread = max(
                (largest(other[name][finite] - known) for other in others if other[name].shape == before.shape),
                default=0.0,
            )
            scale, own = largest(known), span(known)
            if not yardstick.testifies(name, spread, scale, own):
                continue  # the original jumps here: the feed says nothing
            if largest(after[finite] - known) > yardstick.allowed(name, scale, own, spread).tolerance:
                return False
        return True

    def _otherwise(self, feed: Feed) -> Iterator[dict[str, Array]]:
        if self._plain is None:
            self._plain = runtime.cpu_session(serialize(self.original), optimize=False)
        yield outputs.run(self._plain, feed)
        for seed in range(_NUDGES):
            yield outputs.run(self.before, nudged(feed, seed))


def _as_many(own: Sequence[Array], found: Array) -> bool:
    """Is an output of open length as long as the original's are, or farther off by no more than these are apart?"""
    if any(array.ndim != found.ndim for array in own):
        return False
    lengths = np.array([array.shape for array in own])
    low, high = lengths.min(axis=0), lengths.max(axis=0)
    return bool(np.all(np.abs(2 * np.array(found.shape) - low - high) <= 3 * (high - low)))


def _alternating(runs: Sequence[Run]) -> list[Run]:
    """Two usual ones first, then one of each kind in turn: what the budget cuts off is some of both."""
    usual, extreme = [each for each in runs if each.usual], [each for each in runs if not each.usual]
    ordered, rest = usual[:2], usual[2:]
    for index in range(max(len(rest), len(extreme))):
        ordered += [*extreme[index : index + 1], *rest[index : index + 1]]
    return ordered


def _unit(model: onnx.ModelProto) -> float:
    """The unit in the last place of the coarsest floats that the network computes in."""
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        for attribute in node.attribute:
            kinds |= {attribute.i} if attribute.name == "to" else set()
            kinds |= {attribute.t.data_type} if attribute.HasField("t") else set()
    return next((unit for kind, unit in _UNITS.items() if kind in kinds), SINGLE if _DOUBLE not in kinds else 2.0**-52)


_DOUBLE = onnx.TensorProto.DOUBLE
