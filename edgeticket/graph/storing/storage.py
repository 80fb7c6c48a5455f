"""The smallest file that ONNX Runtime reads back into the same weights.

Each initializer is stored dense or as values and positions (gaps.py), whichever takes fewer bytes of the file,
its nodes counted; or as asked. A tensor keeps its name: it becomes the output of nodes that the runtime folds at load
(rebuild.py). That they are folded is verified on the optimised graph; a tensor that is not is stored dense.
Same model and options, same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import onnx

from edgeticket.artifact.manifest import TensorInfo
from edgeticket.graph.protos import standard_version
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing import layout as layouts
from edgeticket.graph.storing import ranks, runtime_folds
from edgeticket.graph.storing.allowed import SMALLER_SPARSE, within_opset
from edgeticket.graph.storing.archives import Archives
from edgeticket.graph.storing.encoding import Encoded, Weights
from edgeticket.graph.storing.layout import Layout, dense_bytes, groups, pays, sparse_bytes
from edgeticket.graph.storing.reasons import REFUSED, kept_signs, left_alone
from edgeticket.graph.storing.tensors import TensorReader
from edgeticket.graph.storing.writer import Writer

Storage = Literal["dense", "gaps", "sparse-initializer", "auto"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
Unfolded = Callable[[onnx.ModelProto, Iterable[str]], frozenset[str] | None]
Alike = Callable[[onnx.ModelProto, onnx.ModelProto], bool]

_SPARSE = ("sparse-initializer", SMALLER_SPARSE)
_SPARSE_IR = 5  # brought sparse initializers

NOTE_SPARSE_INITIALIZER = (
    "ONNX Runtime densifies a sparse initializer at load: it saves bytes on disk only, neither memory nor time, and "
    "its int64 positions cost more than they save below 66.7 % zeros"
)


@dataclass(frozen=True)
class Stored:
    """The model as it leaves, one entry for each initializer of more than 16 elements, and what to tell."""

    model: onnx.ModelProto
    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...]

    def serialized(self) -> bytes:
        """The file, the same for the same model."""
        return serialize(self.model)


@dataclass(frozen=True)
class _Written:
    """A model and its tensors before the verdict of the runtime."""

    model: onnx.ModelProto
    tensors: tuple[TensorInfo, ...]
    made_by: dict[str, frozenset[str]]  # a tensor -> every value its rebuilding computes, itself included
    twins: tuple[str, ...]  # tensors made of another one


def store(
    model: onnx.ModelProto,
    *,
    storage: Storage = "auto",
    weights: Weights = "fp32",
    unfolded: Unfolded = runtime_folds.unfolded,
    alike: Alike = runtime_folds.as_well_fused,
    read: TensorReader | None = None,
) -> Stored:
    """A copy of `model` with its weights stored as asked; 'auto' takes what makes the smallest file.

    Left alone: initializers of at most 16 elements, of types that no operator rebuilds, those that are graph inputs
    too, and those of subgraphs (lift_weights.py brings them out). `weights` is about float32: other types rest as
    they are.
    `unfolded` says which values are still computed at inference, or None where the runtime cannot load the model;
    `alike` whether the runtime runs no other operators for the second of two models than for the first. `read` are the
    tensors of this very model where they have been read already; those of another one are not looked at.
    """
    if read is None or read.model is not model:
        read = TensorReader(model)
    notes: list[str] = []
    how, weights = within_opset(model, storage, weights, notes)
    dense_notes: dict[str, str] = {}
    while True:
        written = _write(model, read, how, weights, dense_notes)
        chains = {id(values): values for values in written.made_by.values()}  # tensors of one chain share theirs
        watched: frozenset[str] = frozenset().union(*chains.values())
        left = unfolded(written.model, watched) if watched else frozenset()
        if left is None:
            notes.append("ONNX Runtime cannot load this model: that its weights fold at load was not verified")
            break
        # What depends on a value that is not folded is not folded either; if a weight's own name is gone (fused into
        # its reader), whatever else is left tells.
        refused = [name for name in written.made_by if name in left]
        broken = {each for each, values in chains.items() if not left.isdisjoint(values)}
        refused = refused or [name for name, values in written.made_by.items() if id(values) in broken]
        note = REFUSED + "ONNX Runtime does not fold its rebuilding at load"
        if not refused:
            refused = _hindering(model, written, alike)
            note = REFUSED + "ONNX Runtime would fuse other operators around it"
        if not refused:
            break
        dense_notes |= dict.fromkeys(refused, note)
    if any(tensor.storage == "sparse-initializer" for tensor in written.tensors):
        notes.append(NOTE_SPARSE_INITIALIZER)
    if how != "dense" and written.tensors and all(tensor.storage == "dense" for tensor in written.tensors):
        notes.append("no tensor takes fewer bytes sparsely: all rest dense")
    if storage != "dense":
        notes += left_alone(model.graph, standard_version(model), written.tensors, weights)
        notes += kept_signs(read.negative_zeros, written.tensors)
    return Stored(written.model, written.tensors, tuple(notes))


def add_storages(archives: Archives, read: TensorReader) -> None:
    """The whole file for each storage, under the names that a report has for them."""
    variants: dict[str, tuple[Storage, Weights]] = {
        "dense": ("dense", "fp32"),
        "sparse-initializer": ("sparse-initializer", "fp32"),
        "gaps": ("gaps", "fp32"),
        "gaps-fp16": ("gaps", "fp16"),
        "gaps-int8": ("gaps", "int8"),
    }
    made: dict[tuple[Storage, bool, tuple[str, ...]], bytes] = {}
    for name, (storage, weights) in variants.items():
        key = storage, weights == "fp32", read.types(weights)  # where no tensor suits int8, it is the file of fp16
        if key not in made:
            stored = store(
                read.model,
                storage=storage,
                weights=weights,
                unfolded=lambda *_: frozenset(),
                alike=lambda *_: True,
                read=read,
            )
            made[key] = stored.serialized()
        archives.add(name, made[key])


def _hindering(model: onnx.ModelProto, written: _Written, alike: Alike) -> list[str]:
    """The tensors that are to be dense because the runtime fuses otherwise when they are rebuilt.

    Asked where it was seen to depend on how weights are given: quantised operators, and numbers that are shared.
    """
    other = [each.name for each in written.tensors if each.name in written.made_by and each.dtype != "float32"]
    other += [name for name in written.twins if name not in other]
    return other if other and not alike(model, written.model) else []


def _write(
    model: onnx.ModelProto, read: TensorReader, storage: str, weights: Weights, dense_notes: dict[str, str]
) -> _Written:
    """The smallest of the ways to write the tensors down, before the runtime is asked; of equals the first."""
    writer = Writer(read.taken, read.opset)
    tensors = read.survey(weights, dense_notes, writer, packed=storage in ("auto", "gaps"))
    dense = {found[0].name: _smallest(found, partial(dense_bytes, writer)) for found in tensors.encodings}
    best: Layout | None = None
    for free in _ways([found for found in tensors.encodings if found[0].name not in dense_notes], writer):
        for sparse in _choices(free, storage):
            if best is not None and _least_bytes(sparse) >= best.size_bytes():
                continue
            for together in _groupings(sparse, storage):
                layout = Layout(writer.fresh(), dense, read.trials)
                if storage in _SPARSE:
                    layout.write_sparse_initializers(sparse)
                for group in together:
                    layout.write_group(group, may_be_dense=storage == "auto")
                layout.write_dense(name for name in dense if name not in layout.stored)
                if best is None or layout.size_bytes() < best.size_bytes():
                    best = layout
    assert best is not None
    best.write_twins(tensors.twins)
    infos = tuple(best.stored[name] for name in tensors.names)
    return _Written(_rewritten(model, best), infos, best.made_by, tuple(twin.tensor.name for twin in tensors.twins))


def _groupings(sparse: Sequence[Encoded], storage: str) -> list[list[list[Encoded]]]:
    """The ways to put tensors into chains that differ."""
    if storage in _SPARSE or not sparse:
        return [[]]
    joined, by_density = groups(sparse, False), groups(sparse, True)
    names = [[[tensor.name for tensor in group] for group in each] for each in (joined, by_density)]
    return [joined] if names[0] == names[1] else [joined, by_density]


def _ways(tensors: Sequence[list[Encoded]], writer: Writer) -> list[list[Encoded]]:
    """Which encoding each tensor has where it is sparse: as asked, the smallest of each, or a finer one for all."""
    ways = [
        [found[0] for found in tensors],
        [_smallest(found, partial(sparse_bytes, writer)) for found in tensors],
        [next((each for each in found if each.weights != "int8"), found[-1]) for found in tensors],
        [found[-1] for found in tensors],
    ]
    return list({tuple(each.weights for each in way): way for way in reversed(ways)}.values())[::-1]


def _smallest(found: Sequence[Encoded], size_bytes: Callable[[Encoded], int]) -> Encoded:
    """Of equals the last, which is the most precise."""
    return found[0] if len(found) == 1 else min(reversed(found), key=size_bytes)


def _least_bytes(sparse: Sequence[Encoded]) -> int:
    """The values themselves, however their positions are written; only those of few numbers take less (codebook.py)."""
    return sum(ranks.least_bytes(tensor.codes.dtype, tensor.nonzeros) for tensor in sparse)


def _choices(tensors: Sequence[Encoded], storage: str) -> list[list[Encoded]]:
    """Which tensors to store sparsely: for 'auto' several choices, of which the smallest file decides."""
    if storage == "dense":
        return [[]]
    if storage in _SPARSE:
        tensors = [tensor for tensor in tensors if tensor.fill == 0]
        if storage == SMALLER_SPARSE:
            trial = Writer(set(), 0)
            return [[t for t in tensors if layouts.sparse_initializer_bytes(trial, t) < dense_bytes(trial, t)]]
    paying = [tensor for tensor in tensors if pays(tensor)]
    asked = [t for t in tensors if pays(t) or (len(t.shape) > 1 and t.nonzeros < t.codes.size)]
    if storage != "auto":
        return [asked]
    return [[], paying, asked] if len(asked) > len(paying) else [[], paying]


def _rewritten(model: onnx.ModelProto, layout: Layout) -> onnx.ModelProto:
    """A copy of `model` in which the layout's nodes and constants stand for the initializers that it replaces."""
    written = onnx.ModelProto()
    written.CopyFrom(model)
    graph = written.graph
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in layout.replaced)
    graph.initializer.extend(layout.writer.initializers)
    graph.sparse_initializer.extend(layout.writer.sparse)
    if layout.writer.sparse:
        written.ir_version = max(model.ir_version, _SPARSE_IR)
    graph.node.extend([*layout.writer.nodes, *model.graph.node])
    return written
