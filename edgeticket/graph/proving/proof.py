"""The proof of outputs: the exported file and its source both run on ONNX Runtime, and their outputs are compared.

This is the tolerance where values are stored as fp32. Removal and folding are exact in real arithmetic, so the two
models differ by rounding alone: each lies within its own rounding error of the real value. How large that error is for
this network is measured, not assumed: e = max |y32 - y64| over samples, the original in float32 on the runtime against
the same model in float64, and r = e / s with s the largest |y64| of those samples. For a batch whose largest |output|
is s
    tolerance = 8 r s + 16 * 2**-23 s.
8 = 2 x 4: two evaluations that round in their own order, and the largest error over all inputs exceeds the largest
over the samples (for errors with normal tails by 1.9 from 64 outputs to a million; 4 leaves room for heavier ones).
The second term, 16 units in the last place of s, covers samples whose outputs float32 happens to hit exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import outputs
from edgeticket.artifact.manifest import ProofInfo, Verdict
from edgeticket.errors import InputError, ModelError
from edgeticket.graph.proving import reference as float64
from edgeticket.graph.proving.comparison import ULPS_WITHOUT_REFERENCE, Tally, Yardstick, is_float, same
from edgeticket.graph.serialize import serialize
from edgeticket.text import listing

Array = NDArray[np.generic]
Feed = Mapping[str, Array]


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
    """Compare over a whole set: `inputs` maps each input's name to [n, ...]. `exact` is False for fp16 and int8.

    A model of fixed batch size gets batches of that size, the last one filled up with its last row.
    """
    fixed = _fixed_batch(original)
    feeds = list(_batches(inputs, fixed or batch, pad=fixed is not None))
    count = min(len(array) for array in inputs.values())
    rows = np.unique(np.linspace(0, max(count - 1, 0), float64.rows_within_budget(original)).astype(np.int64))
    spread = {name: array[rows] for name, array in inputs.items()} if count else {}
    samples = list(_batches(spread, fixed or len(rows), pad=True)) if count and len(rows) else []
    return prove_feeds(original, exported, feeds, samples=samples, exact=exact, threads=threads, count=count)


def prove_feeds(
    original: onnx.ModelProto,
    exported: bytes,
    feeds: Sequence[Feed],
    *,
    samples: Sequence[Feed] | None = None,
    exact: bool = True,
    threads: int = 1,
    count: int | None = None,
) -> ProofInfo:
    """Compare over single feeds, which need no common batch size.

    `samples` (without them, the feeds) go through float64 as well, as many as the reference's budget allows.
    `count` is the number of samples to report; without it, the rows of all feeds.
    """
    samples = float64.within_budget(original, feeds if samples is None else samples) if exact else []
    try:
        before = runtime.cpu_session(serialize(original), threads=threads)
    except ModelError as error:
        return ProofInfo("not proved", str(error))
    if not feeds:
        return ProofInfo("not proved", "there are no inputs to compare on")
    try:
        after = runtime.cpu_session(exported, threads=threads)
    except ModelError as error:
        return ProofInfo("refuted", f"the original runs, the exported model does not: {error}")
    tally = Tally()
    try:
        yardstick = _yardstick(original, before, samples) if exact else Yardstick({}, {})
        first = outputs.run(before, feeds[0])
        if not same(first, outputs.run(before, feeds[0])):
            return ProofInfo("not proved", "the original gives other outputs each time it runs (random operators)")
        for feed in feeds:
            expected = outputs.run(before, feed)
            try:
                found = outputs.run(after, feed, list(expected))
            except InputError as error:
                return ProofInfo("refuted", f"the original runs, the exported model does not: {error}")
            tally.samples += float64.rows(feed)
            tally.add_batch(expected, found, yardstick, exact=exact)
    except InputError as error:
        return ProofInfo("not proved", str(error))
    return _judge(tally, yardstick, exact, count)


def _judge(tally: Tally, yardstick: Yardstick, exact: bool, count: int | None) -> ProofInfo:
    delta, tolerance, error, name = tally.worst
    verdict: Verdict
    if tally.refutation:
        verdict, reason = "refuted", tally.refutation
    elif not any(tally.compared.values()):
        strange = f"all {tally.nonfinite} of them are NaN or infinite" if tally.nonfinite else "they are empty"
        return ProofInfo(
            "not proved", f"the outputs give nothing to compare: {strange}", samples=_counted(tally, count)
        )
    elif not exact:
        verdict, reason = "measured", "no tolerance applies to that"
    elif tally.worst_share > 1:
        verdict = "refuted"
        reason = f"output {name!r} moved by {delta:.3g}, more than rounding explains ({tolerance:.3g})"
    else:
        verdict, reason = "proved", f"no output moved by more than rounding explains ({tolerance:.3g})"
    if exact and yardstick.missing:
        reason += f"; the tolerance is {ULPS_WITHOUT_REFERENCE:.0f} units in the last place, as {yardstick.missing}"
    if tally.nonfinite_differ:
        reason += f"; {tally.nonfinite_differ} of {tally.nonfinite} NaN or infinite outputs became others"
    if tally.discrete_differ:
        reason += f"; {tally.discrete_differ} of {tally.discrete} outputs that are no floats (class numbers) changed"
    if tally.never_compared:
        reason += f"; no finite number was seen at {listing([repr(name) for name in tally.never_compared])}"
    return ProofInfo(
        verdict,
        reason,
        max_abs_delta=tally.max_delta,
        top1_agreement=tally.agreeing / tally.ranked if tally.ranked else None,
        tolerance=tolerance if exact else None,
        delta=delta if exact else None,
        float64_error=error if exact and not yardstick.missing else None,
        samples=_counted(tally, count),
        nonfinite=tally.nonfinite,
        nonfinite_differ=tally.nonfinite_differ,
        discrete=tally.discrete,
        discrete_differ=tally.discrete_differ,
    )


def _counted(tally: Tally, count: int | None) -> int:
    return tally.samples if count is None else count


def _yardstick(original: onnx.ModelProto, before: runtime.Session, samples: Sequence[Feed]) -> Yardstick:
    """How far float32 lies from float64 on the samples."""
    if not samples:
        return Yardstick({}, {}, "the model is too large for a float64 reference")
    found = float64.evaluate(original, samples)
    if found.outputs is None:
        return Yardstick({}, {}, found.reason)
    relative: dict[str, float] = {}
    absolute: dict[str, float] = {}
    for feed, exact in zip(samples, found.outputs, strict=True):
        for name, array in outputs.run(before, feed).items():
            wide = exact[name]
            if not is_float(array) or array.shape != wide.shape:
                continue
            finite = np.isfinite(array) & np.isfinite(wide)
            if not finite.any():
                continue
            error = float(np.max(np.abs(array[finite].astype(np.float64) - wide[finite].astype(np.float64))))
            scale = float(np.max(np.abs(wide[finite])))
            absolute[name] = max(absolute.get(name, 0.0), error)
            if scale > np.finfo(np.float32).tiny:
                relative[name] = max(relative.get(name, 0.0), error / scale)
    return Yardstick(relative, absolute)


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
