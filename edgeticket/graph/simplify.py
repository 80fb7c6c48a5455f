"""Simplify a graph for export: the passes in their order, and the plan that the stored file is held to.

Exact in real arithmetic for finite inputs; weights are computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.errors import ModelError
from edgeticket.graph.annotations import given_shapes, keep_shapes
from edgeticket.graph.intermediate import first_cause, give_back, to_ir, unreadable
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.passes.canonicalise import canonicalise
from edgeticket.graph.passes.drop_zero_states import drop_zero_states
from edgeticket.graph.passes.flush_denormals import flush_denormals
from edgeticket.graph.passes.fold_batchnorm import fold_batchnorm
from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.passes.fold_shapes import fold_shapes
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.passes.lift_weights import lift_weights
from edgeticket.graph.passes.note import NO_ZEROS, Note
from edgeticket.graph.passes.remove_dead import BLOCK, remove_dead
from edgeticket.graph.passes.remove_unused import remove_unused
from edgeticket.graph.shapes import infer_shapes, name_dimensions, unname_dimensions
from edgeticket.graph.upgrade import upgrade
from edgeticket.graph.values import Array, constant, forget_names, is_constant, nonzeros, opset, settle
from edgeticket.text import listing

Pass = Callable[[ir.Model], list[Note]]

# Passes that bring weights out from behind other operators and keep every number. The plan counts from here.
READABLE: tuple[Pass, ...] = (
    lift_weights,
    fold_constants,
    fold_shapes,
    drop_zero_states,
    canonicalise,
    fold_constants,
    remove_unused,
)
# Passes that change weights or remove some. Each relies on those before it.
SMALLER: tuple[Pass, ...] = (
    flush_denormals,
    fold_batchnorm,
    remove_dead,
    fold_constants,
    remove_unused,
)

UNCHANGED = "nothing was changed"
OLDEST_OPSET = 7  # before it, broadcasting, Dropout and BatchNormalization meant other things


@dataclass(frozen=True)
class Simplified:
    """The smaller model, what each pass did or declined, and the plan for each weight.

    `unrounded` holds, by name, the float64 numbers of which the model's constants are the rounding, where they differ.
    """

    model: onnx.ModelProto
    notes: tuple[Note, ...]
    layers: tuple[LayerInfo, ...]
    unrounded: Mapping[str, Array] = field(default_factory=dict)


def simplify(
    model: onnx.ModelProto,
    *,
    upgrade_opset: bool = False,
    inline: bool = True,
    removal: bool = True,
    lanes: int = BLOCK,
) -> Simplified:
    """Fold, flush and remove what is dead. The argument is not changed; the same model gives the same bytes.

    Inputs and outputs keep their names and shapes, and inner values the shapes that the file gives them, but for the
    axes from which channels were removed.
    `upgrade_opset` converts an operator set below 11 also where operators may come to mean another thing. Without
    `inline`, model-local functions stay, and nobody looks into them. Without `removal` dead units stay: what a network
    gains without any pruning. Convolutions keep a multiple of `lanes` channels where they have as many.

    Raises:
        ModelError: the graph cannot be read into an intermediate representation.
    """
    proto, notes = inline_functions(model) if inline else (model, [])
    proto, upgraded = upgrade(proto, convert=upgrade_opset)
    notes += upgraded
    inlined = tuple(notes)
    work = _read(proto)
    version = opset(work)
    if not OLDEST_OPSET <= version <= onnx.defs.onnx_opset_version():
        known = f"{OLDEST_OPSET} to {onnx.defs.onnx_opset_version()}"
        notes.append(Note("simplify", 0, f"{UNCHANGED}: opset {version} is not one of those known ({known})"))
        return _untouched(proto, notes)
    try:
        layers, unrounded = _passes(work, notes, removal, lanes)
        return Simplified(_to_proto(work), _merged(notes), layers, unrounded)
    except Exception as error:  # a graph we have never seen must not keep anyone from exporting it
        reason = f"a pass failed on this graph ({type(error).__name__}: {first_cause(error)})"
        return _untouched(proto, [*inlined, Note("simplify", 0, f"{UNCHANGED}: {reason}; please report it")])


def _read(proto: onnx.ModelProto) -> ir.Model:
    model = to_ir(proto)
    try:
        _survey(model)  # a weight of a type that numpy cannot hold is found here
    except Exception as error:  # numpy and its friends raise what they like
        raise ModelError(unreadable(proto, error)) from error
    return model


def _untouched(proto: onnx.ModelProto, notes: list[Note]) -> Simplified:
    """The model as it came, but for inlined functions; the plan is that nothing changes."""
    survey = _survey(_read(proto))
    return Simplified(proto, tuple(notes), _plan(survey, survey))


def _passes(
    work: ir.Model, notes: list[Note], removal: bool, lanes: int
) -> tuple[tuple[LayerInfo, ...], dict[str, Array]]:
    strip_debugging(work)
    given = given_shapes(work.graph)
    unnamed, declared = name_dimensions(work), [output.shape for output in work.graph.outputs]
    for run in READABLE:
        forget_names(work.graph)
        notes += run(work)
    before = _survey(work)
    notes += _left_alone(work)
    for run in SMALLER:
        if removal or run is not remove_dead:
            forget_names(work.graph)
            notes += remove_dead(work, lanes) if run is remove_dead else run(work)
    unrounded = settle(work)
    layers = _plan(before, _survey(work) | _without_layer(work, before))
    if layers and all(layer.nonzeros_before == _size(layer.shape_before) for layer in layers):
        notes.append(Note("simplify", 0, NO_ZEROS))
    if given:
        infer_shapes(work)
    keep_shapes(work.graph, given, frozenset(_names_of(unnamed)))
    unname_dimensions(unnamed)
    for output, shape in zip(work.graph.outputs, declared, strict=True):
        output.shape = shape
    return layers, unrounded


def _names_of(unnamed: list[tuple[ir.Value, ir.Shape]]) -> Iterator[str]:
    """The names that name_dimensions made up."""
    for value, before in unnamed:
        for dim, old in zip(value.shape or (), before, strict=True):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None and dim != old:
                yield dim.value


def _to_proto(model: ir.Model) -> onnx.ModelProto:
    """The model as a proto, without the annotations that repeat what initializers say of themselves."""
    proto: onnx.ModelProto = ir.to_proto(model)
    give_back(proto, model)
    stored = {tensor.name for tensor in proto.graph.initializer}
    kept = [entry for entry in proto.graph.value_info if entry.name not in stored]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(kept)
    return proto


def strip_debugging(model: ir.Model) -> None:
    """Drop doc strings and the exporter's notes on nodes and values: they carry paths of the machine that traced."""
    model.graph.metadata_props.clear()
    model.graph.doc_string = None
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in (*graph.inputs, *graph.initializers.values()):
            value.metadata_props.clear()
            value.doc_string = None
        for node in graph:
            node.metadata_props.clear()
            node.doc_string = None
            for output in node.outputs:
                output.metadata_props.clear()
                output.doc_string = None


def _survey(model: ir.Model) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Weight name -> (operator, shape, nonzeros), in the order of the graph."""
    found: dict[str, tuple[str, tuple[int, ...], int]] = {}
    for weight in layer_weights(model.graph):
        assert weight.value.name is not None
        if weight.array.ndim:  # a shape of () says in a plan that the layer was removed: one number is no weight
            found.setdefault(weight.value.name, (weight.node.op_type, tuple(weight.array.shape), weight.nonzeros))
    return found


def _without_layer(model: ir.Model, before: Iterable[str]) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Weights whose layers went, and that something else reads or the graph gives out (a tied embedding, say)."""
    left = {weight.value.name for weight in layer_weights(model.graph)}
    found: dict[str, tuple[str, tuple[int, ...], int]] = {}
    for name in before:
        array = None if name in left else constant(model.graph.initializers.get(name))
        if array is not None:
            found[name] = ("", tuple(array.shape), nonzeros(array))
    return found


def _plan(
    before: dict[str, tuple[str, tuple[int, ...], int]], after: dict[str, tuple[str, tuple[int, ...], int]]
) -> tuple[LayerInfo, ...]:
    layers = []
    for name, (op, shape, count) in before.items():
        _, shape_after, count_after = after.get(name, (op, (), 0))
        layers.append(LayerInfo(name, op, shape, shape_after, count, count_after))
    return tuple(layers)


def _left_alone(model: ir.Model) -> list[Note]:
    """One sentence for the weights that no pass may touch because whoever runs the model may override them."""
    overridable = [each.value.name or "?" for each in layer_weights(model.graph) if not is_constant(each.value)]
    if not overridable:
        return []
    sentence = (
        f"left the weights {listing(overridable)} alone: they are graph inputs too, so a caller may override them"
    )
    return [Note("simplify", 0, sentence)]


def _merged(notes: list[Note]) -> tuple[Note, ...]:
    """Each sentence once; clean-up passes that ran twice report once, with their sum."""
    merged: dict[tuple[str, str], Note] = {}
    for note in notes:
        merged.setdefault((note.pass_name, note.sentence), note)
    return tuple(merged.values())


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count
