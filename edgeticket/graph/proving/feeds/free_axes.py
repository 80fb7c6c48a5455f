"""Sizes for the free axes of a model's inputs, and values for its whole-number scalars: guessed until the model runs.

Axes of one name have one size, in all inputs. What stands first in an input is the batch, unless its name says
otherwise; a batch of 1 is tried where one of 2 does not run. First every other axis has the same size, then each gets
one of its own. Of the guesses that run, the first is taken at which every output of floats is finite somewhere and
varies; failing that, the best of a few. One more is tried in which all but the batch have other sizes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Dims = tuple[int | str, ...]

BATCH = "batch"
FIRST_BATCHES = (2, 1)
# What an axis may be, likeliest first; the last ones are pieces of speech at 16 kHz.
SIZES = (32, 224, 28, 64, 128, 16, 8, 256, 512, 3, 1, 576, 1536, 16000)
# A piece of sound of 32 samples runs, and leaves most of a network silent.
_SOUND, _PIECES = ("audio", "sample", "wav"), (4096, 16000, 1536, 512)
_FEWER = (32, 64, 16, 128, 2, 512)
# Sample rates are what whole numbers without an axis usually are. None draws as for any other integers.
SCALARS: tuple[int | None, ...] = (None, 16000, 8000)
# From the size of an axis and its place among the free ones, another size.
_OTHER_SIZES: tuple[Callable[[int, int], int], ...] = (
    lambda size, place: size + 1 + 2 * place,
    lambda size, _: size + 1,
    lambda size, place: size * (2 + place),
    lambda size, _: 2 * size,
    lambda size, _: max(1, size // 2),
)
_LEAST_RANGE = 1e-5
_MOST_TRIES = 400
_MOST_UNNAMED = 4
_RUNS = 5  # of guesses that run, before the best of them is taken, and more of them while they are small
_MOST_RUNS, _MOST_COST = 40, 8_000_000


@dataclass(frozen=True)
class Guess:
    """A size for each free axis by its name, and the value of every whole number without an axis (None: drawn)."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    scalar: int | None = None

    def shape(self, dims: Dims) -> tuple[int, ...]:
        """The shape of an input."""
        return tuple(dim if isinstance(dim, int) else self.sizes[dim] for dim in dims)

    def with_batch(self, batch: int, names: frozenset[str]) -> Guess:
        """The same with another batch."""
        return Guess({name: batch if name in names else size for name, size in self.sizes.items()}, self.scalar)


def named(name: str, dims: Sequence[int | str]) -> Dims:
    """Every free axis with a name: the input's first is the batch where it has none, others are axes of their own."""
    return tuple(
        dim if isinstance(dim, int) or dim else BATCH if axis == 0 else f"{name}/{axis}"
        for axis, dim in enumerate(dims)
    )


def batches(inputs: Sequence[Dims]) -> frozenset[str]:
    """The names of axes that are a batch: called so, or where none is, first in an input."""
    free = {dim for dims in inputs for dim in dims if isinstance(dim, str)}
    called = {name for name in free if name == BATCH or "batch" in name.lower() or name in ("N", "n", "B", "b")}
    return frozenset(called or {dims[0] for dims in inputs if dims and isinstance(dims[0], str)})


def resized(guess: Guess, batch: frozenset[str]) -> Iterator[Guess]:
    """Guesses in which every free axis but the batch has another size, odd ones that differ from one another first.

    A pass that took one size for granted, or an even one, would show on no feed otherwise.
    """
    others = {name: size for name, size in guess.sizes.items() if name not in batch}
    for change in _OTHER_SIZES if others else ():
        sizes = {name: change(size, place) for place, (name, size) in enumerate(others.items())}
        yield Guess({**guess.sizes, **sizes}, guess.scalar)


def search(
    inputs: Sequence[Dims], scalars: bool, small_enough: Callable[[Guess], bool], score: Callable[[Guess], float | None]
) -> Guess | None:
    """The first guess of score 1, or the best; None where none runs. `score` gives None for one that does not run."""
    best: tuple[float, Guess] | None = None
    runs = cost = 0
    for guess in itertools.islice(filter(small_enough, _guesses(inputs, scalars)), _MOST_TRIES):
        cost += elements(inputs, guess) + max(guess.sizes.values(), default=0) ** 2  # attention takes the square
        if runs >= _RUNS and (runs >= _MOST_RUNS or cost > _MOST_COST):
            break
        found = score(guess)
        if found is None:
            continue
        if best is None or found > best[0]:
            best = (found, guess)
        runs += 1
        if found >= 1:
            break
    return best[1] if best else None


def _guesses(inputs: Sequence[Dims], scalars: bool) -> Iterator[Guess]:
    """Guesses without repetition, likeliest first."""
    seen: set[tuple[object, ...]] = set()
    first = batches(inputs)
    free = list(dict.fromkeys(dim for dims in inputs for dim in dims if isinstance(dim, str)))
    others = [name for name in free if name not in first]
    unnamed = [name for name in others if "/" in name]
    for sizes in _sizes(free, first, others, unnamed):
        for scalar in SCALARS if scalars else (None,):
            key = (*sizes.items(), scalar)
            if key not in seen:
                seen.add(key)
                yield Guess(sizes, scalar)


def _sizes(free: list[str], first: frozenset[str], others: list[str], unnamed: list[str]) -> Iterator[dict[str, int]]:
    heard = [name for name in others if any(word in name.lower() for word in _SOUND)]
    for size, batch in itertools.product(_PIECES if heard else (), FIRST_BATCHES):
        yield {name: batch if name in first else size if name in heard else SIZES[0] for name in free}
    for size, batch in itertools.product(SIZES if others else (1,), FIRST_BATCHES):
        base = {name: batch if name in first else size for name in free}
        yield base
        for some in ([name] for name in unnamed[:_MOST_UNNAMED]):
            yield {**base, **dict.fromkeys(some, batch)}  # states that are passed on carry the batch further back
        if len(unnamed) > 1:
            yield {**base, **dict.fromkeys(unnamed, batch)}
    if len(first) > 1:  # several names stand first: they need not be one batch
        for size in _FEWER:
            yield dict.fromkeys(free, size)
    if 1 < len(others) <= 4:
        all_places = itertools.product(range(len(_FEWER)), repeat=len(others))
        order = sorted(all_places, key=lambda places: (sum(places), places))
        for batch, places in itertools.product(FIRST_BATCHES, order):
            own = dict(zip(others, (_FEWER[place] for place in places), strict=True))
            yield {name: own.get(name, batch) for name in free}


def elements(inputs: Sequence[Dims], guess: Guess) -> int:
    """What a feed of this guess would hold."""
    return sum(math.prod(guess.shape(dims)) for dims in inputs)


def says_something(outputs: Mapping[str, Array]) -> float:
    """The share of outputs of floats that are finite somewhere and vary; 1 without any.

    Sigmoids and softmaxes err by 6e-8 in float32, whatever their value: what varies by less than 1e-5 says little.
    """
    floats = [array for array in outputs.values() if np.issubdtype(array.dtype, np.floating)]
    good = 0
    for array in floats:
        finite = array[np.isfinite(array)].astype(np.float64)
        good += bool(finite.size) and (finite.size == 1 or float(finite.max() - finite.min()) > _LEAST_RANGE)
    return good / len(floats) if floats else 1.0
