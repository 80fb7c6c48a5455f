"""The proof of outputs, in two parts: the graph in float64 (graph_proof.py), and the file in float32.

The file runs on ONNX Runtime beside the original. It may err against float64 by no more than a small factor of what the
original itself errs by, on the same inputs and for each output (yardstick.py). Over a whole test set, of which float64
runs a sample, the file is held to the original in float32, by the errors that the sample showed.

A feed says something about an output only where the original's own error is small beside the output's range. Extreme
feeds must not crash the file or make its outputs NaN, and are compared where they can testify. An output that never
moved is not proved (stillness.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import onnx

from edgeticket import runtime
from edgeticket.artifact import checks, outputs
from edgeticket.artifact.manifest import GraphProof, ProofInfo, Verdict
from edgeticket.errors import InputError, ModelError
from edgeticket.graph.proving.comparison import Run, Tally
from edgeticket.graph.proving.finding import GraphFinding
from edgeticket.graph.proving.reference import rows
from edgeticket.graph.proving.samples import Feed, ProofInputs
from edgeticket.graph.proving.static.unchanged import HeldNumbers, hold_to_original
from edgeticket.graph.proving.stillness import Movement, reading
from edgeticket.graph.proving.trial import Trial
from edgeticket.graph.proving.verdict import judged
from edgeticket.graph.proving.yardstick import Yardstick
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import Simplified


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


def proof(
    original: onnx.ModelProto,
    exported: bytes,
    samples: ProofInputs,
    *,
    simplified: Simplified | None = None,
    exact: bool = True,
    before: runtime.Session | None = None,
    load: Callable[[], runtime.Session] | None = None,
) -> Proof:
    """Compare an exported file with the original, feed by feed, on one thread or as many as `before` has.

    Args:
        simplified: what the passes made of the original; its graph is proved in float64.
        exact: False for a file whose values rest rounded: its outputs move on purpose, and are measured.
        before: the original in the runtime, where it has been loaded.
        load: gives the exported file in the runtime, or raises ModelError, where that was begun.
    """
    try:
        before = before or runtime.cpu_session(serialize(original), threads=checks.cores())
    except ModelError as error:
        return _nothing("not proved", str(error))
    if not samples.usual:
        return _nothing("not proved", "there are no inputs to compare on")
    try:
        after = runtime.cpu_session(exported, threads=checks.cores()) if load is None else load()
    except ModelError as error:
        return _nothing("refuted", f"the original runs, the exported model does not: {error}")
    against = _other_ports(before, after)
    if against:
        return _nothing("refuted", against)
    try:
        return _tried(Trial(original, before, after), samples, simplified, exact=exact)
    except InputError as error:
        return _nothing("not proved", str(error))


def _nothing(verdict: Verdict, reason: str, graph: GraphProof | None = None) -> Proof:
    """A proof without numbers."""
    return Proof(ProofInfo(verdict, reason, in_float64=graph), Yardstick())


def _tried(trial: Trial, samples: ProofInputs, simplified: Simplified | None, *, exact: bool) -> Proof:
    """Run both models on all samples.

    Raises:
        InputError: the original does not take a usual feed, or one of the whole set.
    """
    held = hold_to_original(trial.original, simplified) if simplified is not None and exact else HeldNumbers()
    if held.against:
        return _nothing("refuted", held.against, GraphProof("refuted", held.against))
    reads = reading(trial.original if simplified is None else simplified.model)
    trial.run(samples.usual, usual=True)
    if exact and samples.count is None:
        trial.wake(reads)
    trial.run(samples.extreme, usual=False)
    if trial.is_random():
        return _nothing("not proved", "the original gives other outputs each time it runs (random operators)")
    yardstick = trial.yardstick(exact=exact)
    tally = Tally(movement=Movement(yardstick.unit, rows=samples.count is not None), in_single=trial.coarse)
    found = trial.graph(simplified, yardstick) if simplified is not None and exact else GraphFinding(None)
    graph = found.proof
    if graph is not None and graph.verdict == "refuted":
        return _nothing("refuted", graph.reason, graph)
    for each, counted in _all_runs(trial, samples):
        against = _compared(trial, tally, yardstick, each, exact=exact, counted=counted)
        if against:
            return _nothing("refuted", against, graph)
    quiet = tally.movement.all_still(reads - found.chosen) if exact else {}
    count = tally.samples if samples.count is None else samples.count
    info = judged(tally, yardstick, graph, quiet, (*found.unseen, *held.unseen), exact=exact, samples=count)
    witnesses = tuple(each.feed for each in trial.runs if each.usual or each.double is not None)
    return Proof(info, yardstick, witnesses, trial.after)


def _all_runs(trial: Trial, samples: ProofInputs) -> Iterator[tuple[Run, bool]]:
    """What was run, then the whole set batch by batch; and whether its samples count."""
    for each in trial.runs:
        yield each, not samples.again
    for feed in samples.whole:
        yield trial.single(feed), True


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


def _compared(trial: Trial, tally: Tally, yardstick: Yardstick, each: Run, *, exact: bool, counted: bool) -> str:
    """Run the exported file on one feed and count it. Returns what refutes it, or ''."""
    try:
        found = outputs.run(trial.after, each.feed)
    except InputError as error:
        return f"the original runs, the exported model does not: {error}"
    tally.samples += rows(each.feed) if counted else 0
    if not exact:
        (tally if counted else Tally()).measure(each.single, found)
        return tally.refutation
    against = tally.judge(each, found, yardstick, counted=counted)
    if tally.refutation or not against:
        return tally.refutation
    return "" if trial.explains(each, found, yardstick) else against
