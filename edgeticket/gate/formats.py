"""The verdict in the forms that others read: JUnit XML, GitHub, bencher, github-action-benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any
from xml.etree import ElementTree

from edgeticket.gate.report import Report
from edgeticket.measure.duel import CANDIDATE
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION

_ANNOTATIONS = {REGRESSION: "error", INCONCLUSIVE: "warning"}
_COUNTS = ("size", "nonzeros", "macs", "nodes", "instructions")
_MARKS = {PASS: "✅", REGRESSION: "❌", INCONCLUSIVE: "⚠️"}


def junit(report: Report) -> str:
    """One test case for each gate that was judged: a regression is a failure, an open one is skipped."""
    judged = [gate for gate in report.gates if gate.verdict in (PASS, REGRESSION, INCONCLUSIVE)]
    suite = ElementTree.Element(
        "testsuite",
        name="edgeticket",
        tests=str(len(judged)),
        failures=str(sum(gate.verdict == REGRESSION for gate in judged)),
        skipped=str(sum(gate.verdict == INCONCLUSIVE for gate in judged)),
        errors="0",
        time=f"{report.seconds:.2f}",
        timestamp=report.created.rstrip("Z"),
    )
    for gate in judged:
        case = ElementTree.SubElement(suite, "testcase", classname=f"edgeticket.{_xml(report.name)}", name=gate.name)
        if gate.verdict == REGRESSION:
            ElementTree.SubElement(case, "failure", message=_xml(gate.sentence)).text = _xml(gate.sentence)
        elif gate.verdict == INCONCLUSIVE:
            ElementTree.SubElement(case, "skipped", message=_xml(gate.sentence))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """XML 1.0 has no control characters, not even escaped ones."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def github_annotations(report: Report) -> Iterator[str]:
    """GitHub's workflow commands: an error for each regression, a warning for each open gate, else one notice."""
    for gate in report.gates:
        if gate.verdict in _ANNOTATIONS:
            title = f"{report.name}: {gate.name}, {gate.verdict}"
            yield f"::{_ANNOTATIONS[gate.verdict]} title={_property(title)}::{_data(gate.sentence)}"
    if report.verdict == PASS:
        yield f"::notice title={_property(report.name)}::{_data('no regression: every gate passed')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(report: Report) -> str:
    """Markdown for $GITHUB_STEP_SUMMARY."""
    rows = [
        f"### {_MARKS[report.verdict]} {_cell(report.name)}: {report.verdict}",
        "",
        "| gate | verdict | |",
        "|---|---|---|",
    ]
    rows += [f"| {_cell(gate.name)} | {gate.verdict} | {_cell(gate.sentence)} |" for gate in report.gates]
    host = f"{report.host['cpu']}, onnxruntime {report.host['onnxruntime']}, host {report.host['fingerprint']}"
    return "\n".join([*rows, "", *map(_cell, report.remarks), f"{_cell(host)}; {report.seconds:.0f} s.", ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _figures(report: Report) -> Iterator[tuple[str, str, float, str, tuple[float, float] | None]]:
    """(measure, label, value, unit, interval): the candidate's figures that a tracker may keep."""
    for each in report.measured:
        found = each.duel.latency_ms(CANDIDATE)
        if found:
            yield "latency", each.label, median(found), "ms", (min(found), max(found))
        if each.duel.judgement is not None:
            seen = each.duel.judgement
            ratio = 100 * seen.estimate
            yield "latency-change", each.label, ratio, "%", (100 * seen.low, 100 * seen.high)
    for gate in report.gates:
        if gate.name in _COUNTS and gate.values.get("candidate") is not None:
            yield gate.name, "", float(gate.values["candidate"]), "bytes" if gate.name == "size" else "", None


def bencher(report: Report) -> str:
    """Bencher Metric Format: latency in nanoseconds with the range over processes; sizes and counts as they are."""
    benchmarks: dict[str, dict[str, Any]] = {}
    for measure, label, value, unit, interval in _figures(report):
        scale = 1e6 if unit == "ms" else 1.0
        metric = {"value": value * scale}
        if interval is not None and all(map(_finite, interval)):
            metric |= {"lower_value": interval[0] * scale, "upper_value": interval[1] * scale}
        name = f"{report.name}, {label}" if label else report.name
        benchmarks.setdefault(name, {})["file-size" if measure == "size" else measure] = metric
    return json.dumps(benchmarks, indent=1) + "\n"


def _finite(value: float) -> bool:
    return abs(value) < float("inf")


def action_benchmark(report: Report) -> str:
    """github-action-benchmark's customSmallerIsBetter."""
    entries = []
    for measure, label, value, unit, interval in _figures(report):
        if measure == "latency-change":  # may be negative, and the action divides by it
            continue
        name = ", ".join(part for part in (report.name, label, measure) if part)
        entry: dict[str, Any] = {"name": name, "unit": unit or "count", "value": value}
        if interval is not None and all(map(_finite, interval)):
            entry["range"] = f"{interval[0]:.4g} to {interval[1]:.4g}"
        entries.append(entry)
    return json.dumps(entries, indent=1) + "\n"
