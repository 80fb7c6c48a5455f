"""What an artifact carries to be checked against: golden inputs and outputs, and a labelled slice of the test set."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import checks
from edgeticket.artifact.manifest import Port
from edgeticket.errors import InputError
from edgeticket.ticket.metrics import METRICS
from edgeticket.ticket.record import Ticket

Array = NDArray[Any]
GOLDEN_SAMPLES, GOLDEN_BYTES = 16, 1 << 20
SLICE_SAMPLES = 500
NOTHING = 1e-30  # some processors flush denormals to zero and others do not: below this, outputs are alike


@dataclass(frozen=True)
class Model:
    """A serialised model that the runtime has loaded, with the names of its outputs in order."""

    data: bytes
    session: Any

    @classmethod
    def load(cls, data: bytes) -> Model:
        """Load it.

        Raises:
            ModelError: the runtime cannot.
        """
        return cls(data, runtime.cpu_session(data, threads=checks.cores()))

    def run(self, feed: checks.Feed, names: Sequence[str] | None = None) -> list[Array]:
        """The outputs called `names`, or all, in order."""
        return [np.asarray(output) for output in runtime.run(self.session, feed, names).values()]

    def outputs(self, inputs: Array) -> Array:
        """The first output for inputs [n, ...], in batches. Only for a model of one input with a free batch axis."""
        name = self.session.get_inputs()[0].name
        return checks.run_batches(self.run, name, inputs, None)


def spread(count: int, wanted: int) -> NDArray[np.intp]:
    """`wanted` places spread evenly over `count`: a test set may be sorted by class."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.intp))


def golden_inputs(ticket: Ticket, name: str, most: int) -> list[checks.Feed]:
    """One feed of samples spread over the test set: 16 or `most`, and at most 1 MB. Denormals in it are zeros."""
    inputs = ticket.test.inputs
    wanted = max(1, min(GOLDEN_SAMPLES, most, GOLDEN_BYTES // max(1, inputs[:1].nbytes)))
    return [{name: flushed(inputs[spread(len(inputs), wanted)])}]


def flushed(array: Array) -> Array:
    """The array with zeros for denormals, which not every host sees as the same numbers.

    The runtime flushes them on the thread of a process's first session only, so that even two runs in one process may
    differ; and where a network asks for an order (ArgMax, Sign), by more than any tolerance.
    """
    if not np.issubdtype(array.dtype, np.floating):
        return array
    small = (array != 0) & (np.abs(array) < np.finfo(array.dtype).smallest_normal)
    return np.where(small, array.dtype.type(0), array) if small.any() else array


def within(feeds: Sequence[checks.Feed], most_bytes: int = GOLDEN_BYTES) -> list[checks.Feed]:
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


@dataclass(frozen=True)
class Golden:
    """golden.npz, what the manifest says of it, and the feed to time: batch 1 where the model takes it."""

    data: bytes
    about: dict[str, Any]
    timed: checks.Feed


def golden(
    model: Model,
    shares: Mapping[str, float],
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    feeds: Sequence[checks.Feed],
) -> Golden:
    """Run the exported model on the feeds. Entries are '0.input.0', '0.output.0', ... feed by feed.

    Each feed and output has a tolerance of its own: `shares` (graph/proving/rounding.py) of its largest value.
    """
    comparable = (port.name for port in outputs if port.dtype not in ("unknown", "object"))
    names = list(dict.fromkeys(comparable))  # a graph may list one value as two outputs
    arrays: dict[str, Array] = {}
    atol = []
    for number, feed in enumerate(feeds):
        found = model.run(feed, names)
        arrays |= {f"{number}.input.{i}": feed[port.name] for i, port in enumerate(inputs)}
        arrays |= {f"{number}.output.{i}": output for i, output in enumerate(found)}
        atol.append(
            [NOTHING + shares[name] * checks.largest(output) for name, output in zip(names, found, strict=True)]
        )
    timed = checks.single([asdict(port) for port in inputs], feeds[0])
    try:
        model.run(timed, names)
        single = True
    except InputError:
        timed, single = feeds[0], False
    return Golden(packed(arrays), {"outputs": names, "atol": atol, "rtol": 0.0, "single": single}, timed)


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as a compressed npz, the same bytes for the same arrays."""
    stream = io.BytesIO()
    content: dict[str, Any] = dict(arrays)
    np.savez_compressed(stream, **content)
    return stream.getvalue()


@dataclass(frozen=True)
class Slice:
    """slice.npz, and what the manifest says of it and of the metric.

    Without `data` there is none: the numbers that it would be checked by are not finite, as `remark` says.
    """

    data: bytes | None
    about: dict[str, Any] | None
    metric: dict[str, Any]
    remark: str = ""


def labelled_slice(ticket: Ticket, exported: Model, masked: Model, share: float) -> Slice:
    """Up to 500 samples over the whole test set, uint8 where the ticket holds them so, with their targets.

    `share` is the first output's (graph/proving/rounding.py). For a metric of the task's own the slice carries the
    masked network's outputs, to be compared with.
    """
    test, metric = ticket.test, ticket.record.metric
    picked = spread(len(test.inputs), SLICE_SAMPLES)
    inputs, targets = test.inputs[picked], test.targets[picked]
    stored, coding = _coded(ticket, picked)
    whole = exported.outputs(test.inputs)
    outputs = whole[picked]
    arrays = {"inputs": stored, "targets": targets}
    slice_value = whole_value = moved = None
    if metric["builtin"]:
        measure = METRICS[metric["name"]]
        with np.errstate(all="ignore"):  # what is not finite is a result, told below
            slice_value, whole_value = measure(outputs, targets), measure(whole, test.targets)
    else:
        arrays["masked_outputs"] = masked.outputs(inputs)
        moved = checks.max_delta(outputs, arrays["masked_outputs"])
    about = {"samples": len(picked), "dtype": stored.dtype.name, **coding, "atol": share * checks.largest(outputs)}
    values = {"slice_value": slice_value, "whole_value": whole_value, "whole_samples": len(test.inputs), "of": test.of}
    numbers = {metric["name"]: whole_value, f"{metric['name']} on the slice": slice_value}
    numbers |= {"the largest difference from the masked network's outputs": moved}
    strange = [f"{name} is {value}" for name, value in numbers.items() if value is not None and not np.isfinite(value)]
    if strange:
        remark = (
            f"Some outputs on the test set are NaN or infinite: {', '.join(strange)}. So no slice of the test set is "
            "shipped, and `check` compares golden outputs only."
        )
        values |= {"slice_value": None, "whole_value": None}
        return Slice(None, None, {**metric, **values}, remark)
    return Slice(packed(arrays), about | {"masked_max_abs_delta": moved}, {**metric, **values})


def _coded(ticket: Ticket, picked: NDArray[np.intp]) -> tuple[Array, dict[str, Any]]:
    """The inputs as they rest, with scale and offset where checks.decode restores them exactly."""
    test = ticket.test
    if "scale" in test.stored:
        coding = {key: np.asarray(test.stored[key], np.float32).tolist() for key in ("scale", "offset")}
        kept = test.stored["inputs"][picked]
        if np.array_equal(checks.decode(kept, coding), test.inputs[picked]):
            return kept, coding
    return test.inputs[picked], {"scale": None, "offset": None}
