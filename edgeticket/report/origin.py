"""The sections that let a reader trust the rest: the proof, and where everything came from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgeticket import text
from edgeticket.artifact.manifest import GraphProof
from edgeticket.report.content import Content
from edgeticket.report.parts import Fold, ReportTable, Section
from edgeticket.report.wording import of_a_ticket


def proof(content: Content) -> Section:
    """What was compared with what, and every figure of it; or why nothing was."""
    manifest, found = content.manifest, content.manifest.proof
    graph = found.in_float64 or (found.graph.in_float64 if found.graph else None)
    said = (f"{_graph(graph)}",) if graph is not None else ()
    if manifest.unproved:
        return Section("Proof", (f"Not proved: {found.reason}.", *said))
    if of_a_ticket(content):
        against = "over the test set, beside the masked network before any graph change"
    else:
        against = "on made-up inputs, usual and extreme, beside the source as given"
    ran = f"The exported file ran on ONNX Runtime {against}"
    figures = {
        "graph in float64: largest |Δ| of an output": _figure(graph.max_abs_delta if graph else None),
        "allowed there": _figure(graph.tolerance if graph else None),
        "inputs in float64": f"{graph.samples:,}" if graph and graph.samples else None,
        "file in float32: largest |Δ| of an output": _figure(found.max_abs_delta),
        "output nearest to its tolerance": found.output,
        "its range": _figure(found.output_range),
        "its tolerance": _figure(found.tolerance),
        "its |Δ| to float64": _figure(found.delta),
        "error of the masked network's own float32 there, against float64": _figure(found.float64_error),
        "top-1 agreement": None if found.top1_agreement is None else text.percent(found.top1_agreement),
        "inputs": f"{found.samples:,}",
    }
    rows = tuple((name, value) for name, value in figures.items() if value is not None)
    derived = (
        "A file's tolerance is 8 times the error that float32 shows against float64 for the masked network itself, and "
        "16 units in the last place of the largest output, but never more than 1 % of the output's range."
    )
    notes = (derived,) if found.float64_error is not None else ()
    return Section("Proof", (*said, f"{ran}: {found.reason}."), ReportTable(("Outputs", "value"), rows), notes=notes)


def _graph(found: GraphProof) -> str:
    """The proof of the graph, in one or two sentences."""
    if found.verdict != "proved":
        return f"The simplified network was not compared with the masked one in float64: {found.reason}."
    sentence = (
        "The simplified network and the masked one were compared in float64, where removing and folding leave nothing "
        f"but float64's own rounding: {found.reason}."
    )
    if found.in_float32:
        sentence += (
            f" Nothing here runs {text.listing(list(found.in_float32))} in float64: what depends on that was held to "
            "float32's tolerance."
        )
    return sentence


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def provenance(content: Content) -> Section:
    """Remarks of the export, and behind a fold every recorded fact about source, versions and host."""
    manifest = content.manifest
    versions = {f"{package} version": version for package, version in manifest.versions.items()}
    facts: dict[str, Any] = {**asdict(manifest.source), **manifest.provenance, **versions}
    if content.host:
        facts |= {f"host {key}": value for key, value in content.host.items()}
    facts["exported"] = content.created
    rows = tuple((key.replace("_", " "), _fact(value)) for key, value in facts.items() if value is not None)
    fold = Fold("Source, versions and host", ReportTable(("", ""), rows, prose=(1,)))
    return Section("Provenance", content.remarks, fold=fold)


def _fact(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
