"""The values of a graph, of a body inside it or of a function: who makes each of them, and which are constant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.passes.fold_constants import FOLDABLE
from edgeticket.graph.protos import STANDARD

Array = NDArray[Any]


class Scope:
    """The nodes of one graph, and the graphs around it, whose values it sees.

    `constants` are the numbers of the values that do not depend on an input, where they have been evaluated; without
    them they are evaluated here when they are first asked for.
    """

    def __init__(
        self,
        nodes: Iterable[onnx.NodeProto],
        inputs: Sequence[str],
        stored: Iterable[onnx.TensorProto],
        version: int,
        *,
        outer: Scope | None = None,
        constants: Mapping[str, Array] | None = None,
    ) -> None:
        self.nodes = tuple(nodes)
        self.outer, self.version = outer, version
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.input_places = {name: place for place, name in enumerate(inputs)}
        self.stored = {tensor.name: tensor for tensor in stored}
        self.makers = {
            name: (index, place)
            for index, node in enumerate(self.nodes)
            for place, name in enumerate(node.output)
            if name
        }
        self._constants = constants
        self._evaluated: dict[str, Array] = {}

    @classmethod
    def of_graph(
        cls,
        graph: onnx.GraphProto,
        version: int,
        outer: Scope | None = None,
        constants: Mapping[str, Array] | None = None,
    ) -> Scope:
        """The scope of a graph or of a body, with the graph around it."""
        inputs = [value.name for value in graph.input]
        return cls(graph.node, inputs, graph.initializer, version, outer=outer, constants=constants)

    def home(self, name: str) -> Scope | None:
        """The graph that defines a value: this one or one around it; None where none does."""
        scope: Scope | None = self
        while scope is not None and not (name in scope.makers or name in scope.input_places or name in scope.stored):
            scope = scope.outer
        return scope

    def is_stored(self, name: str) -> bool:
        """Is it an initializer that no caller may override?"""
        return name in self.stored and name not in self.input_places

    def constant(self, name: str) -> Array | None:
        """The numbers of a value of this graph; None where they depend on an input or were not evaluated."""
        if name in self.input_places:
            return None
        if self._constants is None:
            self._constants = self._evaluated
            for node in self.nodes:
                self._evaluate(node)
        found = self._constants.get(name)
        if found is None and name in self.stored:
            found = self._evaluated.get(name)
            if found is None:
                found = self._evaluated[name] = onnx.numpy_helper.to_array(self.stored[name])
        return found

    def add_cone(self, name: str, known: set[tuple[int, int]]) -> None:
        """Add every node that a value is made by, directly or not, as the id of its graph and its place in that.

        Where a node is `known` what that is made by is too: thousands of weights may be cut from one vector, and the
        nodes that make this are walked through once.
        """
        waiting: list[tuple[Scope, str]] = [(self, name)]
        while waiting:
            scope, wanted = waiting.pop()
            home = scope.home(wanted)
            if home is None or wanted not in home.makers:
                continue
            index, _ = home.makers[wanted]
            if (id(home), index) not in known:
                known.add((id(home), index))
                waiting += [(home, each) for each in home.nodes[index].input]

    def _evaluate(self, node: onnx.NodeProto) -> None:
        if node.op_type not in FOLDABLE or node.domain not in STANDARD:
            return
        inputs: list[Array | None] = []
        for name in node.input:
            home = self.home(name) if name else None
            array = None if home is None else home.constant(name)
            if name and array is None:
                return
            inputs.append(array)
        results = evaluate(node, inputs, self.version)
        if results is not None:
            self._evaluated.update(zip(node.output, results, strict=False))


def differing(first: Array, second: Array) -> NDArray[np.bool_]:
    """Where arrays of one shape differ. NaN equals NaN, and a negative zero is a zero."""
    return np.asarray((first != second) & ~((first != first) & (second != second)))


def equal(first: Array, second: Array) -> bool:
    """Are they of one type and shape, with the same numbers or texts?"""
    first, second = texts_as_unicode(first), texts_as_unicode(second)
    same_form = first.dtype == second.dtype or first.dtype.kind == second.dtype.kind == "U"
    return same_form and first.shape == second.shape and not np.any(differing(first, second))


def texts_as_unicode(array: Array) -> Array:
    """Texts come as bytes from onnx-ir and as objects from onnx; numbers stay as they are."""
    if array.dtype.kind not in "SO":
        return array
    flat = (each.decode("utf-8", "surrogateescape") if isinstance(each, bytes) else str(each) for each in array.flat)
    return np.array(list(flat), np.str_).reshape(array.shape)
