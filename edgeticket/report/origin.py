"""The sections that let a reader trust the rest: the proof, and where everything came from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgeticket import text
from edgeticket.report.content import Content
from edgeticket.report.parts import Fold, ReportTable, Section
from edgeticket.report.wording import of_a_ticket


def proof(content: Content) -> Section:
    """What was compared with what, and every figure of it; or why nothing was."""
    manifest, found = content.manifest, content.manifest.proof
    if manifest.unproved:
        return Section("Proof", (f"Not proved: {found.reason}.",))
    if of_a_ticket(content):
        against = "over the test set, beside the masked network before any graph change"
    else:
        against = "on random and extreme inputs, beside the source as given"
    ran = f"The exported file ran on ONNX Runtime {against}"
    figures = {
        "largest |Δ| of an output": _figure(found.max_abs_delta),
        "tolerance, where an output came nearest to it": _figure(found.tolerance),
        "|Δ| there": _figure(found.delta),
        "error of float32 itself, against float64": _figure(found.float64_error),
        "top-1 agreement": None if found.top1_agreement is None else text.percent(found.top1_agreement),
        "inputs": f"{found.samples:,}",
    }
    rows = tuple((name, value) for name, value in figures.items() if value is not None)
    derived = (
        "The tolerance is 8 times the error that float32 on this runtime shows against a float64 reference of the same "
        "network, and 16 units in the last place of the largest output."
    )
    notes = (derived,) if found.float64_error is not None else ()
    return Section("Proof", (f"{ran}: {found.reason}.",), ReportTable(("Outputs", "value"), rows), notes=notes)


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
