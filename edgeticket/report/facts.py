"""What an export found, as its report takes it: metrics, remarks, and what the times stand beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from edgeticket import text
from edgeticket.artifact.labelled_slice import Slice
from edgeticket.artifact.manifest import OnnxSource, Port, TicketSource
from edgeticket.artifact.parity import CLAIMS_NOTHING, Parity
from edgeticket.graph.baseline import Baseline
from edgeticket.measure.sides import Sides
from edgeticket.report.content import Score
from edgeticket.ticket.kinds import At
from edgeticket.ticket.record import Ticket


def baseline(ticket: Ticket | None, dense: Baseline, bench: Sides | None) -> Iterator[str]:
    """What the times of the exported file stand beside, and what was tried for it."""
    if bench is not None and bench.forms:
        name = "dense network" if ticket else "source"
        tried = [f"{words}: {text.latency(ms)}" for words, ms in bench.forms.items() if words != bench.best]
        also = f" It is the fastest of its forms on one thread ({'; '.join(tried)})." if tried else ""
        yield f"The {name} stands here at its best: {bench.best}.{also}"
    if dense.caveat:
        yield dense.caveat


def engine(source: OnnxSource | TicketSource, inputs: Sequence[Port], found: Parity | None) -> dict[str, Any] | None:
    """What the sparse engine did; where it claims nothing for sizes that are open, how they become known."""
    if found is None:
        return None
    way_out = ""
    open_axes = any(None in port.shape for port in inputs)
    if found.state == CLAIMS_NOTHING and found.sizes_unknown and open_axes and source.kind == "onnx":
        way_out = "; export with --input-shape and --fix-shape, and the sizes that are open are known"
    return {**asdict(found), "sentence": found.sentence + way_out}


def scores(ticket: Ticket | None, cut: Slice | None) -> tuple[Score, ...]:
    """Dense and ticket as `find` measured them at both iterations, and the exported file over the test set."""
    if ticket is None or cut is None:
        return ()
    record, chosen = ticket.record, ticket.round
    found = []
    for at in At:
        for network, numbers in (("dense", record.dense()), ("ticket", chosen)):
            point = numbers.at(at)
            metrics = (point.validation_metric, point.test_metric)
            found.append(Score(network, at.label, at == record.choice.at, *metrics, ticket.test.of))
    found.sort(key=lambda score: not score.compared)
    whole = cut.metric
    if whole.builtin and whole.whole_value is not None and whole.whole_samples is not None:
        found.append(Score("exported file", "ONNX Runtime", True, None, whole.whole_value, whole.whole_samples))
    return tuple(found)


def remarks(ticket: Ticket | None, cut: Slice | None, unchecked: Sequence[str]) -> Iterator[str]:
    """What a reader has to know of the test set, the labelled slice, and weights that were not held to their plan."""
    test = ticket.test if ticket else None
    if test is not None and len(test.inputs) != test.of:
        yield f"The ticket holds {len(test.inputs):,} of {test.of:,} test samples (--keep-test); export used these."
    if cut is not None and cut.remark:
        yield cut.remark
    if unchecked:
        yield (
            f"Too large to be rebuilt outside the runtime: {text.listing(list(unchecked))}. That the file holds the "
            "planned shapes and nonzeros there was not checked; the proof ran them."
        )
