"""What choices are made of: an ArgMax gives out a class and not the scores, so a wrong score may not show in it.

Outputs are followed back, in the original and in the simplified network side by side, as far as both are made by the
same operator. What an operator reads that chooses, sorts, rounds or is not known in float64 becomes an output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

_CHOOSES = frozenset([
    "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    "NonMaxSuppression", "Round", "Sign", "TopK", "ZipMap",
])  # fmt: skip
_HANDS_ON = frozenset([
    "And", "Cast", "Concat", "Flatten", "Gather", "Identity", "Not", "Or", "Reshape", "Slice", "Squeeze", "Transpose",
    "Unsqueeze",
])  # fmt: skip
_PREFIX = "edgeticket.chosen_from."

Pair = tuple[str, str]


@dataclass(frozen=True)
class Exposed:
    """Both networks with what is chosen from for outputs, under the same names.

    `sources` has, for each output of the network that is chosen, the names of what it is chosen from.
    """

    original: onnx.ModelProto
    simplified: onnx.ModelProto
    sources: Mapping[str, tuple[str, ...]]


def exposed(original: onnx.ModelProto, simplified: onnx.ModelProto) -> Exposed | None:
    """What the networks choose from, made outputs; None where there is nothing."""
    found = _chosen_from(original.graph, simplified.graph)
    pairs = list(dict.fromkeys(pair for each in found.values() for pair in each))
    if not pairs:
        return None
    names = {pair: f"{_PREFIX}{number}" for number, pair in enumerate(pairs)}
    return Exposed(
        _with_outputs(original, [before for before, _ in pairs]),
        _with_outputs(simplified, [after for _, after in pairs]),
        {output: tuple(names[pair] for pair in each) for output, each in found.items() if each},
    )


def _chosen_from(original: onnx.GraphProto, simplified: onnx.GraphProto) -> dict[str, list[Pair]]:
    """For each output, the pairs of values that it is chosen from, which stand in the same place of both networks."""
    before, after = _makers(original), _makers(simplified)
    known, kept = set(before) | _stored(original), set(after) | _stored(simplified)
    found: dict[str, list[Pair]] = {}
    for output in original.output:
        pairs = found[output.name] = []
        waiting, seen = [(output.name, output.name)], set[Pair]()
        while waiting:
            pair = waiting.pop()
            old, new = before.get(pair[0]), after.get(pair[1])
            if pair in seen or old is None or new is None or not _same(old, new):
                continue
            seen.add(pair)
            places = list(zip(old.input, new.input, strict=True))
            if old.op_type in _CHOOSES:
                pairs += [(x, y) for x, y in places if x in known and y in kept]
            elif old.op_type in _HANDS_ON:
                waiting += places
    return found


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
