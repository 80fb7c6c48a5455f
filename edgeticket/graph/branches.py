"""What is simplified inside the branches of an If and the bodies of loops: each is a small network of its own.

A body becomes a model whose inputs are its own and what it captures, is simplified, and is put back under new names
where another value of the model bears one of its. Constants that it alone captures, and small ones, come with it.

Left as it is: a body in which nothing was removed, and one that captures what has no known type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import onnx

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.errors import ModelError
from edgeticket.graph.inference import inferred
from edgeticket.graph.origins import Origins
from edgeticket.graph.passes.note import Note
from edgeticket.graph.protos import STANDARD, bodies_of
from edgeticket.graph.values import Array
from edgeticket.text import listing

_SMALL_BYTES = 1024  # a captured constant up to here is copied: shapes, axes, sizes
_LARGEST_BYTES = 2**30  # of a model that is copied and inferred here
_REMOVED = ("remove-dead", "fold-batchnorm")


class _Part(Protocol):
    @property
    def model(self) -> onnx.ModelProto: ...
    @property
    def notes(self) -> tuple[Note, ...]: ...
    @property
    def layers(self) -> tuple[LayerInfo, ...]: ...
    @property
    def unrounded(self) -> Mapping[str, Array]: ...
    @property
    def origins(self) -> Mapping[str, Origins] | None: ...


@dataclass
class Inside:
    """What was done in bodies: sentences, unrounded numbers by name (see values.py), and what became of each weight.

    `origins` says of their constants, by name, where they come from (origins.py).
    """

    notes: list[Note] = field(default_factory=list)
    unrounded: dict[str, Array] = field(default_factory=dict)
    layers: list[LayerInfo] = field(default_factory=list)
    origins: dict[str, Origins] = field(default_factory=dict)

    def whole_plan(self, layers: tuple[LayerInfo, ...]) -> tuple[LayerInfo, ...]:
        """The plan of the whole model with what its bodies' weights were before, and those of them that went."""
        given = {layer.name: layer for layer in reversed(self.layers)}
        left = [
            replace(layer, shape_before=first.shape_before, nonzeros_before=first.nonzeros_before)
            if (first := given.get(layer.name))
            else layer
            for layer in layers
        ]
        listed = {layer.name for layer in layers}
        return (*left, *(layer for name, layer in given.items() if layer.removed and name not in listed))


@dataclass
class _Whole:
    """The model, what is known of its values, and how often each name is read."""

    model: onnx.ModelProto
    types: dict[str, onnx.ValueInfoProto] = field(default_factory=dict)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)  # how many values bear each
    shared: dict[str, onnx.TensorProto] = field(default_factory=dict)  # what a body reads and others too


def simplify_branches(
    model: onnx.ModelProto, simplify: Callable[[onnx.ModelProto], _Part]
) -> tuple[onnx.ModelProto, Inside]:
    """A copy whose branches and bodies are smaller, and what was done.

    `simplify` is given a body as a model. It looks into the bodies inside of it.
    """
    inside = Inside()
    if model.ByteSize() > _LARGEST_BYTES or not any(True for node in model.graph.node for _ in bodies_of(node)):
        return model, inside
    made = onnx.ModelProto()
    made.CopyFrom(model)
    try:
        whole = _looked_at(made)
    except Exception:  # the inference is C++ and raises what it likes on a graph that it does not understand
        return model, inside
    for node in made.graph.node:
        for body in bodies_of(node):
            smaller = _simplified(_as_model(whole, body), simplify)
            if smaller is None:
                continue
            renamed = _put_back(whole, body, smaller.model.graph, smaller.unrounded.keys())
            inside.unrounded |= {renamed.get(name, name): numbers for name, numbers in smaller.unrounded.items()}
            for name, origins in (smaller.origins or {}).items():
                name = renamed.get(name, name)
                inside.origins[name] = (*inside.origins.get(name, ()), *origins)
            inside.layers += [replace(layer, name=renamed.get(layer.name, layer.name)) for layer in smaller.layers]
            inside.notes += [note for note in smaller.notes if note.pass_name in _REMOVED]
    shared = [name for name, tensor in whole.shared.items() if _may_be_dead(tensor)]
    if shared:
        why = "a body reads them and something else does too, so that what is dead in them stays"
        inside.notes.append(Note("remove-dead", 0, f"left the weights {listing(shared)} whole: {why}"))
    return made, inside


def _may_be_dead(tensor: onnx.TensorProto) -> bool:
    """Whether a weight is 0 all along an axis, as what computes or reads a dead unit is."""
    array = onnx.numpy_helper.to_array(tensor)
    others = [tuple(each for each in range(array.ndim) if each != axis) for axis in range(array.ndim)]
    return array.ndim > 1 and array.dtype.kind == "f" and any(not (array != 0).any(axis).all() for axis in others)


def _simplified(part: onnx.ModelProto | None, simplify: Callable[[onnx.ModelProto], _Part]) -> _Part | None:
    """The smaller body; None where nothing was removed, or where it cannot stand in the model as it is now."""
    try:
        smaller = simplify(part) if part is not None else None
    except ModelError:  # weights of a type that is not known, which nobody but the runtime needs to read
        return None
    if part is None or smaller is None or _imports(smaller.model) != _imports(part):
        return None
    return smaller if any(note.changed for note in smaller.notes if note.pass_name in _REMOVED) else None


def _imports(model: onnx.ModelProto) -> dict[str, int]:
    """The version of each domain; that of the standard's own may be written or left out."""
    return {entry.domain: entry.version for entry in model.opset_import}


def _looked_at(model: onnx.ModelProto) -> _Whole:
    """Shapes are inferred anew, as in shapes.py: what the file says of them may be wrong."""
    whole, graph = _Whole(model), model.graph
    standard = {name for node in graph.node if node.domain in STANDARD for name in node.output}
    given = onnx.GraphProto(value_info=graph.value_info).value_info
    del graph.value_info[:]
    graph.value_info.extend(entry for entry in given if entry.name not in standard)
    whole.types = {entry.name: entry for entry in (*inferred(model).graph.value_info, *graph.input)}
    del graph.value_info[:]
    graph.value_info.extend(given)
    inputs = {entry.name for entry in graph.input}
    whole.constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}
    whole.readers.update(_read(graph))
    whole.names.update(_made(graph))
    return whole


def _read(graph: onnx.GraphProto) -> Iterator[str]:
    """The names that nodes read, here and in bodies, and those that are given out."""
    for node in graph.node:
        yield from filter(None, node.input)
        for body in bodies_of(node):
            yield from _read(body)
    yield from (entry.name for entry in graph.output)


def _made(graph: onnx.GraphProto) -> Iterator[str]:
    """The names that values bear, here and in bodies."""
    yield from (entry.name for entry in (*graph.input, *graph.initializer))
    yield from (each.values.name for each in graph.sparse_initializer)
    for node in graph.node:
        yield from filter(None, node.output)
        for body in bodies_of(node):
            yield from _made(body)


def _as_model(whole: _Whole, body: onnx.GraphProto) -> onnx.ModelProto | None:
    """The body as a model: what it captures are its first inputs, or constants of its own."""
    own, read = set(_made(body)), Counter(_read(body))
    graph = onnx.GraphProto()
    graph.CopyFrom(body)
    for name in dict.fromkeys(name for name in _read(body) if name not in own):
        tensor = whole.constants.get(name)
        if tensor is not None and (whole.readers[name] == read[name] or tensor.ByteSize() <= _SMALL_BYTES):
            graph.initializer.append(tensor)
        elif tensor is not None:
            whole.shared[name] = tensor
            graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        elif name in whole.types and whole.types[name].type.HasField("tensor_type"):
            graph.input.append(whole.types[name])
        else:
            return None
    graph.name = graph.name or "body"
    part = onnx.ModelProto(ir_version=whole.model.ir_version, graph=graph)
    part.opset_import.extend(whole.model.opset_import)
    return part


def _put_back(
    whole: _Whole, body: onnx.GraphProto, smaller: onnx.GraphProto, computed: Collection[str]
) -> dict[str, str]:
    """Write what is left into the body; returns the new names of values that had to be named anew.

    A name that two bodies have stays, but for `computed` constants, whose unrounded numbers are found by name.
    """
    formal = {entry.name for entry in body.input}
    own = set(_made(body))
    captured = {entry.name for entry in smaller.input} - formal
    renamed: dict[str, str] = {}
    for name in dict.fromkeys(_made(smaller)):
        if name in captured or (name in own and (whole.names[name] == 1 or name not in computed)):
            continue
        free, number = name, 1
        while whole.names[free]:
            number += 1
            free = f"{name}_{number}"
        whole.names[free] += 1
        if free != name:
            renamed[name] = free
    _rename(smaller, renamed)
    for parts in ("node", "initializer", "sparse_initializer", "value_info"):
        del getattr(body, parts)[:]
        getattr(body, parts).extend(getattr(smaller, parts))
    return renamed


def _rename(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    for entry in (*graph.initializer, *graph.value_info, *(each.values for each in graph.sparse_initializer)):
        entry.name = renamed.get(entry.name, entry.name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
        for body in bodies_of(node):
            _rename(body, renamed)
