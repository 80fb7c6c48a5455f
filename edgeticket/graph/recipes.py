"""How a folded constant was made, kept beside it, so that a table made of a few numbers can be made again.

Folding shows weights, and sizes that passes work with. But a table of positions, a window or a mask that Range, Cos and
Expand make of a few numbers takes kilobytes once it is folded, where ONNX Runtime folds it at load anyway. So such
constants, where no layer or normalisation reads them, are given their nodes back when the passes are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from edgeticket.graph.layers import LAYER_WEIGHTS
from edgeticket.graph.values import Array, constant, fresh_name, new_constant, unrounded

LEAST_BYTES = 1024  # of a table that is given its nodes back
TIMES = 4  # how many times more than its nodes it takes
_LEAF_BYTES = 4096  # what a recipe starts from
_NODE_BYTES = 24  # a node beside its attributes
_MOST_NODES = 64
_RECIPE = "edgeticket.recipe"
_NEVER = frozenset(["Constant", "Identity", "ScatterElements", "TopK"])  # the two are of chains that rebuild weights


@dataclass(frozen=True, eq=False)
class Recipe:
    """A node that was folded, and what it read: numbers, or an output of another such node."""

    op_type: str
    attributes: tuple[ir.Attr, ...]
    inputs: tuple[Ingredient, ...]
    outputs: int


@dataclass(frozen=True)
class Made:
    """An output of a folded node."""

    recipe: Recipe
    index: int


Ingredient: TypeAlias = "Array | Made | None"


def remember(node: ir.Node, values: list[ir.Value]) -> None:
    """Note on `values`, which hold the results of a folded node, how they are made; not where that is not short."""
    if node.op_type in _NEVER:
        return
    inputs: list[Ingredient] = []
    for value in node.inputs:
        if value is None:
            inputs.append(None)
            continue
        made, array = _recipe(value), constant(value)
        if made is None and (array is None or array.nbytes > _LEAF_BYTES or unrounded(value) is not None):
            return
        inputs.append(made or array)
    recipe = Recipe(node.op_type, tuple(node.attributes.values()), tuple(inputs), len(values))
    for index, value in enumerate(values):
        value.meta[_RECIPE] = Made(recipe, index), value.const_value


def _recipe(value: ir.Value) -> Made | None:
    """How the value's numbers are made; None where a pass gave it others since."""
    made, tensor = value.meta.get(_RECIPE, (None, None))
    return made if tensor is value.const_value and isinstance(made, Made) else None


def give_back_nodes(graph: ir.Graph) -> list[str]:
    """Replace each large constant that is made of little by its nodes; the names of those constants."""
    replaced = []
    written: dict[int, list[ir.Value]] = {}
    nodes: list[ir.Node] = []
    for name, value in list(graph.initializers.items()):
        made, array = _recipe(value), constant(value)
        if made is None or array is None or array.nbytes <= LEAST_BYTES:
            continue
        if value.is_graph_output() or _needed(value) or _cost(made) * TIMES >= _packed_bytes(array):
            continue
        graph.initializers.pop(name)
        value.name = None
        output = _write(graph, made, written, nodes)
        if output.name is None or output.name in replaced:  # two names for the same numbers
            value.replace_all_uses_with(output)
            continue
        output.name, output.shape, output.type = name, value.shape, value.type
        value.replace_all_uses_with(output)
        replaced.append(name)
    if nodes:
        first = next(iter(graph), None)
        if first is None:
            graph.extend(nodes)
        else:
            graph.insert_before(first, nodes)
    return replaced


def _write(graph: ir.Graph, made: Made, written: dict[int, list[ir.Value]], nodes: list[ir.Node]) -> ir.Value:
    outputs = written.get(id(made.recipe))
    if outputs is None:
        inputs: list[ir.Value | None] = []
        for each in made.recipe.inputs:
            if each is None:
                inputs.append(None)
            elif isinstance(each, Made):
                inputs.append(_write(graph, each, written, nodes))
            else:
                inputs.append(new_constant(graph, "made_of", each))
        node = ir.Node("", made.recipe.op_type, inputs, made.recipe.attributes, num_outputs=made.recipe.outputs)
        for output in node.outputs:
            output.name = fresh_name(graph, "made")
        nodes.append(node)
        outputs = written[id(made.recipe)] = list(node.outputs)
    return outputs[made.index]


def _needed(value: ir.Value) -> bool:
    """Whether a layer or a normalisation reads it: a view of a weight or a bias that others fuse with."""
    return any(
        ("", use.node.op_type) in LAYER_WEIGHTS or use.node.op_type.endswith("Normalization") for use in value.uses()
    )


def _cost(made: Made) -> int:
    seen: dict[int, Recipe] = {}
    leaves: dict[int, int] = {}
    pending = [made.recipe]
    while pending and len(seen) <= _MOST_NODES:
        recipe = pending.pop()
        seen[id(recipe)] = recipe
        for each in recipe.inputs:
            if isinstance(each, Made):
                pending += [each.recipe] if id(each.recipe) not in seen else []
            elif each is not None:
                leaves[id(each)] = each.nbytes + _NODE_BYTES
    if len(seen) > _MOST_NODES:
        return 1 << 62
    attributes = sum(len(each.SerializeToString()) for recipe in seen.values() for each in _attributes(recipe))
    return attributes + sum(leaves.values()) + sum(_NODE_BYTES + len(each.op_type) for each in seen.values())


def _attributes(recipe: Recipe) -> Iterator[onnx.AttributeProto]:
    for each in recipe.attributes:
        proto = ir.to_proto(each)
        assert isinstance(proto, onnx.AttributeProto)
        yield proto


def _packed_bytes(array: Array) -> int:
    """About what it takes at rest: what is most frequent in it is not stored."""
    with np.errstate(invalid="ignore"):
        _, counts = np.unique(array, return_counts=True)
    stored = int(array.size - counts.max())
    return stored * array.itemsize + min(stored, array.size // 8)
