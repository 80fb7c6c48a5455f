"""The shapes that a file says of its values: they leave with it, changed only where the network was.

A removed channel makes an annotation wrong. So every shape is inferred anew, and what was given stands beside it axis
by axis: numbers that were found win, names of the user's win over names that were found, and where nothing is found
nothing was removed either, so that what was given stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

Given = Mapping[str, tuple[ir.Shape, ir.TypeProtocol]]


def given_shapes(graph: ir.Graph) -> Given:
    """What the file says of the outputs of the main graph's nodes, by name."""
    return {
        value.name: (value.shape.copy(), value.type)
        for node in graph
        for value in node.outputs
        if value.name and value.shape is not None and value.type is not None and not value.is_graph_output()
    }


def keep_shapes(graph: ir.Graph, given: Given, made_up: frozenset[str]) -> None:
    """Say of each inner value that had a shape what it is now, and nothing of the others. Shapes must be inferred.

    `made_up` are names of dimensions that stand for none (shapes.name_dimensions).
    """
    for node in graph:
        for value in node.outputs:
            if value.is_graph_output():
                continue
            found = value.shape
            value.shape = None
            if value.name and value.name in given:
                shape, kind = given[value.name]
                value.type = value.type or kind
                value.shape = _merged(shape, found, made_up)
            else:
                value.type = None


def _merged(given: ir.Shape, found: ir.Shape | None, made_up: frozenset[str]) -> ir.Shape:
    """[axes] of the value as it is now; of another rank than was given, all as found."""
    if found is None:
        return given
    if len(found) != len(given):
        return ir.Shape([None if _name(dim) in made_up else dim for dim in found])
    return ir.Shape([_dimension(*pair, made_up) for pair in zip(given, found, strict=True)])


def _dimension(
    given: int | ir.SymbolicDim, found: int | ir.SymbolicDim, made_up: frozenset[str]
) -> int | ir.SymbolicDim | None:
    if isinstance(found, int):
        return found
    if found.value is None or not isinstance(given, int):
        return given
    return None if found.value in made_up else found


def _name(dim: int | ir.SymbolicDim) -> str | None:
    return None if isinstance(dim, int) else dim.value
