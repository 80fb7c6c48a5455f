"""The model as it was given, in the form that the passes read: its constants and its nodes by name.

What nodes compute from constants is evaluated when it is asked for, and only that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper

from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.passes.fold_constants import FOLDABLE
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.protos import STANDARD, bodies_of, graphs_of, nodes_of, standard_version
from edgeticket.graph.proving.static.scopes import Array
from edgeticket.graph.upgrade import upgrade
from edgeticket.graph.values import HALF_AND_SINGLE

_WIDE = np.dtype(np.float64)


def as_read(original: onnx.ModelProto, plan: onnx.ModelProto) -> onnx.ModelProto:
    """The original as the passes read it: with functions inlined and the operator set raised where the plan has that.

    Neither changes a number. It is done anew, so that the plan is not held to itself.
    """
    model = original if plan.functions else inline_functions(original)[0]
    return upgrade(model, convert=standard_version(plan) != standard_version(original))[0]


class Given:
    """The constants of a model by name, main graph, bodies and functions alike. Two may bear one name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.stored: dict[str, list[onnx.TensorProto]] = defaultdict(list)
        self.nodes: dict[str, list[onnx.NodeProto]] = defaultdict(list)  # by each of their outputs
        self._order: dict[int, int] = {}  # by the node's id; a body's come behind the node that holds it
        self._version = standard_version(model)
        self._known: dict[tuple[str, bool], Array | None] = {}
        for tensor in tensors(model.graph):
            self.stored[tensor.name].append(tensor)
        self._all = list(all_nodes(model))  # kept, as ids are of use only while their objects live
        for index, node in enumerate(self._all):
            self._order[id(node)] = index
            for name in filter(None, node.output):
                self.nodes[name].append(node)

    def constants(self, name: str) -> list[Array]:
        """The numbers that rest under a name, or what constants make of it; [] where there are none."""
        if name in self.stored:
            return [numpy_helper.to_array(tensor) for tensor in self.stored[name]]
        found = self.evaluated(name)
        return [] if found is None else [found]

    def evaluated(self, name: str, *, wide: bool = False) -> Array | None:
        """What nodes make of constants, in the graph's own precision or in float64; None where that is not known."""
        if (name, wide) not in self._known:
            for node in self._cone(name):
                self._evaluate(node, wide)
            self._known.setdefault((name, wide), None)
        return self._known[name, wide]

    def _cone(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that make a value, in an order in which they can be run; [] where an input takes part."""
        waiting, cone = [name], {}
        while waiting:
            each = waiting.pop()
            if each in self.stored:
                continue
            if len(self.nodes.get(each, ())) != 1:  # an input, or two values of one name
                return []
            [node] = self.nodes[each]
            if node.op_type not in FOLDABLE or node.domain not in STANDARD:
                return []
            if id(node) not in cone:
                cone[id(node)] = node
                waiting += filter(None, node.input)
        return sorted(cone.values(), key=lambda node: self._order[id(node)])

    def _evaluate(self, node: onnx.NodeProto, wide: bool) -> None:
        if all((name, wide) in self._known for name in node.output if name):
            return
        inputs = [self._operand(name, wide) if name else None for name in node.input]
        results = None
        if not any(name and array is None for name, array in zip(node.input, inputs, strict=True)):
            results = _results(node, inputs, self._version, wide)
        for index, name in enumerate(node.output):
            self._known[name, wide] = None if results is None or index >= len(results) else results[index]

    def _operand(self, name: str, wide: bool) -> Array | None:
        tensors = self.stored.get(name, ())
        if len(tensors) != 1:
            return self._known.get((name, wide))
        return _widened(numpy_helper.to_array(tensors[0]), wide)


def _results(node: onnx.NodeProto, inputs: list[Array | None], version: int, wide: bool) -> list[Array] | None:
    if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].type == AttributeProto.TENSOR:
        return [_widened(numpy_helper.to_array(node.attribute[0].t), wide)]
    if wide and node.op_type in ("Cast", "CastLike") and inputs[0] is not None and inputs[0].dtype == _WIDE:
        return [inputs[0]]
    found = evaluate(node, inputs, version)
    return None if found is None else [_widened(array, wide) for array in found]


def _widened(array: Array, wide: bool) -> Array:
    return array.astype(_WIDE) if wide and array.dtype in HALF_AND_SINGLE else array


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The initializers of a graph and its bodies."""
    for part in graphs_of(graph):
        yield from part.initializer


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph, of bodies and of functions; a body's follow the node that holds it."""
    yield from nodes_of(model.graph)
    for function in model.functions:
        for node in function.node:
            yield node
            for body in bodies_of(node):
                yield from nodes_of(body)
