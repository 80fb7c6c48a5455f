"""The proof of outputs, in two parts: the graph in float64 (graph_proof.py), and the file in float32.

The file runs on ONNX Runtime beside the original. It may err against float64 by no more than a small factor of what the
original itself errs by, on the same inputs and for each output (yardstick.py). Over a whole test set, of which float64
runs a sample, the file is held to the original in float32, by the errors that the sample showed.

A feed says something about an output only where the original's own error is small beside the output's range. Extreme
feeds must not crash the file or make its outputs NaN, and are compared where they can testify.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import outputs
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.errors import InputError, ModelError
from edgeticket.graph.proving import reference as float64
from edgeticket.graph.proving.comparison import Tally
from edgeticket.graph.proving.trial import Run, Trial
from edgeticket.graph.proving.verdict import judged
from edgeticket.graph.proving.yardstick import Yardstick
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import Simplified

Array = NDArray[Any]
Feed = Mapping[str, Array]


@dataclass(frozen=True)
class Proof:
    """What was found, the yardstick that it was held to, and the feeds that testify about every output."""

    info: ProofInfo
    yardstick: Yardstick
    witnesses: tuple[Feed, ...] = ()
    after: runtime.Session | None = None  # the exported model in the runtime, where nothing refutes it


def of_rounded(graph: ProofInfo, rounded: ProofInfo) -> ProofInfo:
    """The proof of a file whose values are stored rounded: `graph` was proved in fp32, then the file was measured."""
    if rounded.verdict != "measured":
        return rounded
    moved = "" if rounded.max_abs_delta is None else f" by up to {rounded.max_abs_delta:.3g}"
    reason = (
        f"removal and folding were proved with the values in fp32: {graph.reason}. "
        f"As the values rest rounded, the file's outputs moved{moved}: {rounded.reason}"
    )
    return replace(rounded, reason=reason, graph=graph)


def prove(
    original: onnx.ModelProto, exported: bytes, inputs: Feed, *, batch: int = 256, exact: bool = True, threads: int = 1
) -> ProofInfo:
    """Compare over a whole set: `inputs` maps each input's name to [n, ...]. `exact` is False for fp16 and int8."""
    feeds, samples, count = batches(original, inputs, batch)
    return prove_feeds(original, exported, feeds, samples=samples, exact=exact, threads=threads, count=count)


def batches(original: onnx.ModelProto, inputs: Feed, batch: int = 256) -> tuple[list[Feed], list[Feed], int]:
    """A whole set as feeds, the feeds that float64 should run, and the number of samples.

    A model of fixed batch size gets batches of that size, the last one filled up with its last row.
    """
    fixed = _fixed_batch(original)
    feeds = list(_batches(inputs, fixed or batch, pad=fixed is not None))
    count = min(len(array) for array in inputs.values())
    rows = np.unique(np.linspace(0, max(count - 1, 0), float64.rows_within_budget(original)).astype(np.int64))
    spread = {name: array[rows] for name, array in inputs.items()} if count else {}
    samples = list(_batches(spread, fixed or len(rows), pad=True)) if count and len(rows) else []
    return feeds, samples, count


def prove_feeds(
    original: onnx.ModelProto,
    exported: bytes,
    feeds: Sequence[Feed],
    *,
    samples: Sequence[Feed] | None = None,
    simplified: Simplified | None = None,
    exact: bool = True,
    threads: int = 1,
    count: int | None = None,
) -> ProofInfo:
    """As `proof`, but only what was found."""
    found = proof(
        original, exported, feeds, samples=samples, simplified=simplified, exact=exact, threads=threads, count=count
    )
    return found.info


def proof(
    original: onnx.ModelProto,
    exported: bytes,
    feeds: Sequence[Feed],
    *,
    samples: Sequence[Feed] | None = None,
    simplified: Simplified | None = None,
    exact: bool = True,
    threads: int = 1,
    count: int | None = None,
    before: runtime.Session | None = None,
) -> Proof:
    """Compare over single feeds, which need no common batch size.

    Args:
        samples: the usual feeds: errors are measured on them, and in float64 as many are run as the budget allows. The
            other feeds are extreme. Without samples, all feeds are usual.
        simplified: what the passes made of the original; its graph is proved in float64.
        exact: False for a file whose values rest rounded: its outputs move on purpose, and are measured.
        count: the number of samples to report; without it, the rows of all feeds.
        before: the original in the runtime, where it has been loaded.
    """
    nothing = Yardstick()
    try:
        before = before or runtime.cpu_session(serialize(original), threads=threads)
    except ModelError as error:
        return Proof(ProofInfo("not proved", str(error)), nothing)
    if not feeds:
        return Proof(ProofInfo("not proved", "there are no inputs to compare on"), nothing)
    try:
        after = runtime.cpu_session(exported, threads=threads)
    except ModelError as error:
        reason = f"the original runs, the exported model does not: {error}"
        return Proof(ProofInfo("refuted", reason), nothing)
    against = _other_ports(before, after)
    if against:
        return Proof(ProofInfo("refuted", against), nothing)
    usual = feeds if samples is None else samples or feeds[:1]
    known = {id(feed) for feed in usual}
    others = [feed for feed in feeds if id(feed) not in known]
    trial = Trial(original, before, after)
    try:
        trial.run(usual, usual=True)
        if count is None:
            trial.run(others, usual=False)
        if trial.is_random():
            reason = "the original gives other outputs each time it runs (random operators)"
            return Proof(ProofInfo("not proved", reason), nothing)
        tally, yardstick = Tally(), trial.yardstick(exact=exact)
        graph = trial.graph(simplified, yardstick) if simplified is not None and exact else None
        if graph is not None and graph.verdict == "refuted":
            return Proof(ProofInfo("refuted", graph.reason, in_float64=graph), nothing)
        for each in trial.runs:
            against = _compared(trial, tally, yardstick, each, exact=exact, counted=count is None or not samples)
            if against:
                return Proof(ProofInfo("refuted", against, in_float64=graph), nothing)
        for feed in others if count is not None else ():
            each = trial.single(feed)
            against = _compared(trial, tally, yardstick, each, exact=exact)
            if against:
                return Proof(ProofInfo("refuted", against, in_float64=graph), nothing)
    except InputError as error:
        return Proof(ProofInfo("not proved", str(error)), nothing)
    info = judged(tally, yardstick, graph, exact=exact, samples=tally.samples if count is None else count)
    witnesses = tuple(each.feed for each in trial.runs if each.usual or each.double is not None)
    return Proof(info, yardstick, witnesses, after)


def _other_ports(before: runtime.Session, after: runtime.Session) -> str:
    """What the file takes or gives by another name or in another place: programs count on both. '' if all is alike."""
    for what, old, new in (
        ("inputs", before.get_inputs(), after.get_inputs()),
        ("outputs", before.get_outputs(), after.get_outputs()),
    ):
        names, found = [port.name for port in old], [port.name for port in new]
        if names != found:
            return f"the exported model's {what} are {', '.join(found)}, in this order, not {', '.join(names)}"
    return ""


def _compared(trial: Trial, tally: Tally, yardstick: Yardstick, each: Run, *, exact: bool, counted: bool = True) -> str:
    """Run the exported file on one feed and count it. Returns what refutes it, or ''."""
    try:
        found = outputs.run(trial.after, each.feed)
    except InputError as error:
        return f"the original runs, the exported model does not: {error}"
    tally.samples += float64.rows(each.feed) if counted else 0
    if not exact:
        (tally if counted else Tally()).measure(each.single, found)
        return tally.refutation
    against = tally.judge(each.single, found, yardstick, exact=each.double, usual=each.usual, counted=counted)
    if tally.refutation or not against:
        return tally.refutation
    return "" if trial.explains(each, found, yardstick) else against


def _fixed_batch(model: onnx.ModelProto) -> int | None:
    """The batch size that a model's inputs insist on."""
    initialized = {tensor.name for tensor in model.graph.initializer}
    first = [
        int(value.type.tensor_type.shape.dim[0].dim_value)
        for value in model.graph.input
        if value.name not in initialized and value.type.tensor_type.shape.dim
    ]
    return first[0] if first and first[0] > 0 and len(set(first)) == 1 else None


def _batches(inputs: Feed, batch: int, *, pad: bool) -> Iterator[Feed]:
    count = min(len(array) for array in inputs.values())
    for start in range(0, count, max(batch, 1)):
        rows: Iterable[int] = range(start, min(start + batch, count))
        taken = np.asarray(rows)
        if pad and len(taken) < batch:
            taken = np.concatenate([taken, np.full(batch - len(taken), taken[-1])])
        yield {name: array[taken] for name, array in inputs.items()}
