"""What a model's inputs are to be made up with, as far as its graph says: types, axes, limits, texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from edgeticket.errors import InputError
from edgeticket.graph.protos import without_default
from edgeticket.graph.proving.feeds import free_axes, kinds

# Of all inputs of one feed together: a graph may declare any size, and nobody should run out of memory for it.
MOST_ELEMENTS = 1 << 25
_RECURRENT = ("LSTM", "GRU", "RNN")
_SAME_AXES = frozenset(["Cast", "Dropout", "Identity", "Relu", "Tanh"])
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 2000.0  # of what a network that looks for a pitch is asked


@dataclass(frozen=True)
class DeclaredInput:
    """One input without a default."""

    name: str
    dtype: np.dtype[np.generic]
    dims: tuple[int | str, ...]  # a number, or the name of an open dimension
    limit: int  # integers are drawn below it
    words: tuple[str, ...] = ()  # texts are made of these
    sentences: bool = False  # of several words
    value: float | None = None  # it is always this
    steps: tuple[str, int] | None = None  # it says how many steps of this input's axis a recurrent layer reads

    @property
    def scalar(self) -> bool:
        """A whole number, as sample rates are."""
        return self.dtype.kind in "iu" and self.dims in ((), (1,))

    @property
    def lengths(self) -> bool:
        """How long each sequence of the batch is: by its name, and by one whole number for each."""
        return self.dtype.kind in "iu" and len(self.dims) <= 1 and "len" in self.name.lower()


def require_possible(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse shapes for inputs that the model does not have, such as no input has, or other than declared.

    Raises:
        InputError: there is one.
    """
    named = {value.name: value for value in without_default(model.graph)}
    for name, shape in shapes.items():
        if name not in named:
            raise InputError(f"there is no input {name!r} to give a shape; the inputs are {', '.join(sorted(named))}")
        if min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS:
            raise InputError(
                f"the shape {'x'.join(map(str, shape))} for the input {name!r}: its numbers must be 0 or more, and "
                f"their product at most {MOST_ELEMENTS:,}"
            )
        if fault := kinds.contradiction(named[name], shape):
            raise InputError(f"the shape {'x'.join(map(str, shape))} for the input {name!r}: {fault}; give the same")


def variants(inputs: Sequence[DeclaredInput]) -> Iterator[list[DeclaredInput]]:
    """Ways to draw: as any input; texts that the model knows; numbers without an axis as the ends of a band in Hz."""
    yield list(inputs)
    if any(entry.words and entry.dtype.kind == "U" for entry in inputs):
        yield [replace(entry, words=kinds.known(entry.words)) for entry in inputs]
    numbers = [entry.name for entry in inputs if entry.dtype.kind == "f" and entry.dims in ((), (1,))]
    if numbers:
        rising = dict(zip(numbers, np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, len(numbers)), strict=True))
        yield [replace(entry, value=rising.get(entry.name)) for entry in inputs]


def declared_inputs(graph: onnx.GraphProto, values: Sequence[onnx.ValueInfoProto]) -> list[DeclaredInput] | None:
    """What is to be drawn for `values`; None where one cannot be drawn."""
    rows = _lookup_rows(graph)
    words, sentences = kinds.vocabulary(graph), kinds.splits(graph)
    steps = _steps(graph)
    inputs = []
    for value in values:
        kind = kinds.tensor_type(value)
        dtype = None if kind is None else kinds.dtype_of(kind)
        if kind is None or dtype is None:
            return None
        dims: tuple[int | str, ...] = tuple(kinds.dimension(dim) for dim in kind.shape.dim)
        if not kind.HasField("shape"):
            dims = kinds.guessed_dims(graph, value.name)
        limit = 2 if dtype.kind == "b" else rows.get(value.name, 256 if dtype == np.uint8 else 2)
        dims = free_axes.named(value.name, _with_channels(graph, value.name, dims))
        counted = steps.get(value.name) if dtype.kind == "i" else None
        inputs.append(DeclaredInput(value.name, dtype, dims, limit, words, sentences, steps=counted))
    return inputs


def _lookup_rows(graph: onnx.GraphProto) -> dict[str, int]:
    """For what indexes a table: the fewest rows of any such table."""
    tables = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    rows: dict[str, int] = {}
    for node in graph.node:
        if node.op_type != "Gather" or len(node.input) < 2:
            continue
        table = tables.get(node.input[0], ())
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        if -len(table) <= axis < len(table) and table[axis] > 0:
            rows[node.input[1]] = min(int(table[axis]), rows.get(node.input[1], int(table[axis])))
    return rows


def _steps(graph: onnx.GraphProto) -> dict[str, tuple[str, int]]:
    """For what is the sequence_lens of a recurrent layer: the input that the steps come from, and its axis of time."""
    inputs = {value.name for value in graph.input}
    makers = {name: node for node in graph.node for name in node.output}
    found = {}
    for node in graph.node:
        if node.op_type not in _RECURRENT or len(node.input) < 5 or node.input[4] not in inputs:
            continue
        name = node.input[0]
        axis: int = next((attribute.i for attribute in node.attribute if attribute.name == "layout"), 0)
        while name not in inputs and (maker := makers.get(name)) is not None:
            if maker.op_type == "Transpose":
                order = next((list(attribute.ints) for attribute in maker.attribute if attribute.name == "perm"), [])
                axis = order[axis] if axis < len(order) else 2 - axis  # without one, the axes are turned around
            elif maker.op_type not in _SAME_AXES and not (maker.op_type == "Gather" and not maker.attribute):
                break
            name = maker.input[1 if maker.op_type == "Gather" else 0]  # tokens that a table is read by
        if name in inputs:
            found[node.input[4]] = (name, axis)
    return found


def _with_channels(graph: onnx.GraphProto, name: str, dims: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """An open channel dimension is what the convolution that reads the input takes."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) < 2 or node.input[0] != name or len(dims) < 2:
            continue
        weight = weights.get(node.input[1], ())
        if len(weight) >= 2 and isinstance(dims[1], str):
            group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            return (dims[0], int(weight[1] * group), *dims[2:])
    return dims
