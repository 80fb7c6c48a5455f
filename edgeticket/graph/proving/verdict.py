"""From what was counted to a verdict and its sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeticket.artifact import checks
from edgeticket.artifact.manifest import GraphProof, ProofInfo, Verdict
from edgeticket.graph.proving.comparison import Tally
from edgeticket.graph.proving.yardstick import SHARE, ULPS_WITHOUT_REFERENCE, Yardstick
from edgeticket.text import listing


def judged(
    tally: Tally,
    yardstick: Yardstick,
    graph: GraphProof | None,
    quiet: Mapping[str, str],
    uncovered: Sequence[str] = (),
    *,
    exact: bool,
    samples: int,
) -> ProofInfo:
    """The verdict on a file that nothing has refuted so far. `quiet` says of outputs why they testify to nothing.

    `uncovered` are clauses on what else the graph's proof does not cover.
    """
    if not any(tally.compared.values()):
        strange = f"all {tally.nonfinite} of them are NaN or infinite" if tally.nonfinite else "they are empty"
        return ProofInfo("not proved", f"the outputs give nothing to compare: {strange}", samples=samples)
    if tally.never_compared and not tally.discrete and not any(yardstick.ranges.values()):
        return ProofInfo(
            "not proved",
            f"no finite number was seen at {listing([repr(name) for name in tally.never_compared])}, and every other "
            "output was the same number on all inputs: give inputs of a real size with --input-shape",
            samples=samples,
        )
    unseen = tuple(f"output {name!r}: {why}" for name, why in quiet.items())
    if unseen and all(name in quiet for name in tally.compared if not name.endswith(checks.STRUCTURE)):
        tried = f"there was nothing to compare, also at other scales of the inputs ({listing(list(unseen))})"
        reason = (
            f"{tried}: where pruning has left nothing that depends on the inputs, prune less; else give inputs of a "
            "real size with --input-shape"
        )
        return ProofInfo("not proved", reason, in_float64=graph, samples=samples, not_compared=unseen)
    unseen += tuple(uncovered)
    verdict, reason = _verdict(tally, exact=exact)
    if exact and yardstick.missing and verdict == "proved":
        reason += f"; the tolerance is {ULPS_WITHOUT_REFERENCE:.0f} units in the last place, as {yardstick.missing}"
    if tally.nonfinite_differ:
        reason += f"; {tally.nonfinite_differ} of {tally.nonfinite} NaN or infinite outputs became others"
    if tally.discrete_differ:
        reason += f"; {tally.discrete_differ} of {tally.discrete} outputs that are no floats (class numbers) changed"
    seen = sorted(tally.movement.few_values().items()) if exact else []
    few = [f"{count} at {name!r}" for name, count in seen if not name.endswith(checks.STRUCTURE)]
    if few:
        reason += f"; different values seen of what is no float: {listing(few)}"
    if tally.never_compared:
        reason += f"; no finite number was seen at {listing([repr(name) for name in tally.never_compared])}"
    also = [said for said, name in zip(unseen, quiet, strict=False) if name not in tally.never_compared]
    also += uncovered
    if also:
        reason += f"; not proved of what could not be compared ({listing(also)})"
    worst = tally.worst if exact else None
    return ProofInfo(
        verdict,
        reason,
        max_abs_delta=tally.max_delta,
        top1_agreement=tally.agreeing / tally.ranked if tally.ranked else None,
        tolerance=worst.tolerance if worst else (0.0 if exact else None),
        delta=worst.delta if worst else (0.0 if exact else None),
        float64_error=worst.own_error if worst and not yardstick.missing else None,
        output=worst.output if worst else None,
        output_range=worst.range if worst else None,
        in_float64=graph,
        samples=samples,
        nonfinite=tally.nonfinite,
        nonfinite_differ=tally.nonfinite_differ,
        discrete=tally.discrete,
        discrete_differ=tally.discrete_differ,
        not_compared=unseen,
    )


def with_unchecked(found: ProofInfo, weights: Sequence[str]) -> ProofInfo:
    """The proof, and in it the weights that are too large to be rebuilt outside the runtime."""
    said = tuple(f"weight {name!r}: too large to be rebuilt and held to the plan" for name in weights)
    return replace(found, not_compared=(*found.not_compared, *said))


def _verdict(tally: Tally, *, exact: bool) -> tuple[Verdict, str]:
    if not exact:
        return "measured", "no tolerance applies to that"
    if tally.mute:
        name = tally.mute[0]
        return "not proved", (
            f"on every input the original's own float32 error at output {name!r} is more than {100 * SHARE:g} % of "
            f"that output's range, so that float32 cannot tell whether it stayed the same; give inputs of a real size "
            "with --input-shape"
        )
    if tally.coarse is not None:
        found = tally.coarse
        return "not proved", (
            f"output {found.output!r} moved by {found.delta:.3g}: rounding explains it, and yet it is more than "
            f"{100 * SHARE:g} % of that output's range"
        )
    allowed = tally.worst.tolerance if tally.worst else 0.0
    return "proved", f"no output moved by more than rounding explains ({allowed:.3g})"
