"""Between onnx's protos and onnx-ir's graphs, which have no maps: such types are put aside and given back.

They rest in the meta data of the graph, which are not written: onnx's own shape inference ends the process where an
input has no type.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from edgeticket.errors import ModelError
from edgeticket.graph.protos import bodies_of
from edgeticket.text import one_line

_TYPES = "edgeticket.types"


def to_ir(proto: onnx.ModelProto) -> ir.Model:
    """The model as onnx-ir has it; types that it cannot hold are put aside.

    Raises:
        ModelError: onnx-ir cannot read the graph.
    """
    types = {entry.name: entry.type for entry in _entries(proto.graph) if _has_map(entry.type)}
    if types:
        known = proto
        proto = onnx.ModelProto()
        proto.CopyFrom(known)
        for entry in _entries(proto.graph):
            if entry.name in types:
                entry.ClearField("type")
    try:
        model: ir.Model = ir.from_proto(proto)
    except Exception as error:  # onnx-ir and numpy raise what they like on a damaged graph
        raise ModelError(unreadable(proto, error)) from error
    model.graph.meta[_TYPES] = types
    return model


def unreadable(proto: onnx.ModelProto, error: Exception) -> str:
    """The sentence for a graph that onnx-ir or numpy choke on."""
    said = first_cause(error)
    return f"the ONNX graph {proto.graph.name!r} cannot be read: {said}. Check it with onnx.checker.check_model."


def first_cause(error: BaseException) -> str:
    """What an error says in one line: onnx-ir wraps one in others that print a whole model."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error) or type(error).__name__


def give_back(proto: onnx.ModelProto, model: ir.Model) -> None:
    """Put the types that were put aside where they were in the graph that `proto` was made of."""
    if types := model.graph.meta.get(_TYPES):
        for entry in _entries(proto.graph):
            if entry.name in types:
                entry.type.CopyFrom(types[entry.name])


def _has_map(kind: onnx.TypeProto) -> bool:
    which = kind.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _has_map(getattr(kind, which).elem_type)
    return which in ("map_type", "opaque_type")


def _entries(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """What says a value's type, in the graph and its subgraphs."""
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
    for node in graph.node:
        for body in bodies_of(node):
            yield from _entries(body)
