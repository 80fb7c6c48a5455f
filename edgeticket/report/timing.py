"""The sections about time: latency of every model on every provider, loading, and peak memory."""

from __future__ import annotations

from edgeticket import text
from edgeticket.measure.measurement import Measurement, speed
from edgeticket.report import plots
from edgeticket.report.content import RUNS, Content
from edgeticket.report.parts import ReportTable, Section
from edgeticket.report.plots import Plot, Quantiles
from edgeticket.report.wording import baseline_name, engine_speed, faster, model_name, zeros_sentence

SPANS = (
    "An interval is of 95 %, over the blocks of one process, in which all models take turns; "
    "`edgeticket check --baseline` compares over many processes"
)
CAUTION = "These are one host's numbers, shown to be read; they gate nothing."


def latency(content: Content) -> Section:
    """The percentiles of every timed run, and what the zeros and the sparse engine have to do with them."""
    plain = zeros_sentence(content)
    rows = []
    for threads in content.thread_counts:
        for model, provider in RUNS:
            found = content.measured("latency", model, threads, provider)
            if found:
                values = (found.median, found.percentile(90), found.percentile(99))
                cells = tuple("–" if value is None else text.latency(value) for value in values)
                rows.append((model_name(content, model, provider), str(threads), *cells, f"{found.count:,}"))
    engine = (f"{content.engine['sentence'].rstrip('.')}.",) if content.engine else ()
    if not rows:
        return Section("Latency", (plain, *engine, "Latency was not measured in this export."))
    method = next(m.method for m in content.measurements if m.what == "latency")
    both = any(m.provider == "sparse" for m in content.measurements)
    where = "on the CPU provider and the sparse engine" if both else "on the stock CPU provider"
    return Section(
        f"Latency {where}",
        (plain, *content.baseline, *_gains(content), *engine, *content.failures),
        ReportTable(("Model", "threads", "p50", "p90", "p99", "samples"), tuple(rows)),
        _plot(content),
        notes=(f"How: {method}. {SPANS}.", CAUTION),
    )


def _gains(content: Content) -> list[str]:
    """At each number of threads: how fast the exported file is beside the dense one, on each provider."""
    found = []
    for threads in content.thread_counts:
        dense_ms = content.measured("latency", "dense", threads)
        cpu_ms, own_ms = (content.measured("latency", "exported", threads, name) for name in ("cpu", "sparse"))
        where = text.plural(threads, "thread")
        if cpu_ms and dense_ms:
            beside = faster(speed(cpu_ms, dense_ms), baseline_name(content))
            found.append(f"CPU provider at {where}: {text.latency(cpu_ms.median)}, {beside}.")
        if cpu_ms and own_ms:
            beside = engine_speed(content, own_ms, cpu_ms, spans=True)
            found.append(f"Sparse engine at {where}: {text.latency(own_ms.median)}, {beside}.")
    return found


def _plot(content: Content) -> Plot:
    """One group of rows for each number of threads."""
    timed = [m for m in content.measurements if m.what == "latency"]
    factor, unit = (1e3, "µs") if max(m.median for m in timed) < 1 else (1.0, "ms")
    groups = []
    for threads in content.thread_counts:
        runs = [(model, provider, content.measured("latency", model, threads, provider)) for model, provider in RUNS]
        groups.append([_spread(content, found, factor) for _, _, found in runs if found])
    return plots.spreads(groups, "Latency per inference", unit, lambda value: text.latency(value / factor))


def _spread(content: Content, found: Measurement, factor: float) -> Quantiles:
    sparse = found.provider == "sparse"
    name = "sparse engine" if sparse else model_name(content, found.model)
    label = f"{name}, {text.plural(found.threads, 'thread')}"
    p25, p75, p90, p99 = (
        None if value is None else factor * value for value in map(found.percentile, (25, 75, 90, 99))
    )
    return Quantiles(label, p25, factor * found.median, p75, p90, p99, strong=found.model == "exported")


def loading(content: Content) -> Section | None:
    """The medians of load time, first inference and peak memory; None where none was measured."""
    rows = []
    for model, provider in RUNS:
        found = [content.measured(what, model, 1, provider) for what in ("load", "first-inference", "peak-memory")]
        if any(found):
            load, first, memory = (None if m is None else m.median for m in found)
            rows.append(
                (
                    model_name(content, model, provider),
                    "–" if load is None else text.latency(load),
                    "–" if first is None else text.latency(first),
                    "–" if memory is None else text.size(memory),
                )
            )
    if not rows:
        return None
    method = next(m.method for m in content.measurements if m.what == "load")
    table = ReportTable(("Model", "load", "first inference", "peak memory"), tuple(rows))
    return Section("Loading and memory", (), table, notes=(f"How: {method}. The medians are shown.",))
