"""The report as files: JSON for machines, Markdown for a pull request, one HTML page for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import jinja2
from markupsafe import Markup

from edgeticket import text
from edgeticket.measure.measurement import Measurement
from edgeticket.report import plots, view
from edgeticket.report.content import RUNS, Content, elements

FORMAT, VERSION = "edgeticket-report", 1  # report.json; version 1, 2026-11, is the first


def json_document(content: Content) -> str:
    """report.json: the manifest and everything measured, with every sample."""
    body = asdict(content)
    body["measurements"] = [_measurement(m) for m in content.measurements]
    body["zeros"] = view.zeros_sentence(content)
    return json.dumps({"format": FORMAT, "version": VERSION, **body}, indent=1, allow_nan=False) + "\n"


def _measurement(found: Measurement) -> dict[str, Any]:
    samples = [float(f"{sample:.5g}") for sample in found.samples]
    named = {f"p{p}": found.percentile(p) for p in (50, 90, 99)}
    return {**asdict(found), "count": found.count, "median": found.median, **named, "samples": samples}


def markdown(content: Content) -> str:
    """report.md."""
    return _environment().get_template("report.md.j2").render(_variables(content))


def html(content: Content) -> str:
    """report.html: one file, no script, nothing from the network, light and dark."""
    drawn = {name: Markup(svg) for name, svg in _plots(content).items()}  # noqa: S704  plots.py escapes its texts
    return _environment().get_template("report.html.j2").render(_variables(content), plots=drawn)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeticket.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),  # Markdown has the filter below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(value: str) -> str:
    """Text inside a Markdown table or sentence: no character of it starts markup."""
    escaped = "".join("\\" + c if c in "\\`*_[]<>|#" else c for c in value)
    return escaped.replace("\n", " ")


def _variables(content: Content) -> dict[str, Any]:
    return {"name": content.manifest.name, "cards": view.cards(content), "sections": view.sections(content)}


def _plots(content: Content) -> dict[str, str]:
    drawn_sizes = {key: value for key, value in content.sizes.items() if not key.endswith(".gz")}
    sizes = [(view.size_name(content, key), float(value), text.size(value)) for key, value in drawn_sizes.items()]
    drawn = {"sizes": plots.bars(sizes, strong=list(drawn_sizes).index("exported"), title="Bytes of the whole file")}
    layers = [
        (
            layer["name"],
            _density(layer["nonzeros_before"], layer["shape_before"]),
            _density(layer["nonzeros_after"], layer["shape_after"]),
        )
        for layer in content.manifest.layers
    ]
    if layers:
        title = "Weights that are not zero, in % of the layer"
        drawn["layers"] = plots.pairs(layers, title=title, names=("before", "after"))
    ranges = []
    for threads in content.thread_counts:
        for model, provider in RUNS:
            found = content.measured("latency", model, threads, provider)
            if found:
                name = "sparse engine" if provider == "sparse" else view.model_name(content, model)
                label = f"{name}, {text.plural(threads, 'thread')}"
                ranges.append((label, found.median, found.percentile(90), found.percentile(99), model == "exported"))
    if ranges:
        drawn["latency"] = plots.ranges(ranges, title="ms per inference: p50 (dot), p90 (line), p99 (tick)")
    return drawn


def _density(nonzeros: int, shape: Sequence[int]) -> float:
    """In %; nothing is dense in a weight that was removed, or that has no elements."""
    total = elements(shape)
    return 100 * nonzeros / total if total else 0.0
