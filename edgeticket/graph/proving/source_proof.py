"""The proof of one export: a ticket's file runs over its test set, any other over made-up inputs, usual and extreme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from edgeticket import runtime
from edgeticket.artifact import checks
from edgeticket.artifact.golden import inputs_from_feeds, inputs_from_ticket
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.errors import ModelError
from edgeticket.graph.conversion import Converted
from edgeticket.graph.loading import Loading
from edgeticket.graph.proving import proof, reference
from edgeticket.graph.proving.feeds import declared, kinds, probes
from edgeticket.graph.proving.samples import ProofInputs, whole_set
from edgeticket.graph.proving.yardstick import Yardstick
from edgeticket.graph.reading.source import Source, ports
from edgeticket.graph.reading.validity import fault_of, invalid
from edgeticket.ticket.record import Ticket

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class SourceProof:
    """What was found, the golden inputs ([] where nothing is proved), and the yardstick for what they give."""

    info: ProofInfo
    feeds: list[checks.Feed]
    yardstick: Yardstick
    running: runtime.Session | None = None  # the exported model in the runtime, where it was run


def prove_source(source: Source, converted: Converted, loading: Loading, shapes: Shapes | None) -> SourceProof:
    """Prove the simplified graph in float64, and run the exported file beside the masked network.

    Where values are stored rounded, `converted.fp32` is the same network with its values in fp32: it is proved, then
    the file is measured. `shapes` fix free axes of the inputs of an ONNX source.

    Raises:
        InputError: `shapes` names an input that the model does not have, or gives one an impossible dimension.
        ModelError: the runtime cannot load the source, which breaks the standard.
    """
    if source.ticket is not None:
        return _over_test_set(source, source.ticket, converted, loading)
    declared.require_possible(source.masked, shapes or {})
    try:
        before = loading.masked()
        made = probes.probes(source.masked, shapes, before)
    except ModelError as error:  # operators that the runtime does not know: passed through, and said
        if fault := fault_of(source.masked):
            raise ModelError(invalid(fault)) from error
        return SourceProof(ProofInfo("not proved", str(error)), [], Yardstick())
    if not made:
        reason = "no inputs could be made up for its free axes or types; give shapes with --input-shape NAME=1x3x32x32"
        if shapes:
            given = ", ".join(f"{name}={'x'.join(map(str, shape))}" for name, shape in shapes.items())
            reason = f"the model does not run with the shapes given, {given}; give others that suit it"
        reason = kinds.unmade(source.masked.graph) or reason
        return SourceProof(ProofInfo("not proved", reason), [], Yardstick())
    usual, extreme = ([probe.feed for probe in made if probe.usual is wanted] for wanted in (True, False))
    compare = partial(
        proof.proof, source.masked, samples=ProofInputs(usual, extreme), simplified=converted.simplified, before=before
    )
    found = _compared(compare, converted, loading)
    golden = inputs_from_feeds([dict(feed) for feed in found.witnesses])
    return SourceProof(found.info, golden, found.yardstick, found.after)


def _over_test_set(source: Source, ticket: Ticket, converted: Converted, loading: Loading) -> SourceProof:
    name = ports(source.masked)[0][0].name
    golden = inputs_from_ticket(ticket, name, reference.rows_within_budget(source.masked))
    samples = whole_set(source.masked, {name: ticket.test.inputs})
    compare = partial(proof.proof, source.masked, samples=samples, simplified=converted.simplified)
    found = _compared(compare, converted, loading)
    return SourceProof(found.info, golden, found.yardstick, found.after)


def _compared(compare: Callable[..., proof.Proof], converted: Converted, loading: Loading) -> proof.Proof:
    compare_file = partial(compare, exported=converted.model, load=loading.exported)
    if converted.fp32 is None:
        return compare_file(exact=True)
    graph = compare(exported=converted.fp32, exact=True)
    if not graph.info.proved:
        return replace(graph, after=None)
    rounded = compare_file(exact=False)
    return replace(graph, info=proof.of_rounded(graph.info, rounded.info), after=rounded.after)
