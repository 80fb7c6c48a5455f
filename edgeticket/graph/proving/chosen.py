"""What choices are made of: an ArgMax gives out a class and not the scores, so a wrong score may not show in it.

Outputs are followed back, in the original and in the simplified network side by side, through any operator that is the
same in both, to those that choose or round (choices.py). What such an operator reads becomes an output. A sum over
many values shows all of them, so that nothing is followed beyond a layer, unless it reads choices alone: then what
these are made of is followed too, as in a quantised network from layer to layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

import onnx
from numpy.typing import NDArray

from edgeticket.graph.channels.grid import Left
from edgeticket.graph.order import ordered
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.protos import reads_of
from edgeticket.graph.proving.choices import Dependence
from edgeticket.graph.proving.reference import Feed, elements
from edgeticket.graph.simplify import Simplified

MOST_EXPOSED = 96  # values that nodes make, the nearest to the outputs first; more where these are small
MOST_ELEMENTS = 2**23  # of them all: each is held for two samples and both networks
_PASSES_ON = frozenset(["Dropout", "Identity"])
_PREFIX = "edgeticket.chosen_from."

Array = NDArray[Any]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Exposed:
    """Both networks with what is chosen from for outputs, under the same names.

    `sources` has, for each output of the network, the names of what it is chosen from; of those in `by_choice` nothing
    but choices shows. `lost` are outputs of these of which a choice has no counterpart; `left_out` counts values that
    were too many. `left` says, under the same names, which units stay where some were removed.
    """

    original: onnx.ModelProto
    simplified: onnx.ModelProto
    sources: Mapping[str, tuple[str, ...]]
    by_choice: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    left_out: int = 0
    left: Mapping[str, tuple[Left, ...]] = field(default_factory=dict)


def exposed(original: onnx.ModelProto, plan: Simplified, feed: Feed) -> Exposed | None:
    """What the networks choose from, made outputs; None where there is nothing, and no choice either.

    `feed` has the shapes of the inputs that they are run on.
    """
    original, _ = inline_functions(original)
    sides = _Sides(original.graph, plan)
    outputs = [output.name for output in original.graph.output]
    found = {name: sides.chosen_from(name) for name in outputs}
    by_choice = frozenset(name for name in outputs if name in sides.dependence.by_choice)
    in_turn = zip_longest(*(each.pairs for each in found.values()))
    pairs = [pair for pair in dict.fromkeys(chain.from_iterable(in_turn)) if pair is not None]
    if not pairs and not by_choice:
        return None
    made = [pair for pair in pairs if pair[0] in sides.before]
    left_out = set(_too_many(original, made, feed))
    kept = [pair for pair in pairs if pair not in left_out]
    names = {pair: f"{_PREFIX}{number}" for number, pair in enumerate(kept)}
    long = {short: name for name, short in plan.shortened.items()}
    left = {names[pair]: plan.left.get(long.get(pair[1], pair[1]), ()) for pair in kept}
    return Exposed(
        _with_outputs(original, [before for before, _ in kept]),
        _with_outputs(plan.model, [after for _, after in kept]),
        {output: tuple(names[pair] for pair in each.pairs if pair in names) for output, each in found.items()},
        by_choice,
        by_choice & {name for name, each in found.items() if each.lost},
        len(left_out),
        left,
    )


def _too_many(original: onnx.ModelProto, made: Sequence[Pair], feed: Feed) -> Sequence[Pair]:
    """Those of the values, in their order, from which on they are too many, or together too large.

    What shape inference does not know, behind operators of the runtime's own, is taken for as large as the largest.
    """
    if len(made) <= MOST_EXPOSED:
        return ()
    sizes = elements(original, feed, {before for before, _ in made})
    largest, held = max(sizes.values(), default=MOST_ELEMENTS), 0
    for number, (before, _) in enumerate(made):
        held += sizes.get(before, largest)
        if number >= MOST_EXPOSED and held > MOST_ELEMENTS:
            return made[number:]
    return ()


@dataclass
class _Found:
    """What one output is chosen from, the nearest first; and whether a choice without a counterpart is on the way."""

    pairs: list[Pair] = field(default_factory=list)
    lost: bool = False


class _Sides:
    """The makers of values in both networks."""

    def __init__(self, original: onnx.GraphProto, plan: Simplified) -> None:
        simplified = plan.model.graph
        taken = set(plan.shortened.values()) - set(plan.shortened)
        self._named = {name: name for name in _makers(original) if name not in taken} | dict(plan.shortened)
        self.before, self.after = _makers(original), _makers(simplified)
        self.known, self.kept = set(self.before) | _stored(original), set(self.after) | _stored(simplified)
        self.dependence = Dependence.of(original, ordered(original))

    def chosen_from(self, output: str) -> _Found:
        """Follow one output back, breadth first."""
        found, seen = _Found(), set[Pair]()
        waiting: deque[Pair] = deque([(output, output)])
        while waiting:
            pair = (_passed(waiting[0][0], self.before), _passed(waiting.popleft()[1], self.after))
            old, new = self.before.get(pair[0]), self.after.get(pair[1])
            if pair in seen or old is None:
                continue
            seen.add(pair)
            if new is None or not _same(old, new):
                new = self.after.get(self._named.get(pair[0], ""))  # what was moved may bear its name
            if new is None or not _same(old, new):
                found.lost |= self.dependence.hides(old)
                if not self.dependence.mixes(old):
                    waiting += [(name, self._named.get(name, "")) for name in reads_of(old)]
                continue
            places = list(self._places(old, new))
            if self.dependence.chooses(old):
                found.pairs += [(x, y) for x, y in places if x in self.known and y in self.kept]
            elif old.op_type.startswith("QLinear"):
                found.pairs.append((pair[0], pair[1]))  # what it rounds is not to be had: its integers are
            if not self.dependence.mixes(old):
                waiting += places
        return found

    def _places(self, old: onnx.NodeProto, new: onnx.NodeProto) -> Iterator[Pair]:
        """What both read: inputs by their place, and what bodies capture by its name."""
        yield from zip(old.input, new.input, strict=True)
        captured = set(reads_of(new)) - set(new.input)
        named = ((name, self._named.get(name, "")) for name in dict.fromkeys(reads_of(old)))
        yield from ((name, after) for name, after in named if after in captured)


def _passed(name: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """The value behind operators that pass it on as it is."""
    while name in makers and makers[name].op_type in _PASSES_ON:
        name = makers[name].input[0]
    return name


def _same(old: onnx.NodeProto, new: onnx.NodeProto) -> bool:
    return (old.op_type, old.domain, len(old.input)) == (new.op_type, new.domain, len(new.input))


def _makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in graph.node for name in node.output if name}


def _stored(graph: onnx.GraphProto) -> set[str]:
    return {tensor.name for tensor in graph.initializer}


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A copy that gives out these values instead."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.output[:]
    for number, name in enumerate(names):
        found.graph.node.append(onnx.helper.make_node("Identity", [name], [f"{_PREFIX}{number}"]))
        found.graph.output.append(onnx.ValueInfoProto(name=f"{_PREFIX}{number}"))
    return found
