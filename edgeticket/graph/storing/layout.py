"""One way to write a model's tensors down, as it grows, with the bytes each of them takes in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from edgeticket.artifact.manifest import TensorInfo
from edgeticket.graph.storing import rebuild
from edgeticket.graph.storing.encoding import DTYPES, Encoded, ZeroPoints
from edgeticket.graph.storing.rebuild import CODINGS, Coding
from edgeticket.graph.storing.writer import Writer

GROUP_ELEMENTS = 1 << 22  # a chain's vector, and its copy, are in memory once at load: 16 MB each
_MEMBER_BYTES = 55  # Split's output and size, Reshape and its shape: what one more tensor adds to a chain


def pays(tensor: Encoded) -> bool:
    """Whether stored sparsely the tensor takes fewer bytes, once there is a chain to join."""
    if tensor.whole:
        return tensor.original_bytes > tensor.codes.nbytes + _MEMBER_BYTES
    zeros = tensor.codes.size - tensor.nonzeros
    if not zeros:
        return False
    return zeros * tensor.codes.itemsize > tensor.stream_bytes + _MEMBER_BYTES


def groups(tensors: Sequence[Encoded], by_density: bool) -> list[list[Encoded]]:
    """Tensors that share a chain, in the model's order: of one type, of like density if asked, not too large."""
    groups: dict[tuple[str, int, int], list[Encoded]] = {}
    filled: dict[tuple[str, int], tuple[int, int]] = {}
    for tensor in tensors:
        kind = (f"{tensor.data_type} {tensor.weights} {tensor.whole}", tensor.low_bits if by_density else 0)
        number, elements = filled.get(kind, (0, 0))
        if elements and elements + tensor.codes.size > GROUP_ELEMENTS:
            number, elements = number + 1, 0
        filled[kind] = number, elements + tensor.codes.size
        groups.setdefault((*kind, number), []).append(tensor)
    return [sorted(group, key=_fill) for group in groups.values()]


def _fill(tensor: Encoded) -> tuple[bool, float]:
    """Tensors with the same fill stand side by side; those with a zero point for each channel come last."""
    return (True, 0) if isinstance(tensor.fill, ZeroPoints) else (False, tensor.fill)


def sparse_bytes(writer: Writer, tensor: Encoded) -> int:
    """What the tensor adds to a chain that is there already, as nearly as it can be said without writing it."""
    return tensor.stream_bytes + tensor.nonzeros * tensor.codes.itemsize + rebuild.scale_bytes(writer, tensor)


def dense_bytes(writer: Writer, tensor: Encoded) -> int:
    """What the tensor takes dense."""
    if tensor.exact:
        return tensor.original_bytes
    trial = writer.fresh()
    rebuild.write_dense(trial, tensor)
    return trial.size_bytes()


def sparse_initializer_bytes(writer: Writer, tensor: Encoded) -> int:
    """What the tensor takes as the standard's own sparse initializer."""
    trial = writer.fresh()
    rebuild.write_sparse_initializer(trial, tensor)
    return trial.size_bytes()


@dataclass(frozen=True)
class Twin:
    """A tensor with the very numbers and the shape of another one; or with those numbers `times` a scalar."""

    tensor: Encoded
    of: str
    times: str = ""


class GroupTrial(NamedTuple):
    """What a group takes in one coding, and whether its values are stored by rank."""

    coding: Coding
    size_bytes: int
    by_rank: bool


class Trials:
    """How many bytes a group takes in each coding, tried once however many layouts of one model have that group."""

    def __init__(self) -> None:
        self._tried: dict[tuple[tuple[str, str], ...], GroupTrial] = {}

    def smallest(self, writer: Writer, group: Sequence[Encoded]) -> GroupTrial:
        """The coding that takes the fewest bytes: what a name and `weights` stand for never changes."""
        key = tuple((tensor.name, tensor.weights) for tensor in group)
        found = self._tried.get(key)
        if found is None:
            found = min((_trial(writer, group, coding) for coding in CODINGS), key=lambda trial: trial.size_bytes)
            self._tried[key] = found
        return found


def _trial(writer: Writer, group: Sequence[Encoded], coding: Coding) -> GroupTrial:
    trial = writer.fresh()
    by_rank = rebuild.write_group(trial, group, coding)
    return GroupTrial(coding, trial.size_bytes(), by_rank)


class Layout:
    """One way to write all tensors down, as it grows. `dense` holds each tensor's encoding where it is dense."""

    def __init__(self, writer: Writer, dense: Mapping[str, Encoded], trials: Trials) -> None:
        self.writer = writer
        self.dense = dense
        self.trials = trials
        self.stored: dict[str, TensorInfo] = {}
        self.made_by: dict[str, frozenset[str]] = {}  # a tensor -> every value its rebuilding computes
        self.replaced: set[str] = set()  # initializers that leave the model
        self._left_bytes = 0  # of initializers that stay

    def size_bytes(self) -> int:
        """What all tensors written so far take together."""
        return self.writer.size_bytes() + self._left_bytes

    def write_group(self, group: Sequence[Encoded], *, may_be_dense: bool) -> None:
        """In the coding that takes the fewest bytes; not at all where `may_be_dense` and dense takes fewer."""
        filled = [tensor for tensor in group if tensor.nonzeros]
        coding, size_bytes, by_rank = CODINGS[0], 0, False
        if filled:
            coding, size_bytes, by_rank = self.trials.smallest(self.writer, filled)
        if may_be_dense and filled and size_bytes >= sum(self._dense_bytes(tensor) for tensor in filled):
            filled = []
        for tensor in group:
            if not tensor.nonzeros:
                note = "nothing but zeros" if tensor.fill == 0 else "nothing but one value"
                self._record([tensor], "gaps", partial(rebuild.write_fill, self.writer, tensor), note)
        if filled:
            note = "positions as uint8 gaps" if coding == "uint8" else "packed positions (Golomb-Rice)"
            note += ", values by rank" if by_rank else ""
            storage = "gaps"
            if filled[0].whole:
                storage, note = "dense", ""
            self._record(filled, storage, partial(rebuild.write_group, self.writer, filled, coding), note)

    def write_sparse_initializers(self, tensors: Sequence[Encoded]) -> None:
        """The standard's own form, each tensor by itself."""
        for tensor in tensors:
            write = partial(rebuild.write_sparse_initializer, self.writer, tensor)
            self._record([tensor], "sparse-initializer", write, "int64 positions")

    def write_twins(self, twins: Sequence[Twin]) -> None:
        """Tensors made of others, which have been written."""
        for twin in twins:
            write = partial(rebuild.write_twin, self.writer, twin.tensor, twin.of, twin.times)
            note = f"{twin.of} times {twin.times}" if twin.times else f"the same numbers as {twin.of}"
            self._record([twin.tensor], "computed", write, note)
            if twin.of in self.stored:
                own, source = self.stored[twin.tensor.name], self.stored[twin.of]
                self.stored[own.name] = replace(own, weights=source.weights, lossless=source.lossless)

    def write_dense(self, names: Iterable[str]) -> None:
        """As fp16 or int8, or the initializer stays as it is."""
        for tensor in map(self.dense.__getitem__, names):
            original_bytes = tensor.original_bytes
            if not tensor.exact:
                self._record([tensor], "dense", partial(rebuild.write_dense, self.writer, tensor), "")
            else:
                self._left_bytes += original_bytes
                self.stored[tensor.name] = _info(tensor, tensor.original_nonzeros, "dense", original_bytes, tensor.note)

    def _dense_bytes(self, tensor: Encoded) -> int:
        return dense_bytes(self.writer, self.dense[tensor.name])

    def _record(self, tensors: Sequence[Encoded], storage: str, write: Callable[[], object], note: str) -> None:
        nodes, size_bytes = len(self.writer.nodes), self.writer.size_bytes()
        write()
        values = frozenset(value for node in self.writer.nodes[nodes:] for value in node.output)
        shares = _shares(self.writer.size_bytes() - size_bytes, [tensor.nonzeros for tensor in tensors])
        for tensor, share_bytes in zip(tensors, shares, strict=True):
            self.replaced.add(tensor.name)
            if values:
                self.made_by[tensor.name] = values
            text = "; ".join(part for part in (note, tensor.note) if part)
            nonzeros = tensor.original_nonzeros if tensor.whole else tensor.nonzeros
            self.stored[tensor.name] = _info(tensor, nonzeros, storage, share_bytes, text)


def _info(tensor: Encoded, nonzeros: int, storage: str, size_bytes: int, note: str) -> TensorInfo:
    dtype = DTYPES[tensor.data_type]
    return TensorInfo(
        tensor.name, tensor.shape, nonzeros, storage, tensor.weights, size_bytes, note, dtype, tensor.lossless
    )


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` divided in proportion, in integers that add up to it."""
    ends = [0, *np.cumsum(weights).tolist()]
    cuts = [total * end // max(ends[-1], 1) for end in ends]
    cuts[-1] = total
    return [after - before for before, after in pairwise(cuts)]
