"""The proof of one export: a ticket's file runs over its test set, any other over random and extreme inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgeticket.artifact import checks
from edgeticket.artifact.golden import inputs_from_feeds, inputs_from_ticket
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.errors import ModelError
from edgeticket.graph.proving import kinds, probes, proof, reference
from edgeticket.graph.reading.source import Source, ports
from edgeticket.graph.reading.validity import fault_of
from edgeticket.ticket.record import Ticket

Shapes = Mapping[str, tuple[int, ...]]


def prove_source(
    source: Source, exported: bytes, fp32: bytes | None, shapes: Shapes | None
) -> tuple[list[checks.Feed], ProofInfo]:
    """Run the exported file beside the masked network. Returns the golden inputs too, [] where nothing is proved.

    Where values are stored rounded, `fp32` is the same network with its values in fp32: it is proved, then the file is
    measured. `shapes` fix free axes of the inputs of an ONNX source.

    Raises:
        InputError: `shapes` names an input that the model does not have, or gives one an impossible dimension.
        ModelError: the runtime cannot load the source, which breaks the standard.
    """
    if source.ticket is not None:
        return _over_test_set(source, source.ticket, exported, fp32)
    try:
        made = probes.probes(source.masked, shapes)
    except ModelError as error:  # operators that the runtime does not know: passed through, and said
        if fault := fault_of(source.masked):
            raise ModelError(f"{source.name}: no valid ONNX model: {fault}. Export it again.") from error
        return [], ProofInfo("not proved", str(error))
    if not made:
        reason = "no inputs could be made up for its free axes or types; give shapes with --input-shape NAME=1x3x32x32"
        return [], ProofInfo("not proved", kinds.unmade(source.masked.graph) or reason)
    feeds = [dict(probe.feed) for probe in made]
    # Extreme inputs make no yardstick: where float32 flushes to zero, all of an output is its error.
    usual = [probe.feed for probe in made if probe.name.startswith("normal")]
    compare = partial(proof.prove_feeds, source.masked, feeds=feeds, samples=usual, threads=checks.cores())
    return inputs_from_feeds(feeds), _compared(compare, exported, fp32)


def _over_test_set(
    source: Source, ticket: Ticket, exported: bytes, fp32: bytes | None
) -> tuple[list[checks.Feed], ProofInfo]:
    name = ports(source.masked)[0][0].name
    feeds = inputs_from_ticket(ticket, name, reference.rows_within_budget(source.masked))
    whole = {name: ticket.test.inputs}
    compare = partial(proof.prove, source.masked, inputs=whole, threads=checks.cores())
    return feeds, _compared(compare, exported, fp32)


def _compared(compare: Callable[..., ProofInfo], exported: bytes, fp32: bytes | None) -> ProofInfo:
    if fp32 is None:
        return compare(exported=exported, exact=True)
    graph = compare(exported=fp32, exact=True)
    return proof.of_rounded(graph, compare(exported=exported, exact=False)) if graph.proved else graph
