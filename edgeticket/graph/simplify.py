"""Simplify a graph for export: the passes in their order, and the plan that the stored file is held to.

Exact in real arithmetic for finite inputs; weights are computed in float64 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir

from edgeticket.artifact.manifest import LayerInfo
from edgeticket.errors import ModelError
from edgeticket.graph.annotations import Declared
from edgeticket.graph.branches import Inside, simplify_branches
from edgeticket.graph.channels.grid import Left
from edgeticket.graph.intermediate import first_cause, give_back, to_ir, unreadable
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.origins import Origin, Origins, note_origins, noted_origins
from edgeticket.graph.passes.canonicalise import canonicalise
from edgeticket.graph.passes.dead.cut import left_of
from edgeticket.graph.passes.drop_zero_states import drop_zero_states
from edgeticket.graph.passes.flush_denormals import flush_denormals
from edgeticket.graph.passes.fold_batchnorm import fold_batchnorm
from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.passes.fold_shapes import fold_shapes
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.passes.lift_weights import lift_weights
from edgeticket.graph.passes.note import NO_ZEROS, Note
from edgeticket.graph.passes.remove_dead import BLOCK, remove_dead
from edgeticket.graph.passes.remove_dead import NAME as REMOVAL
from edgeticket.graph.passes.remove_unused import remove_unused
from edgeticket.graph.plan import plan, survey, without_layer
from edgeticket.graph.recipes import give_back_nodes
from edgeticket.graph.storing.runtime_folds import unfolded
from edgeticket.graph.upgrade import upgrade
from edgeticket.graph.values import (
    Array,
    forget_names,
    is_constant,
    opset,
    remember_unrounded,
    settle,
)
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
    `unpruned` is the model without removal where that was asked for, and could be had on the way. `shortened` has the
    names that values bear in `model`, by those that the passes left them, where short_names.py gave others. `left`
    says which units of a value stay where some were removed, by the name that the passes left it. `origins` says where
    each constant comes from (origins.py); where it is not known at all, None.
    """

    model: onnx.ModelProto
    notes: tuple[Note, ...]
    layers: tuple[LayerInfo, ...]
    unrounded: Mapping[str, Array] = field(default_factory=dict)
    unpruned: onnx.ModelProto | None = None
    shortened: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, tuple[Left, ...]] = field(default_factory=dict)
    origins: Mapping[str, Origins] | None = None


def simplify(
    model: onnx.ModelProto,
    *,
    upgrade_opset: bool = False,
    inline: bool = True,
    removal: bool = True,
    lanes: int = BLOCK,
    unpruned: bool = False,
) -> Simplified:
    """Fold, flush and remove what is dead. The argument is not changed; the same model gives the same bytes.

    Inputs and outputs keep their names and shapes, and inner values the shapes that the file gives them, but for the
    axes from which channels were removed.
    `upgrade_opset` converts an operator set below 11 also where operators may come to mean another thing. Without
    `inline`, model-local functions stay, and nobody looks into them. Without `removal` dead units stay: what a network
    gains without any pruning; with `unpruned` that model is made as well. Convolutions keep a multiple of `lanes`
    channels where they have as many.

    Raises:
        ModelError: the graph cannot be read into an intermediate representation.
    """
    proto, notes = inline_functions(model) if inline else (model, [])
    proto, upgraded = upgrade(proto, convert=upgrade_opset)
    notes += upgraded
    inside = Inside()
    if removal:
        proto, inside = simplify_branches(proto, lambda part: simplify(part, inline=False, lanes=lanes))
        notes += inside.notes
        unpruned = unpruned and not inside.layers  # what follows sees the smaller bodies
    inlined = tuple(notes)
    work = _read(proto)
    remember_unrounded(work, inside.unrounded)
    version = opset(work)
    if not OLDEST_OPSET <= version <= onnx.defs.onnx_opset_version():
        known = f"{OLDEST_OPSET} to {onnx.defs.onnx_opset_version()}"
        notes.append(Note("simplify", 0, f"{UNCHANGED}: opset {version} is not one of those known ({known})"))
        return _untouched(proto, notes, inside)
    try:
        found, tables = _passes(work, notes, inside, removal, lanes, unpruned)
        if tables and unfolded(found.model, tables) != frozenset():
            found, _ = _passes(_read(proto), [*inlined], inside, removal, lanes, unpruned, tables=False)
        return found
    except Exception as error:  # a graph we have never seen must not keep anyone from exporting it
        reason = f"a pass failed on this graph ({type(error).__name__}: {first_cause(error)})"
        return _untouched(proto, [*inlined, Note("simplify", 0, f"{UNCHANGED}: {reason}; please report it")], inside)


def _read(proto: onnx.ModelProto) -> ir.Model:
    model = to_ir(proto)
    try:
        survey(model)  # a weight of a type that numpy cannot hold is found here
    except Exception as error:  # numpy and its friends raise what they like
        raise ModelError(unreadable(proto, error)) from error
    return model


def _untouched(proto: onnx.ModelProto, notes: list[Note], inside: Inside) -> Simplified:
    """The model as it came, but for inlined functions; the plan is that nothing changes."""
    weights = survey(_read(proto))
    origins = {name: (*found, Origin(name)) for name, found in inside.origins.items()}
    return Simplified(proto, tuple(notes), plan(weights, weights), origins=origins)


def _passes(
    work: ir.Model, notes: list[Note], inside: Inside, removal: bool, lanes: int, unpruned: bool, *, tables: bool = True
) -> tuple[Simplified, list[str]]:
    """What the passes make of `work`, and the large constants that were given their nodes back, unless not `tables`."""
    strip_debugging(work)
    note_origins(work, inside.origins)
    declared = Declared.of(work)
    other = None
    for run in READABLE:
        forget_names(work.graph)
        notes += run(work)
    before = survey(work)
    notes += _left_alone(work)
    for run in SMALLER:
        if run is remove_dead:
            other = _unpruned(work, declared, tables) if unpruned else None
        if removal or run is not remove_dead:
            forget_names(work.graph)
            notes += remove_dead(work, lanes) if run is remove_dead else run(work)
    given_back = give_back_nodes(work.graph) if tables else []
    unrounded = settle(work)
    layers = inside.whole_plan(plan(before, survey(work) | without_layer(work, before)))
    dense = layers and all(layer.nonzeros_before == math.prod(layer.shape_before) for layer in layers)
    if dense and not any(note.changed for note in notes if note.pass_name == REMOVAL):
        notes.append(Note("simplify", 0, NO_ZEROS))
    declared.give_back(work)
    left = {
        value.name: found for node in work.graph for value in node.outputs if value.name and (found := left_of(value))
    }
    origins = noted_origins(work.graph)
    simplified = Simplified(_to_proto(work), _merged(notes), layers, unrounded, other, left=left, origins=origins)
    return simplified, given_back


def _unpruned(work: ir.Model, declared: Declared, tables: bool) -> onnx.ModelProto | None:
    """What becomes of a copy without remove_dead. None where onnx-ir cannot copy it: then it takes a run of its own."""
    try:
        model = work.clone()
        for run in SMALLER[SMALLER.index(remove_dead) + 1 :]:
            forget_names(model.graph)
            run(model)
        if tables:
            give_back_nodes(model.graph)
        settle(model)
        declared.give_back(model)
        return _to_proto(model)
    except Exception:  # the copy is for a report: it must not stand in the way of the model itself
        return None


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
