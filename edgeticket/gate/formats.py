"""The verdict in the forms that others read: JUnit XML, GitHub, bencher, github-action-benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any
from xml.etree import ElementTree

from edgeticket.gate.comparison import Comparison
from edgeticket.measure.duel import CANDIDATE
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION

_ANNOTATIONS = {REGRESSION: "error", INCONCLUSIVE: "warning"}
_COUNTS = ("size", "nonzeros", "macs", "nodes", "instructions")
_MARKS = {PASS: "✅", REGRESSION: "❌", INCONCLUSIVE: "⚠️"}


def junit(found: Comparison) -> str:
    """Write a test case for each gate that was judged: a regression is a failure, an open one is skipped."""
    judged = [gate for gate in found.gates if gate.verdict in (PASS, REGRESSION, INCONCLUSIVE)]
    suite = ElementTree.Element(
        "testsuite",
        name="edgeticket",
        tests=str(len(judged)),
        failures=str(sum(gate.verdict == REGRESSION for gate in judged)),
        skipped=str(sum(gate.verdict == INCONCLUSIVE for gate in judged)),
        errors="0",
        time=f"{found.seconds:.2f}",
        timestamp=found.created.rstrip("Z"),
    )
    for gate in judged:
        case = ElementTree.SubElement(suite, "testcase", classname=f"edgeticket.{_xml(found.name)}", name=gate.name)
        if gate.verdict == REGRESSION:
            ElementTree.SubElement(case, "failure", message=_xml(gate.sentence)).text = _xml(gate.sentence)
        elif gate.verdict == INCONCLUSIVE:
            ElementTree.SubElement(case, "skipped", message=_xml(gate.sentence))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Replace control characters, which XML 1.0 has not, not even escaped."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def github_annotations(found: Comparison) -> Iterator[str]:
    """Write GitHub's workflow commands: an error for each regression, a warning for each open gate, else a notice."""
    for gate in found.gates:
        if gate.verdict in _ANNOTATIONS:
            title = f"{found.name}: {gate.name}, {gate.verdict}"
            yield f"::{_ANNOTATIONS[gate.verdict]} title={_property(title)}::{_data(gate.sentence)}"
    if found.verdict == PASS:
        yield f"::notice title={_property(found.name)}::{_data('no regression: every gate passed')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(found: Comparison) -> str:
    """Write Markdown for $GITHUB_STEP_SUMMARY."""
    rows = [
        f"### {_MARKS[found.verdict]} {_cell(found.name)}: {found.verdict}",
        "",
        "| gate | verdict | |",
        "|---|---|---|",
    ]
    rows += [f"| {_cell(gate.name)} | {gate.verdict} | {_cell(gate.sentence)} |" for gate in found.gates]
    host = f"{found.host['cpu']}, onnxruntime {found.host['onnxruntime']}, host {found.host['fingerprint']}"
    return "\n".join([*rows, "", *map(_cell, found.remarks), f"{_cell(host)}; {found.seconds:.0f} s.", ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _figures(found: Comparison) -> Iterator[tuple[str, str, float, str, tuple[float, float] | None]]:
    """Give the candidate's figures that a tracker may keep: (measure, label, value, unit, interval)."""
    for each in found.measured:
        ms = each.duel.latency_ms(CANDIDATE)
        if ms:
            yield "latency", each.label, median(ms), "ms", (min(ms), max(ms))
        if each.duel.judgement is not None:
            seen = each.duel.judgement
            ratio = 100 * seen.estimate
            yield "latency-change", each.label, ratio, "%", (100 * seen.low, 100 * seen.high)
    for gate in found.gates:
        if gate.name in _COUNTS and gate.values.get("candidate") is not None:
            yield gate.name, "", float(gate.values["candidate"]), "bytes" if gate.name == "size" else "", None


def bencher(found: Comparison) -> str:
    """Write Bencher Metric Format: latency in ns with the range over processes; sizes and counts as they are."""
    benchmarks: dict[str, dict[str, Any]] = {}
    for measure, label, value, unit, interval in _figures(found):
        scale = 1e6 if unit == "ms" else 1.0
        metric = {"value": value * scale}
        if interval is not None and all(map(_finite, interval)):
            metric |= {"lower_value": interval[0] * scale, "upper_value": interval[1] * scale}
        name = f"{found.name}, {label}" if label else found.name
        benchmarks.setdefault(name, {})["file-size" if measure == "size" else measure] = metric
    return json.dumps(benchmarks, indent=1) + "\n"


def _finite(value: float) -> bool:
    return abs(value) < float("inf")


def action_benchmark(found: Comparison) -> str:
    """Write github-action-benchmark's customSmallerIsBetter."""
    entries = []
    for measure, label, value, unit, interval in _figures(found):
        if measure == "latency-change":  # may be negative, and the action divides by it
            continue
        name = ", ".join(part for part in (found.name, label, measure) if part)
        entry: dict[str, Any] = {"name": name, "unit": unit or "count", "value": value}
        if interval is not None and all(map(_finite, interval)):
            entry["range"] = f"{interval[0]:.4g} to {interval[1]:.4g}"
        entries.append(entry)
    return json.dumps(entries, indent=1) + "\n"
