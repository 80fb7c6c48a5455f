"""Inputs for a model that came without a test set: random and extreme, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import outputs
from edgeticket.errors import InputError
from edgeticket.graph.proving import free_axes, kinds
from edgeticket.graph.proving.free_axes import Guess
from edgeticket.graph.serialize import serialize

Array = NDArray[np.generic]
Shape = tuple[int, ...]

BATCHES = (2, 1, 7)
# Of all inputs of one feed together: a graph may declare any size, and nobody should run out of memory for it.
MOST_ELEMENTS = 1 << 25
_SEED = 20190311
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 2000.0  # of what a network that looks for a pitch is asked
_USUAL = ("normal", "uniform", "negative", "ones")

_KINDS: dict[str, Callable[[np.random.Generator, Shape], Array]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(0, 1, shape),
    "negative": lambda rng, shape: -np.abs(rng.standard_normal(shape)),
    "zeros": lambda _, shape: np.zeros(shape),
    "ones": lambda _, shape: np.ones(shape),
    "large": lambda rng, shape: 1e4 * rng.standard_normal(shape),
    "tiny": lambda rng, shape: 1e-6 * rng.standard_normal(shape),
    "denormal": lambda rng, shape: 1e-40 * rng.uniform(-1, 1, shape),
}


@dataclass(frozen=True)
class Probe:
    """One named set of inputs. The usual ones are of unit scale; the others are extreme."""

    name: str
    feed: Mapping[str, Array]

    @property
    def usual(self) -> bool:
        """Is it of unit scale, as inputs of networks usually are?"""
        return self.name.split(",")[0] in _USUAL


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: np.dtype[np.generic]
    dims: tuple[int | str, ...]  # a number, or the name of an open dimension
    limit: int  # integers are drawn below it
    words: tuple[str, ...] = ()  # texts are made of these
    sentences: bool = False  # of several words
    value: float | None = None  # it is always this

    @property
    def scalar(self) -> bool:
        """A whole number, as sample rates are."""
        return self.dtype.kind in "iu" and self.dims in ((), (1,))

    @property
    def lengths(self) -> bool:
        """How long each sequence of the batch is: by its name, and by one whole number for each."""
        return self.dtype.kind in "iu" and len(self.dims) <= 1 and "len" in self.name.lower()


def probes(
    model: onnx.ModelProto,
    shapes: Mapping[str, Sequence[int]] | None = None,
    running: runtime.Session | None = None,
) -> tuple[Probe, ...]:
    """Normal inputs at several batch sizes, then every other kind at one. Integers are drawn where they are indices.

    `shapes` gives whole shapes by input name; other open dimensions are guessed (see free_axes.py). () where no guess
    runs or is small enough, or an input is neither of numbers nor of texts: say so (see kinds.unmade), and ask for
    shapes. `running` is the model in the runtime, where it has been loaded.

    Raises:
        ModelError: the runtime cannot load the model.
        InputError: `shapes` names an input that the model does not have, or gives one a negative or huge dimension, or
            another than the model declares.
    """
    given = dict(shapes or {})
    require_possible(model, given)
    values = _without_default(model.graph)
    # The runtime comes first: it refuses senseless graphs, and below they are trusted.
    running = running or runtime.cpu_session(serialize(model))
    inputs = _inputs(model.graph, values)
    if inputs is None:
        return ()
    inputs = [replace(entry, dims=tuple(given.get(entry.name, entry.dims))) for entry in inputs]
    best, chosen = -1.0, None
    for entries in _variants(inputs):
        guess = _search(entries, running) if best < 1 else None
        score = None if guess is None else _score(running, entries, guess)
        if guess is not None and score is not None and score > best:
            best, chosen = score, (entries, guess)
    return () if chosen is None else tuple(_all(*chosen, running))


def _variants(inputs: list[_Input]) -> Iterator[list[_Input]]:
    """Ways to draw: as any input; texts that the model knows; numbers without an axis as the ends of a band in Hz."""
    yield inputs
    if any(entry.words and entry.dtype.kind == "U" for entry in inputs):
        yield [replace(entry, words=kinds.known(entry.words)) for entry in inputs]
    numbers = [entry.name for entry in inputs if entry.dtype.kind == "f" and entry.dims in ((), (1,))]
    if numbers:
        rising = dict(zip(numbers, np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, len(numbers)), strict=True))
        yield [replace(entry, value=rising.get(entry.name)) for entry in inputs]


def require_possible(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse shapes for inputs that the model does not have, such as no input has, or other than declared.

    Raises:
        InputError: there is one.
    """
    named = {value.name: value for value in _without_default(model.graph)}
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


def _search(inputs: Sequence[_Input], running: runtime.Session) -> Guess | None:
    dims, scalars = [entry.dims for entry in inputs], any(entry.scalar for entry in inputs)

    def small_enough(guess: Guess) -> bool:
        return free_axes.elements(dims, guess) <= MOST_ELEMENTS

    return free_axes.search(dims, scalars, small_enough, lambda guess: _score(running, inputs, guess))


def _all(inputs: Sequence[_Input], guess: Guess, running: runtime.Session) -> Iterator[Probe]:
    seen: set[tuple[Shape, ...]] = set()
    dims = [entry.dims for entry in inputs]
    batches = free_axes.batches(dims)
    for batch in BATCHES:
        sized = guess.with_batch(batch, batches)
        shape = tuple(sized.shape(entry.dims) for entry in inputs)
        if shape in seen or free_axes.elements(dims, sized) > MOST_ELEMENTS:
            continue
        feed = _feed(inputs, sized, "normal", batch)
        if _outputs(running, feed) is not None:  # a batch of 7 need not suit a graph with fixed reshapes
            seen.add(shape)
            yield Probe(f"normal, batch {batch}", feed)
    for sized in free_axes.resized(guess, batches):
        if free_axes.elements(dims, sized) > MOST_ELEMENTS:
            continue
        feed = _feed(inputs, sized, "normal", BATCHES[0])
        if _outputs(running, feed) is not None:
            yield Probe("normal, other sizes", feed)
            break
    for scalar in free_axes.SCALARS if any(entry.scalar for entry in inputs) else ():
        feed = _feed(inputs, Guess(guess.sizes, scalar), "normal", BATCHES[0])
        if scalar != guess.scalar and _outputs(running, feed) is not None:  # each may take a branch of its own
            yield Probe(f"normal, whole numbers {'drawn' if scalar is None else scalar}", feed)
    for kind in list(_KINDS)[1:]:
        yield Probe(kind, _feed(inputs, guess, kind, BATCHES[0]))


def _score(running: runtime.Session, inputs: Sequence[_Input], guess: Guess) -> float | None:
    found = _outputs(running, _feed(inputs, guess, "normal", BATCHES[0]))
    return None if found is None else free_axes.says_something(found)


def _outputs(running: runtime.Session, feed: Mapping[str, Array]) -> dict[str, Array] | None:
    try:
        return outputs.run(running, feed)
    except InputError:
        return None


def _feed(inputs: Sequence[_Input], guess: Guess, kind: str, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng([_SEED, seed, list(_KINDS).index(kind)])
    feed = {entry.name: _draw(rng, guess.shape(entry.dims), entry, kind) for entry in inputs}
    for entry in inputs:
        if entry.value is not None:
            feed[entry.name] = np.full(guess.shape(entry.dims), entry.value, entry.dtype)
        elif entry.scalar and guess.scalar is not None:
            feed[entry.name] = np.full(guess.shape(entry.dims), guess.scalar, entry.dtype)
        elif entry.lengths and kind != "zeros":
            longest = max((shape[1] for shape in map(np.shape, feed.values()) if len(shape) > 1), default=1)
            feed[entry.name] = np.full(guess.shape(entry.dims), longest, entry.dtype)
    return feed


def _draw(rng: np.random.Generator, shape: Shape, entry: _Input, kind: str) -> Array:
    if entry.dtype.kind == "U":
        return kinds.texts(rng, shape, entry.words, kind, whole=entry.sentences)
    if np.issubdtype(entry.dtype, np.floating):
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(_KINDS[kind](rng, shape)).astype(entry.dtype)
    if kind in ("zeros", "ones"):
        return np.full(shape, min(int(kind == "ones"), entry.limit - 1)).astype(entry.dtype)
    return rng.integers(0, entry.limit, shape).astype(entry.dtype)


def _without_default(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The graph's inputs that have no default."""
    initialized = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in initialized]


def _inputs(graph: onnx.GraphProto, values: Sequence[onnx.ValueInfoProto]) -> list[_Input] | None:
    """What is to be drawn for `values`; None where one cannot be drawn."""
    rows = _lookup_rows(graph)
    words, sentences = kinds.vocabulary(graph), kinds.splits(graph)
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
        inputs.append(_Input(value.name, dtype, dims, limit, words, sentences))
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
