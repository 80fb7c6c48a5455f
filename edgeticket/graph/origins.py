"""Where a constant comes from: one of the given model, of which passes kept or zeroed parts, or a computation.

Each pass says so where it acts (values.py), and proving/static/unchanged.py holds the numbers of the plan to it. So a
weight that no made-up input reaches (a row of a table, an expert, a closed gate) is compared all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import onnx_ir as ir
from numpy.typing import NDArray

Step: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
_ORIGINS = "edgeticket.origins"  # of a value's `meta`


@dataclass(frozen=True)
class Origin:
    """What a constant is made of: the value `source` of the given model, and the `steps` that kept or zeroed parts.

    `source` names an initializer, or what a node computes from constants. It is None for numbers that a pass computed.
    A step holds no more than what it kept or zeroed, as it lives as long as the plan.
    """

    source: str | None
    steps: tuple[Step, ...] = ()

    @property
    def whole(self) -> bool:
        """Is it a value of the given model as it was?"""
        return self.source is not None and not self.steps


Origins: TypeAlias = tuple[Origin, ...]  # where names are borne twice, one of them is the right one
COMPUTED: Origins = (Origin(None),)


def origins_of(value: ir.Value) -> Origins:
    """What has been noted; a constant of which nothing was noted is the given model's."""
    found: Origins = value.meta.get(_ORIGINS, (Origin(value.name),))
    return found


def set_origins(value: ir.Value, origins: Origins) -> None:
    """Note where a constant comes from."""
    value.meta[_ORIGINS] = origins


def add_step(origins: Origins, step: Step) -> Origins:
    """The same, of which a step has kept or zeroed parts; what was computed stays so."""
    return tuple(each if each.source is None else replace(each, steps=(*each.steps, step)) for each in origins)


def evaluated(name: str | None, inputs: Iterable[ir.Value | None]) -> Origins:
    """The origin of what a node computes from constants: its name, if nothing that it reads was changed."""
    read = [value for value in inputs if value is not None and value.is_initializer()]
    whole = all(each.whole for value in read for each in origins_of(value))
    return (Origin(name),) if name and whole else COMPUTED


def note_origins(model: ir.Model, inside: Mapping[str, Origins]) -> None:
    """Note by name where the constants of a model that was just read come from; those of bodies may have changed."""
    for value in model.graph.initializers.values():
        set_origins(value, (Origin(value.name),))
    for part in model.graph.subgraphs():
        for name, value in part.initializers.items():
            set_origins(value, (*inside.get(name, ()), Origin(name)))


def noted_origins(graph: ir.Graph) -> dict[str, Origins]:
    """By name, where the constants of a graph and its bodies come from."""
    found: dict[str, Origins] = {}
    for part in (graph, *graph.subgraphs()):
        for name, value in part.initializers.items():
            found[name] = (*found.get(name, ()), *origins_of(value))
    return found
