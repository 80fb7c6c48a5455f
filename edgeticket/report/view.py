"""The report as people read it: cards and sections of finished text, the same for Markdown and HTML."""

from __future__ import annotations

from edgeticket import text
from edgeticket.artifact.manifest import TicketSource
from edgeticket.report import network, origin, outcome, timing
from edgeticket.report.content import Content
from edgeticket.report.parts import Section
from edgeticket.report.reasons import reasons
from edgeticket.report.tiles import cards
from edgeticket.report.wording import zeros_sentence

__all__ = ["cards", "reasons", "sections", "subtitle", "zeros_sentence"]

ORDER = (
    outcome.sizes, outcome.accuracy, timing.latency, timing.loading, network.layers, network.tensors, origin.proof,
    network.passes, origin.provenance,
)  # fmt: skip


def sections(content: Content) -> list[Section]:
    """The body of the report, in reading order; a section with nothing to say is left out."""
    return [section for section in (make(content) for make in ORDER) if section is not None]


def subtitle(content: Content) -> str:
    """One line under the name: what was exported, by what, and when."""
    source, versions = content.manifest.source, content.manifest.versions
    if isinstance(source, TicketSource):
        what = f"The ticket of round {source.round} with {text.percent(source.density)} of the weights"
    else:
        what = source.file
    by = " ".join(["edgeticket", *([versions["edgeticket"]] if "edgeticket" in versions else [])])
    where = ", measured on ONNX Runtime" if content.measurements else ""
    return f"{what}, exported by {by} on {content.created[:10]}{where}"
