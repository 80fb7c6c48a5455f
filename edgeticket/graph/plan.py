"""The plan that a stored file is held to: the shape and the nonzeros of each weight, before and after the passes."""

from __future__ import annotations

from collections.abc import Iterable

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
