"""The headline of a report: bytes, accuracy, latency, the sparse engine and whether the outputs stayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeticket import text
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.artifact.parity import CLAIMS_NOTHING
from edgeticket.measure.measurement import speed
from edgeticket.report.content import Content
from edgeticket.report.parts import Card
from edgeticket.report.wording import engine_speed, faster, model_name, of_a_ticket, relative, score


def cards(content: Content) -> list[Card]:
    """Two to five cards; a quantity that was not measured has none."""
    manifest = content.manifest
    size, other = manifest.size_bytes, manifest.dense_size_bytes
    found = [Card("Model file", relative(size, other), _bytes(content))]
    compared = {each.network: each.test for each in content.scores if each.compared}
    if manifest.metric and "exported file" in compared:
        unit = manifest.metric.unit
        others = [f"{name} {score(compared[name], unit)}" for name in ("dense", "ticket") if name in compared]
        found.append(Card(f"Test {manifest.metric.name}", score(compared["exported file"], unit), ", ".join(others)))
    dense_ms, here_ms = content.measured("latency", "dense"), content.measured("latency", "exported")
    if dense_ms and here_ms:
        beside = faster(speed(here_ms, dense_ms))
        other_ms = f"{model_name(content, 'dense')} {text.latency(dense_ms.median)}"
        detail = f"{other_ms}: {beside}; median of {here_ms.count:,} on this host"
        found.append(Card("Latency, one thread", text.latency(here_ms.median), detail))
    if content.engine:
        found.append(_engine(content, content.engine))
    return [*found, _outputs(manifest.proof, manifest.weights)]


def _bytes(content: Content) -> str:
    """Plain against plain, gzip against gzip, and what gzip alone makes of the pruned network."""
    sizes, manifest = content.sizes, content.manifest
    beside = "dense" if of_a_ticket(content) else "as given"
    if "given" in sizes:
        beside = f"with its graph cleaned ({text.size(sizes['given'])} as given)"
    said = f"{text.size(manifest.dense_size_bytes)} {beside} → {text.size(manifest.size_bytes)}"
    if "original.gz" in sizes and "exported.gz" in sizes:
        said += f"; in gzip {text.size(sizes['original.gz'])} → {text.size(sizes['exported.gz'])}"
    if sizes.get("masked.gz", sizes.get("original.gz")) != sizes.get("original.gz"):
        said += f", where the pruned network stored densely takes {text.size(sizes['masked.gz'])}"
    return said


def _engine(content: Content, engine: Mapping[str, Any]) -> Card:
    """The card about the sparse engine: its latency beside the CPU provider's, or why there is none."""
    if engine["state"] != "ran":
        detail = "the CPU provider runs every node" if engine["state"] == CLAIMS_NOTHING else "the reason stands below"
        return Card("Sparse engine", engine["state"], detail)
    cpu_ms, own_ms = (content.measured("latency", "exported", provider=name) for name in ("cpu", "sparse"))
    claimed = f"{engine['claimed']} of {text.plural(engine['nodes'], 'node')}, {_distance(engine)}"
    if not (cpu_ms and own_ms):
        return Card("Sparse engine", "not timed", claimed)
    detail = f"{engine_speed(content, own_ms, cpu_ms)}; {claimed}"
    return Card("Sparse engine", text.latency(own_ms.median), detail)


def _distance(engine: Mapping[str, Any]) -> str:
    """How far its golden outputs lie from the CPU provider's."""
    if not engine["within"]:
        return "an output is BEYOND its tolerance"
    spread = "" if engine.get("output_range") is None else f" in a range of {engine['output_range']:.2g}"
    return f"max |Δ| {engine['max_abs_delta']:.2g} to it{spread}, {engine['tolerance']:.2g} allowed"


def _outputs(proof: ProofInfo, weights: str) -> Card:
    """The card about the outputs: the same, moved on purpose, or not compared."""
    if proof.verdict == "not proved":
        return Card("Same outputs", "not proved", "see the proof below")
    inputs = f"over {text.plural(proof.samples, 'input')}"
    if proof.verdict == "measured":
        agreement = proof.top1_agreement
        detail = f"{weights} at rest; " + (
            f"top-1 agreement {text.percent(agreement)} " if agreement is not None else ""
        )
        return Card("Outputs moved by", f"{proof.max_abs_delta:.2g}", detail + inputs)
    graph = proof.in_float64
    exact = ""
    if graph is not None and graph.max_abs_delta is not None:
        single = f", but {text.listing(list(graph.in_float32))} in float32" if graph.in_float32 else ""
        exact = f" ({graph.max_abs_delta:.1g} in float64{single})"
    return Card("Same outputs", proof.verdict, f"max |Δ| {proof.max_abs_delta:.2g}{exact} {inputs}")
