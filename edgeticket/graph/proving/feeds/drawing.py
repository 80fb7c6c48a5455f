"""Numbers and texts for one feed: random and extreme, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.proving.feeds import kinds
from edgeticket.graph.proving.feeds.declared import DeclaredInput
from edgeticket.graph.proving.feeds.free_axes import Guess

Array = NDArray[np.generic]
Shape = tuple[int, ...]

_SEED = 20190311

KINDS: dict[str, Callable[[np.random.Generator, Shape], Array]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(0, 1, shape),
    "negative": lambda rng, shape: -np.abs(rng.standard_normal(shape)),
    "zeros": lambda _, shape: np.zeros(shape),
    "ones": lambda _, shape: np.ones(shape),
    "large": lambda rng, shape: 1e4 * rng.standard_normal(shape),
    "tiny": lambda rng, shape: 1e-6 * rng.standard_normal(shape),
    "denormal": lambda rng, shape: 1e-40 * rng.uniform(-1, 1, shape),
}


def feed_of(inputs: Sequence[DeclaredInput], guess: Guess, kind: str, seed: int) -> dict[str, Array]:
    """One feed: every input as its kind has it, but for what is always one value, a rate, or a length."""
    rng = np.random.default_rng([_SEED, seed, list(KINDS).index(kind)])
    feed = {entry.name: _draw(rng, guess.shape(entry.dims), entry, kind) for entry in inputs}
    for entry in inputs:
        if entry.value is not None:
            feed[entry.name] = np.full(guess.shape(entry.dims), entry.value, entry.dtype)
        elif entry.scalar and guess.scalar is not None:
            feed[entry.name] = np.full(guess.shape(entry.dims), guess.scalar, entry.dtype)
        elif entry.lengths and kind != "zeros":
            longest = max((shape[1] for shape in map(np.shape, feed.values()) if len(shape) > 1), default=1)
            feed[entry.name] = np.full(guess.shape(entry.dims), longest, entry.dtype)
        elif entry.steps is not None and kind != "zeros":
            feed[entry.name] = _counts(rng, guess.shape(entry.dims), feed[entry.steps[0]].shape, entry)
    return feed


def _counts(rng: np.random.Generator, shape: Shape, read: Shape, entry: DeclaredInput) -> Array:
    """How many steps each sequence of a batch has: all of them for the first one, at least one for the others."""
    axis = 0 if entry.steps is None else entry.steps[1]
    longest = max(read[axis] if axis < len(read) else 1, 1)
    counts = rng.integers(1, longest + 1, shape)
    counts.reshape(-1)[:1] = longest
    return counts.astype(entry.dtype)


def _draw(rng: np.random.Generator, shape: Shape, entry: DeclaredInput, kind: str) -> Array:
    if entry.dtype.kind == "U":
        return kinds.texts(rng, shape, entry.words, kind, whole=entry.sentences)
    if np.issubdtype(entry.dtype, np.floating):
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(KINDS[kind](rng, shape)).astype(entry.dtype)
    if kind in ("zeros", "ones"):
        return np.full(shape, min(int(kind == "ones"), entry.limit - 1)).astype(entry.dtype)
    return rng.integers(0, entry.limit, shape).astype(entry.dtype)
