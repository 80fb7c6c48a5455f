"""The smallest file that ONNX Runtime reads back into the same weights.

Each float32 initializer rests dense or as values and positions (gaps.py), whichever takes fewer bytes of the file,
its nodes counted; or as asked. A tensor keeps its name: it becomes the output of nodes that the runtime folds at load
(rebuild.py). That they are folded is verified on the optimised graph; a tensor that is not, rests dense.
Same model and options, same bytes.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgeticket import gaps
from edgeticket.graph import folding, rebuild
from edgeticket.graph.rebuild import CODINGS, Coding, Writer, entry_bytes
from edgeticket.graph.resting import Float32, Resting, Weights, channel_axes, rest

Storage = Literal["dense", "gaps", "sparse-initializer", "auto"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
Unfolded = Callable[[onnx.ModelProto, Iterable[str]], frozenset[str] | None]

SMALLEST = 17  # elements; shapes, scales and the like stay as they are
GROUP_ELEMENTS = 1 << 22  # a chain's vector, and its copy, are in memory once at load: 16 MB each
_MEMBER_BYTES = 55  # Split's output and size, Reshape and its shape: what one more tensor adds to a chain
_OLDEST_IR = 4  # before, every initializer had to be a graph input too

NOTE_SPARSE_INITIALIZER = (
    "ONNX Runtime densifies a sparse initializer at load: it saves bytes on disk only, neither memory nor time, and "
    "its int64 positions cost more than they save below 66.7 % zeros"
)


@dataclass(frozen=True)
class TensorStorage:
    """How one tensor rests. `size_bytes` holds its share of the nodes and constants; `nonzeros` are those at rest."""

    name: str
    shape: tuple[int, ...]
    nonzeros: int
    storage: str  # 'dense', 'gaps' or 'sparse-initializer'
    weights: Weights
    size_bytes: int
    note: str


@dataclass(frozen=True)
class Stored:
    """The model as it leaves, one entry for each float32 initializer of more than 16 elements, and what to tell."""

    model: onnx.ModelProto
    tensors: tuple[TensorStorage, ...]
    notes: tuple[str, ...]

    def serialized(self) -> bytes:
        """The file, the same for the same model."""
        return serialize(self.model)


@dataclass(frozen=True)
class _Written:
    """A model and its tensors before the verdict of the runtime."""

    model: onnx.ModelProto
    tensors: tuple[TensorStorage, ...]
    made_by: dict[str, frozenset[str]]  # a tensor -> every value its rebuilding computes, itself included


def serialize(model: onnx.ModelProto) -> bytes:
    """Protobuf's bytes with its maps in order."""
    return bytes(model.SerializeToString(deterministic=True))


def store(
    model: onnx.ModelProto,
    *,
    storage: Storage = "auto",
    weights: Weights = "fp32",
    unfolded: Unfolded = folding.unfolded,
) -> Stored:
    """A copy of `model` with its weights at rest as asked; 'auto' takes what makes the smallest file.

    Left alone: initializers of other types or at most 16 elements, those that are graph inputs too, and subgraphs.
    `unfolded` says which values are still computed at inference, or None where the runtime cannot load the model.
    """
    notes: list[str] = []
    storage, weights = _within_opset(model, storage, weights, notes)
    dense_notes: dict[str, str] = {}
    while True:
        written = _write(model, storage, weights, dense_notes)
        watched = frozenset().union(*written.made_by.values()) if written.made_by else frozenset()
        left = unfolded(written.model, watched) if watched else frozenset()
        if left is None:
            notes.append("ONNX Runtime cannot load this model: that its weights fold at load was not verified")
            break
        # What depends on a value that is not folded is not folded either; if a weight's own name is gone (fused into
        # its reader), whatever else is left tells.
        refused = [name for name in written.made_by if name in left]
        refused = refused or [name for name, values in written.made_by.items() if values & left]
        if not refused:
            break
        for name in refused:
            dense_notes[name] = "stored dense: ONNX Runtime does not fold its rebuilding at load"
    if storage == "sparse-initializer":
        notes.append(NOTE_SPARSE_INITIALIZER)
    if storage != "dense" and all(tensor.storage == "dense" for tensor in written.tensors):
        notes.append("no tensor takes fewer bytes sparsely: all rest dense")
    return Stored(written.model, written.tensors, tuple(notes))


def sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of the whole file for each storage, and of the file in gzip -9 under the same name with '.gz'."""
    variants: dict[str, tuple[Storage, Weights]] = {
        "dense": ("dense", "fp32"),
        "sparse-initializer": ("sparse-initializer", "fp32"),
        "gaps": ("gaps", "fp32"),
        "gaps-fp16": ("gaps", "fp16"),
        "gaps-int8": ("gaps", "int8"),
    }
    found: dict[str, int] = {}
    for name, (storage, weights) in variants.items():
        data = store(model, storage=storage, weights=weights, unfolded=lambda *_: frozenset()).serialized()
        found[name] = len(data)
        found[name + ".gz"] = len(gzip.compress(data, 9, mtime=0))
    return found


def _within_opset(
    model: onnx.ModelProto, storage: Storage, weights: Weights, notes: list[str]
) -> tuple[Storage, Weights]:
    """What the model's own operator set and format allow; the user's are never changed."""
    opset = _opset(model)
    if model.ir_version < _OLDEST_IR or opset < rebuild.OPSET_CAST_MUL:
        if (storage, weights) != ("dense", "fp32"):
            notes.append(
                f"IR version {model.ir_version} with opset {opset or 'none'} of the standard domain has no way to "
                "rebuild weights: all rest dense as fp32"
            )
        return "dense", "fp32"
    if opset < rebuild.OPSET_SPARSE and storage in ("gaps", "auto"):
        notes.append(f"gap storage needs opset {rebuild.OPSET_SPARSE}, the model has {opset}: all rest dense")
        return "dense", weights
    return storage, weights


def _opset(model: onnx.ModelProto) -> int:
    return max((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _eligible(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    inputs = {value.name for value in graph.input}
    return [
        tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
        and tensor.data_location != TensorProto.EXTERNAL
        and int(np.prod(tensor.dims, dtype=np.int64)) >= SMALLEST
        and tensor.name not in inputs
    ]


def _write(model: onnx.ModelProto, storage: Storage, weights: Weights, dense_notes: dict[str, str]) -> _Written:
    """The smallest of the ways to write the tensors down, before the runtime is asked."""
    axes = channel_axes(model.graph)
    tensors = []
    for tensor in _eligible(model.graph):
        array: Float32 = numpy_helper.to_array(tensor)
        at_rest: Weights = "fp32" if tensor.name in dense_notes else weights
        resting = rest(tensor.name, array, at_rest, axes.get(tensor.name) if array.ndim > 1 else None)
        note = dense_notes.get(tensor.name, resting.note)
        tensors.append(replace(resting, note=note, original_bytes=entry_bytes(tensor.ByteSize())))
    sparse = [tensor for tensor in tensors if tensor.name not in dense_notes and _wants_sparse(tensor, storage)]
    taken, opset = rebuild.all_names(model.graph), _opset(model)
    plans = []
    for by_low_bits in (False, True):
        plan = _Plan(Writer(taken, opset))
        if storage == "sparse-initializer":
            plan.write_sparse_initializers(sparse)
        else:
            for group in _groups(sparse, by_low_bits):
                plan.write_group(group, may_be_dense=storage == "auto")
        plan.write_dense([tensor for tensor in tensors if tensor.name not in plan.stored])
        plans.append(plan)
    best = min(plans, key=_Plan.size_bytes)
    return _Written(_rewritten(model, best), tuple(best.stored[tensor.name] for tensor in tensors), best.made_by)


def _rewritten(model: onnx.ModelProto, plan: _Plan) -> onnx.ModelProto:
    """A copy of `model` in which the plan's nodes and constants stand for the initializers that it replaces."""
    written = onnx.ModelProto()
    written.CopyFrom(model)
    graph = written.graph
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in plan.replaced)
    graph.initializer.extend(plan.writer.initializers)
    graph.sparse_initializer.extend(plan.writer.sparse)
    graph.node.extend([*plan.writer.nodes, *model.graph.node])
    return written


def _wants_sparse(tensor: Resting, storage: Storage) -> bool:
    """Asked for by name: any matrix with a zero in it. 'auto', and vectors: where it pays once there is a chain."""
    nonzeros = tensor.nonzeros
    if storage == "dense" or nonzeros == tensor.codes.size:
        return False
    if storage != "auto" and len(tensor.shape) > 1:
        return True
    positions = np.flatnonzero(tensor.codes)
    stream_bytes = gaps.packed_bytes(positions, gaps.best_low_bits(positions))
    return (tensor.codes.size - nonzeros) * tensor.codes.itemsize > stream_bytes + _MEMBER_BYTES


def _groups(tensors: Sequence[Resting], by_low_bits: bool) -> list[list[Resting]]:
    """Tensors that share a chain, in the model's order: of one type, of like density if asked, not too large."""
    groups: dict[tuple[str, int, int], list[Resting]] = {}
    filled: dict[tuple[str, int], tuple[int, int]] = {}
    for tensor in tensors:
        kind = (tensor.weights, gaps.best_low_bits(np.flatnonzero(tensor.codes)) if by_low_bits else 0)
        number, elements = filled.get(kind, (0, 0))
        if elements and elements + tensor.codes.size > GROUP_ELEMENTS:
            number, elements = number + 1, 0
        filled[kind] = number, elements + tensor.codes.size
        groups.setdefault((*kind, number), []).append(tensor)
    return list(groups.values())


class _Plan:
    """One way to write all tensors down, as it grows."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.stored: dict[str, TensorStorage] = {}
        self.made_by: dict[str, frozenset[str]] = {}  # a tensor -> every value its rebuilding computes
        self.replaced: set[str] = set()  # initializers that leave the model
        self._left_bytes = 0  # of initializers that stay

    def size_bytes(self) -> int:
        return self.writer.size_bytes() + self._left_bytes

    def write_group(self, group: Sequence[Resting], *, may_be_dense: bool) -> None:
        """In the coding that takes the fewest bytes; not at all where `may_be_dense` and dense takes fewer."""
        filled = [tensor for tensor in group if tensor.nonzeros]
        ways: list[tuple[int, Coding]] = []
        for coding in CODINGS:
            trial = self.writer.fresh()
            if filled:
                rebuild.write_group(trial, filled, coding)
            ways.append((trial.size_bytes(), coding))
        size_bytes, coding = min(ways, key=lambda way: way[0])
        if may_be_dense and filled and size_bytes >= sum(_dense_bytes(self.writer, tensor) for tensor in filled):
            filled = []
        for tensor in group:
            if not tensor.nonzeros:
                self._record([tensor], "gaps", partial(rebuild.write_zeros, self.writer, tensor), "nothing but zeros")
        if filled:
            note = "positions as uint8 gaps" if coding == "uint8" else "packed positions (Golomb-Rice)"
            self._record(filled, "gaps", partial(rebuild.write_group, self.writer, filled, coding), note)

    def write_sparse_initializers(self, tensors: Sequence[Resting]) -> None:
        """The standard's own form, each tensor by itself."""
        for tensor in tensors:
            write = partial(rebuild.write_sparse_initializer, self.writer, tensor)
            self._record([tensor], "sparse-initializer", write, "int64 positions")

    def write_dense(self, tensors: Sequence[Resting]) -> None:
        """As fp16 or int8 where that saves bytes; else the initializer stays as it is."""
        for tensor in tensors:
            original_bytes = tensor.original_bytes
            if tensor.weights != "fp32" and _dense_bytes(self.writer, tensor) < original_bytes:
                self._record([tensor], "dense", partial(rebuild.write_dense, self.writer, tensor), "")
            else:
                self._left_bytes += original_bytes
                self.stored[tensor.name] = TensorStorage(
                    tensor.name, tensor.shape, tensor.nonzeros, "dense", "fp32", original_bytes, tensor.note
                )

    def _record(self, tensors: Sequence[Resting], storage: str, write: Callable[[], None], note: str) -> None:
        nodes, size_bytes = len(self.writer.nodes), self.writer.size_bytes()
        write()
        values = frozenset(value for node in self.writer.nodes[nodes:] for value in node.output)
        shares = _shares(self.writer.size_bytes() - size_bytes, [tensor.nonzeros for tensor in tensors])
        for tensor, share_bytes in zip(tensors, shares, strict=True):
            self.replaced.add(tensor.name)
            if values:
                self.made_by[tensor.name] = values
            text = "; ".join(part for part in (note, tensor.note) if part)
            self.stored[tensor.name] = TensorStorage(
                tensor.name, tensor.shape, tensor.nonzeros, storage, tensor.weights, share_bytes, text
            )


def _dense_bytes(writer: Writer, tensor: Resting) -> int:
    """What the tensor takes dense, in the smaller of its own type and fp32."""
    trial = writer.fresh()
    rebuild.write_dense(trial, tensor)
    return min(trial.size_bytes(), tensor.original_bytes)


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` divided in proportion, in integers that add up to it."""
    ends = [0, *np.cumsum(weights).tolist()]
    cuts = [total * end // max(ends[-1], 1) for end in ends]
    cuts[-1] = total
    return [after - before for before, after in pairwise(cuts)]
