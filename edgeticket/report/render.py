"""The report as files: JSON for machines, Markdown for a pull request, one HTML page for people."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

import jinja2

from edgeticket.measure.measurement import Measurement
from edgeticket.report import view
from edgeticket.report.content import Content
from edgeticket.report.parts import rows_of
from edgeticket.report.plots import Plot

FORMAT, VERSION = "edgeticket-report", 1  # report.json; version 1, 2026-11, is the first
WIDTHS = {"wide": 5, "medium": 3, "narrow": 2}  # of a page, with the most tiles in a row; report.css.j2 knows them too


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
    """report.html: one file, no script, nothing from the network, light and dark, for a screen, a phone and paper."""
    variables = _variables(content)
    spans = {width: rows_of(len(variables["cards"]), most) for width, most in WIDTHS.items()}
    styles = ["; ".join(f"--{width}: {spans[width][place]}" for width in WIDTHS) for place in range(len(spans["wide"]))]
    return _environment().get_template("report.html.j2").render(variables, tile_styles=styles)


def figure(plot: Plot) -> str:
    """One plot as HTML."""
    module: Any = _environment().get_template("plot.html.j2").module
    return str(module.figure(plot))


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
    environment.filters["unbroken"] = _unbroken
    return environment


def _cell(value: str) -> str:
    """Text inside a Markdown table or sentence: no character of it starts markup."""
    escaped = "".join("\\" + c if c in "\\`*_[]<>|#" else c for c in value)
    return escaped.replace("\n", " ")


def _unbroken(value: str) -> str:
    """Text in which no line ends between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:[kMG]?B|[µm]?s|times)\b|%)", "\N{NO-BREAK SPACE}", value)


def _variables(content: Content) -> dict[str, Any]:
    return {
        "name": content.manifest.name,
        "subtitle": view.subtitle(content),
        "cards": view.cards(content),
        "sections": view.sections(content),
    }
