"""Nodes and constants as they are written, with short names and their bytes in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, product
from string import ascii_letters
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.protos import bodies_of

Array = NDArray[np.generic]

_OPSET_SPLIT_INPUT = 13


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Every value name of a graph and of its subgraphs, which see the outer names."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    names |= {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        names |= {*node.input, *node.output}
        for body in bodies_of(node):
            names |= all_names(body)
    return names


class Names:
    """The short names that are not `taken`, in their order, for all writers of a model."""

    def __init__(self, taken: set[str]) -> None:
        self._made: list[str] = []
        self._more = (name for name in short_names() if name not in taken)

    def __getitem__(self, place: int) -> str:
        while place >= len(self._made):
            self._made.append(next(self._more))
        return self._made[place]


class Writer:
    """Collects nodes and constants. Equal constants are shared; names are short, and never one of `taken`."""

    def __init__(self, taken: set[str], opset: int, names: Names | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.sparse: list[onnx.SparseTensorProto] = []
        self.opset = opset
        self._names, self._named = names or Names(taken), 0
        self._constants: dict[tuple[np.dtype[Any], tuple[int, ...], bytes], str] = {}
        self._integers: dict[tuple[int, ...], str] = {}
        self._counted, self._size_bytes = [0, 0, 0], 0  # how many of each list are in size_bytes()

    def fresh(self) -> Writer:
        """Another one for the same model, for trying out."""
        return Writer(set(), self.opset, self._names)

    @property
    def empty(self) -> bool:
        """Nothing was written yet."""
        return not (self.nodes or self.initializers or self.sparse)

    def name(self) -> str:
        """A new name."""
        self._named += 1
        return self._names[self._named - 1]

    def constant(self, array: Array, name: str | None = None) -> str:
        """A shared constant, or one under the name given."""
        key = (array.dtype, array.shape, array.tobytes())
        if name is None and key in self._constants:
            return self._constants[key]
        tensor = numpy_helper.from_array(array, name or self.name())
        if array.dtype == np.int64 and array.size and int(array.min()) >= 0:
            varints = helper.make_tensor(tensor.name, TensorProto.INT64, array.shape, array.reshape(-1).tolist())
            if varints.ByteSize() < tensor.ByteSize():
                tensor = varints
        self.initializers.append(tensor)
        if name is None:
            self._constants[key] = tensor.name
        return tensor.name

    def integers(self, *values: int) -> str:
        """A shared int64 vector."""
        known = self._integers.get(values)
        if known is None:
            known = self._integers[values] = self.constant(np.array(values, np.int64))
        return known

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str | None = None,
        *,
        to: int | None = None,
        direction: str | None = None,
        axis: int | None = None,
        value: onnx.TensorProto | None = None,
    ) -> str:
        """One node with one output, and the attributes that are not None."""
        output = output or self.name()
        made = onnx.NodeProto(op_type=operator, input=inputs, output=[output])
        for name, given in (("axis", axis), ("direction", direction), ("to", to), ("value", value)):
            if given is not None:
                made.attribute.append(helper.make_attribute(name, given))
        self.nodes.append(made)
        return output

    def split(self, source: str, sizes: Sequence[int], outputs: Sequence[str] | None = None) -> Sequence[str]:
        """`source` cut along its only axis into `outputs`, or into new names."""
        outputs = outputs or [self.name() for _ in sizes]
        if self.opset < _OPSET_SPLIT_INPUT:
            self.nodes.append(helper.make_node("Split", [source], outputs, split=list(sizes)))
        else:
            self.nodes.append(helper.make_node("Split", [source, self.integers(*sizes)], outputs))
        return outputs

    def size_bytes(self) -> int:
        """What has been written, as it counts in the file (each entry's tag and length included).

        Entries are only ever added, so that each is counted once.
        """
        lists: list[Sequence[Any]] = [self.nodes, self.initializers, self.sparse]
        for place, entries in enumerate(lists):
            self._size_bytes += sum(entry_bytes(entry.ByteSize()) for entry in entries[self._counted[place] :])
            self._counted[place] = len(entries)
        return self._size_bytes


def entry_bytes(length: int) -> int:
    """A message of `length` bytes inside another: a tag of one byte, its length as a varint, itself."""
    return 1 + max(1, -(-length.bit_length() // 7)) + length  # a graph's fields used here have numbers below 16


def short_names() -> Iterator[str]:
    """a ... z, A ... Z, aa, ab, ...: a name stands in the file at least twice."""
    for length in count(1):
        for letters in product(ascii_letters, repeat=length):
            yield "".join(letters)
