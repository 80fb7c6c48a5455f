"""Golden data: inputs that an artifact carries, and the outputs that its model gave for them at export."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import checks, outputs
from edgeticket.artifact.manifest import GoldenInfo, Port
from edgeticket.artifact.numbers import flushed, is_float
from edgeticket.errors import InputError
from edgeticket.ticket.record import Ticket

Array = NDArray[Any]
GOLDEN_SAMPLES, GOLDEN_BYTES = 16, 1 << 20


@dataclass(frozen=True)
class LoadedModel:
    """A model that the runtime has loaded, on the CPU provider and all cores."""

    session: Any

    @classmethod
    def load(cls, data: bytes, *, optimize: bool = True) -> LoadedModel:
        """Load a serialised model. Without `optimize` it runs as it is written, and so rounds otherwise: to the same
        bits whether its weights are constants or rebuilt by nodes.

        Raises:
            ModelError: the runtime cannot.
        """
        return cls(runtime.cpu_session(data, threads=checks.cores(), optimize=optimize, prepack=optimize))

    def run(self, feed: checks.Feed, names: Sequence[str] | None = None) -> list[Array]:
        """The outputs called `names`, or all, in order, as checks.flattened has them."""
        return list(outputs.run(self.session, feed, names).values())

    def outputs(self, inputs: Array) -> Array:
        """The first output for inputs [n, ...], in batches. Only for a model of one input with a free batch axis."""
        name = self.session.get_inputs()[0].name
        return checks.run_batches(self.run, name, inputs, None)


@dataclass(frozen=True)
class Golden:
    """golden.npz, what the manifest says of it, and the feed to time: batch 1 where the model takes it."""

    data: bytes
    about: GoldenInfo
    timed: checks.Feed


def inputs_from_ticket(ticket: Ticket, name: str, most: int) -> list[checks.Feed]:
    """One feed of samples spread over the test set: 16 or `most`, and at most 1 MB. Denormals in it are zeros."""
    inputs = ticket.test.inputs
    wanted = max(1, min(GOLDEN_SAMPLES, most, GOLDEN_BYTES // max(1, inputs[:1].nbytes)))
    return [{name: flushed(inputs[spread(len(inputs), wanted)])}]


def inputs_from_feeds(feeds: Sequence[checks.Feed], most_bytes: int = GOLDEN_BYTES) -> list[checks.Feed]:
    """The first feed, and every other one that still fits into `most_bytes` of inputs together, flushed.

    Left out is a feed of denormals, of which nothing is left.
    """
    kept: list[checks.Feed] = []
    total = 0
    for given in feeds:
        feed = {name: flushed(array) for name, array in given.items()}
        if any(given[name].any() and not array.any() for name, array in feed.items()):
            continue
        size = sum(array.nbytes for array in feed.values())
        if not kept or total + size <= most_bytes:
            kept.append(feed)
            total += size
    return kept


def spread(count: int, wanted: int) -> NDArray[np.intp]:
    """`wanted` places spread evenly over `count`: a test set may be sorted by class."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.intp))


def record_outputs(
    model: LoadedModel,
    plain: LoadedModel,
    atol_of: Callable[[str, Array, float], float],
    inputs: Sequence[Port],
    feeds: Sequence[checks.Feed],
) -> Golden:
    """Run the exported model on the feeds. Entries are '0.input.0', '0.output.0', ... feed by feed.

    Each feed and output has a tolerance of its own: `atol_of` (graph/proving/yardstick.py) gives it from the output and
    from how far it moves in `plain`, the same file without the runtime's rewrites, which rounds as another host might.
    Left out is a feed on which that moves further than the tolerance, or chooses otherwise, if another one is left.
    """
    names = list(outputs.run(model.session, feeds[0]))
    recorded = [_recorded(model, plain, atol_of, feed, names) for feed in feeds]
    kept = [each for each in recorded if each.steady] or recorded[:1]
    arrays: dict[str, Array] = {}
    for number, each in enumerate(kept):
        arrays |= {f"{number}.input.{i}": each.feed[port.name] for i, port in enumerate(inputs)}
        arrays |= {f"{number}.output.{i}": output for i, output in enumerate(each.outputs)}
    timed = checks.single([asdict(port) for port in inputs], kept[0].feed)
    try:
        model.run(timed, names)
        single = True
    except InputError:
        timed, single = kept[0].feed, False
    atol = tuple(each.atol for each in kept)
    return Golden(packed(arrays), GoldenInfo(tuple(names), atol, single=single), timed)


@dataclass(frozen=True)
class _Recorded:
    feed: checks.Feed
    outputs: list[Array]
    atol: tuple[float, ...]
    steady: bool


def _recorded(
    model: LoadedModel,
    plain: LoadedModel,
    atol_of: Callable[[str, Array, float], float],
    feed: checks.Feed,
    names: Sequence[str],
) -> _Recorded:
    """One feed, and whether its outputs stay within their tolerances where only the rounding changes."""
    found = model.run(feed, names)
    moved = [0.0] * len(found)
    for other in (feed, nudged(feed)):
        pairs = zip(moved, found, plain.run(other, names), strict=True)
        moved = [max(before, _distance(*pair)) for before, *pair in pairs]
    atol = tuple(
        atol_of(name, output, apart if np.isfinite(apart) else 0.0)
        for name, output, apart in zip(names, found, moved, strict=True)
    )
    return _Recorded(feed, found, atol, all(apart <= most for apart, most in zip(moved, atol, strict=True)))


def nudged(feed: Mapping[str, Array], seed: int = 0) -> checks.Feed:
    """The feed with every float moved by one unit in the last place, up or down."""
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(np.nextafter(array, rng.choice([-np.inf, np.inf], array.shape).astype(array.dtype)))
        if array.dtype in (np.float32, np.float64)
        else array
        for name, array in feed.items()
    }


def _distance(first: Array, second: Array) -> float:
    """The largest difference where `first` is finite; infinite where shapes, choices or texts differ."""
    if first.shape != second.shape or first.dtype.kind != second.dtype.kind:
        return np.inf
    if not is_float(first):
        return 0.0 if np.array_equal(first, second) else np.inf
    finite = np.isfinite(first)
    apart = np.abs(first[finite].astype(np.float64) - second[finite])
    return float(np.max(apart, initial=0.0)) if np.all(np.isfinite(apart)) else np.inf


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as a compressed npz, the same bytes for the same arrays."""
    stream = io.BytesIO()
    content: dict[str, Any] = dict(arrays)
    np.savez_compressed(stream, **content)
    return stream.getvalue()
