"""The plan that a stored file is held to: the shape and the nonzeros of each weight, before and after the passes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import onnx_ir as ir

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.values import constant, nonzeros

Survey = dict[str, tuple[str, tuple[int, ...], int]]


def survey(model: ir.Model) -> Survey:
    """Weight name -> (operator, shape, nonzeros), in the order of the graph."""
    found: Survey = {}
    for weight in layer_weights(model.graph):
        assert weight.value.name is not None
        if weight.array.ndim:  # a shape of () says in a plan that the layer was removed: one number is no weight
            found.setdefault(weight.value.name, (weight.node.op_type, tuple(weight.array.shape), weight.nonzeros))
    return found


def without_layer(model: ir.Model, before: Iterable[str]) -> Survey:
    """Weights whose layers went, and that something else reads or the graph gives out (a tied embedding, say)."""
    left = {weight.value.name for weight in layer_weights(model.graph)}
    found: Survey = {}
    for name in before:
        array = None if name in left else constant(model.graph.initializers.get(name))
        if array is not None:
            found[name] = ("", tuple(array.shape), nonzeros(array))
    return found


def plan(before: Survey, after: Survey) -> tuple[LayerInfo, ...]:
    """A line for each weight there was; one that is gone has the shape () and no nonzeros."""
    layers = []
    for name, (op, shape, count) in before.items():
        _, shape_after, count_after = after.get(name, (op, (), 0))
        layers.append(LayerInfo(name, op, shape, shape_after, count, count_after))
    return tuple(layers)


def since(given: Survey, layers: Sequence[LayerInfo], held: Collection[str]) -> tuple[LayerInfo, ...]:
    """The plan, counted from an earlier survey, before branches and bodies were simplified on their own.

    A copy of a captured weight is called NAME_2 and so on. A weight keeps its counts where the earlier survey has no
    such name, and then none is said to be gone: it may be one that was named anew. Nor is one of those that are `held`.
    """
    counted, known = [], set()
    for layer in layers:
        plain = re.sub(r"_[0-9]+$", "", layer.name)
        name = layer.name if layer.name in given or given.get(plain, ("",))[0] != layer.op else plain
        op, shape, count = given.get(name, (layer.op, layer.shape_before, layer.nonzeros_before))
        counted.append(replace(layer, op=op, shape_before=shape, nonzeros_before=count))
        known.add(name)
    if known <= given.keys():
        counted += plan({name: found for name, found in given.items() if name not in known and name not in held}, {})
    return tuple(counted)
