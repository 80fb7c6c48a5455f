"""Inputs for a model that came without a test set: random and extreme, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import outputs
from edgeticket.errors import InputError
from edgeticket.graph.protos import without_default
from edgeticket.graph.proving.feeds import free_axes
from edgeticket.graph.proving.feeds.declared import (
    MOST_ELEMENTS,
    DeclaredInput,
    declared_inputs,
    require_possible,
    variants,
)
from edgeticket.graph.proving.feeds.drawing import KINDS, feed_of
from edgeticket.graph.proving.feeds.free_axes import Guess
from edgeticket.graph.serialize import serialize

Array = NDArray[np.generic]
Shape = tuple[int, ...]

BATCHES = (2, 1, 7)
_USUAL = ("normal", "uniform", "negative", "ones")


@dataclass(frozen=True)
class Probe:
    """One named set of inputs. The usual ones are of unit scale; the others are extreme."""

    name: str
    feed: Mapping[str, Array]

    @property
    def usual(self) -> bool:
        """Is it of unit scale, as inputs of networks usually are?"""
        return self.name.split(",")[0] in _USUAL


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
    values = without_default(model.graph)
    # The runtime comes first: it refuses senseless graphs, and below they are trusted.
    running = running or runtime.cpu_session(serialize(model))
    inputs = declared_inputs(model.graph, values)
    if inputs is None:
        return ()
    inputs = [replace(entry, dims=tuple(given.get(entry.name, entry.dims))) for entry in inputs]
    best, chosen = -1.0, None
    for entries in variants(inputs):
        guess = _search(entries, running) if best < 1 else None
        score = None if guess is None else _score(running, entries, guess)
        if guess is not None and score is not None and score > best:
            best, chosen = score, (entries, guess)
    return () if chosen is None else tuple(_all(*chosen, running))


def _search(inputs: Sequence[DeclaredInput], running: runtime.Session) -> Guess | None:
    dims, scalars = [entry.dims for entry in inputs], any(entry.scalar for entry in inputs)

    def small_enough(guess: Guess) -> bool:
        return free_axes.elements(dims, guess) <= MOST_ELEMENTS

    return free_axes.search(dims, scalars, small_enough, lambda guess: _score(running, inputs, guess))


def _all(inputs: Sequence[DeclaredInput], guess: Guess, running: runtime.Session) -> Iterator[Probe]:
    seen: set[tuple[Shape, ...]] = set()
    dims = [entry.dims for entry in inputs]
    batches = free_axes.batches(dims)
    for batch in BATCHES:
        sized = guess.with_batch(batch, batches)
        shape = tuple(sized.shape(entry.dims) for entry in inputs)
        if shape in seen or free_axes.elements(dims, sized) > MOST_ELEMENTS:
            continue
        feed = feed_of(inputs, sized, "normal", batch)
        if _outputs(running, feed) is not None:  # a batch of 7 need not suit a graph with fixed reshapes
            seen.add(shape)
            yield Probe(f"normal, batch {batch}", feed)
    for sized in free_axes.resized(guess, batches):
        if free_axes.elements(dims, sized) > MOST_ELEMENTS:
            continue
        feed = feed_of(inputs, sized, "normal", BATCHES[0])
        if _outputs(running, feed) is not None:
            yield Probe("normal, other sizes", feed)
            break
    for scalar in free_axes.SCALARS if any(entry.scalar for entry in inputs) else ():
        feed = feed_of(inputs, Guess(guess.sizes, scalar), "normal", BATCHES[0])
        if scalar != guess.scalar and _outputs(running, feed) is not None:  # each may take a branch of its own
            yield Probe(f"normal, whole numbers {'drawn' if scalar is None else scalar}", feed)
    for kind in list(KINDS)[1:]:
        yield Probe(kind, feed_of(inputs, guess, kind, BATCHES[0]))


def _score(running: runtime.Session, inputs: Sequence[DeclaredInput], guess: Guess) -> float | None:
    found = _outputs(running, feed_of(inputs, guess, "normal", BATCHES[0]))
    return None if found is None else free_axes.says_something(found)


def _outputs(running: runtime.Session, feed: Mapping[str, Array]) -> dict[str, Array] | None:
    try:
        return outputs.run(running, feed)
    except InputError:
        return None
