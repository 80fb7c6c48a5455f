"""The shapes that a file says of its values: they leave with it, changed only where the network was.

A removed channel makes an annotation wrong. So every shape is inferred anew, and what was given stands beside it axis
by axis: numbers that were found win, the user's names win over names that were found, and where nothing is found
nothing was removed either, so that what was given stays. Only a number where an input's free axis arrives was never
right (somebody freed the batch and left the rest): then no other number of that annotation is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgeticket.graph.shapes import infer_shapes, name_dimensions, unname_dimensions

Given = Mapping[str, tuple[ir.Shape, ir.TypeProtocol]]


@dataclass(frozen=True)
class Declared:
    """What the file says of shapes: of inner values, of inputs by their place before their axes had names, of outputs.

    `made_up` are those names.
    """

    inner: Given
    inputs: tuple[tuple[int, ir.Shape], ...]
    outputs: tuple[ir.Shape | None, ...]
    made_up: frozenset[str]

    @classmethod
    def of(cls, model: ir.Model) -> Declared:
        """Note what a model declares, and name the axes of its inputs."""
        inner, outputs = given_shapes(model.graph), tuple(output.shape for output in model.graph.outputs)
        unnamed = name_dimensions(model)
        places = {id(value): place for place, value in enumerate(model.graph.inputs)}
        inputs = tuple((places[id(value)], shape) for value, shape in unnamed)
        return cls(inner, inputs, outputs, frozenset(_names_of(unnamed)))

    def give_back(self, model: ir.Model) -> None:
        """Declare the same of a model made of that one."""
        if self.inner:
            infer_shapes(model)
        keep_shapes(model.graph, self.inner, self.made_up)
        unname_dimensions([(model.graph.inputs[place], shape) for place, shape in self.inputs])
        for output, shape in zip(model.graph.outputs, self.outputs, strict=True):
            output.shape = shape


def given_shapes(graph: ir.Graph) -> Given:
    """What the file says of what nodes return, in the graph and in bodies of branches and loops, by name.

    Two bodies may use one name: where they say different things of it, nothing is kept.
    """
    given: dict[str, tuple[ir.Shape, ir.TypeProtocol]] = {}
    unlike: set[str] = set()
    for node in graph.all_nodes():
        for value in node.outputs:
            if value.name and value.shape is not None and value.type is not None and not value.is_graph_output():
                shape, kind = given.setdefault(value.name, (value.shape.copy(), value.type))
                if (shape, kind) != (value.shape, value.type):
                    unlike.add(value.name)
    return {name: said for name, said in given.items() if name not in unlike}


def keep_shapes(graph: ir.Graph, given: Given, made_up: frozenset[str]) -> None:
    """Say of each inner value that had a shape what it is now, and nothing of the others. Shapes must be inferred.

    `made_up` are names of dimensions that stand for none (shapes.name_dimensions).
    """
    free = frozenset(
        dim.value for value in graph.inputs for dim in value.shape or () if not isinstance(dim, int) and dim.value
    )
    for node in graph.all_nodes():
        for value in node.outputs:
            if value.is_graph_output():
                continue
            found = value.shape
            value.shape = None
            if value.name and value.name in given:
                shape, kind = given[value.name]
                value.type = value.type or kind
                value.shape = shape if found is None else ir.Shape(_merged(list(shape), list(found), free, made_up))
            else:
                value.type = None


def _merged(
    given: list[int | ir.SymbolicDim],
    found: list[int | ir.SymbolicDim],
    free: frozenset[str],
    made_up: frozenset[str],
) -> list[int | ir.SymbolicDim | None]:
    """The axes of a value as they are now. Inference invents names; only those of inputs, `free`, say anything."""
    told = [dim if isinstance(dim, int) or dim.value in free else None for dim in found]
    alike = len(given) == len(told)
    believed = alike and not any(
        isinstance(before, int) and isinstance(now, ir.SymbolicDim) for before, now in zip(given, told, strict=True)
    )
    merged: list[int | ir.SymbolicDim | None] = []
    for axis, now in enumerate(told):
        before = given[axis] if alike else None
        if isinstance(now, int):
            merged.append(now)
        elif isinstance(before, ir.SymbolicDim) or (believed and now is None):
            merged.append(before)
        else:
            merged.append(None if now is None or now.value in made_up else now)
    return merged


def _names_of(unnamed: list[tuple[ir.Value, ir.Shape]]) -> Iterator[str]:
    """The names that name_dimensions made up."""
    for value, before in unnamed:
        for dim, old in zip(value.shape or (), before, strict=True):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None and dim != old:
                yield dim.value
