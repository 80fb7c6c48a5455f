"""The report as people read it: cards, sections and tables of finished text, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeticket import text
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.report.content import RUNS, Content, elements


@dataclass(frozen=True)
class Table:
    """Cells of text. The first column is left-aligned; so are those in `prose`, all others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: tuple[int, ...] = ()
    strong: int | None = None  # the row that speaks of this artifact


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and at most one plot (a key of `plots`) and one table."""

    title: str
    sentences: tuple[str, ...]
    table: Table | None = None
    plot: str | None = None


@dataclass(frozen=True)
class Card:
    """A headline number, what it is, and what it is compared with."""

    label: str
    value: str
    detail: str


def times(factor: float) -> str:
    """17.34 -> '17.3', 1.004 -> '1.00', 240.2 -> '240'."""
    return f"{factor:.2f}" if factor < 10 else f"{factor:.1f}" if factor < 100 else f"{factor:,.0f}"


def shape(axes: Sequence[int | None]) -> str:
    """(300, 784) -> '300×784'; nothing left -> 'removed'; a free axis -> 'n'."""
    return "×".join("n" if axis is None else str(axis) for axis in axes) if axes else "removed"


def _of_a_ticket(content: Content) -> bool:
    return content.manifest.source.kind == "ticket"


def compared_with(content: Content) -> str:
    """What the exported file stands beside: nobody knows whether an ONNX file as given was dense."""
    return "dense network" if _of_a_ticket(content) else "source as given"


def model_name(content: Content, model: str, provider: str = "cpu") -> str:
    """A measured model, 'dense' or 'exported', as a table names it."""
    if provider == "sparse":
        return f"{model}, sparse engine"
    return "as given" if model == "dense" and not _of_a_ticket(content) else model


def relative(size_bytes: int, other_bytes: int) -> str:
    """(50, 1000) -> '20.0× smaller'; (1000, 1000) -> 'same size'; so near that a factor shows nothing: '5 B larger'."""
    if size_bytes == other_bytes:
        return "same size"
    factor = max(size_bytes, other_bytes) / min(size_bytes, other_bytes)
    word = "smaller" if size_bytes < other_bytes else "larger"
    return f"{text.size(abs(size_bytes - other_bytes))} {word}" if factor < 1.005 else f"{times(factor)}× {word}"


def zeros_sentence(content: Content) -> str:
    """What stock ONNX Runtime makes of the zeros."""
    before, after = content.weights_held
    zeros, left = content.zeros
    if not content.manifest.layers:
        return "No weight of a convolution or matrix product was found in this graph: there are no zeros to speak of."
    if before != after:
        how = "Dead units were removed" if content.removed_dead else "What is constant or never read was folded away"
        rest = (
            "Stock ONNX Runtime makes nothing of the zeros that are left: it multiplies by them."
            if left
            else "No zero is left in them."
        )
        return (
            f"{how}, exactly: the layers hold {after:,} of {before:,} weights, and that is the only gain in speed to "
            f"expect of the CPU provider. {rest}"
        )
    if not zeros:
        return f"The weights hold no zeros: nothing can be removed, and an inference multiplies {_work(content)}."
    return (
        "Stock ONNX Runtime makes nothing of the zeros: it multiplies by them. No unit could be removed, so an "
        f"inference multiplies {_work(content)}."
    )


def _work(content: Content) -> str:
    gained = content.manifest.size_bytes < content.manifest.dense_size_bytes
    return f"as much as in the {compared_with(content)}" + (
        "; what is gained is the size of the file" if gained else ""
    )


def cards(content: Content) -> list[Card]:
    """The headline: bytes, accuracy, latency."""
    manifest = content.manifest
    size, other = manifest.size_bytes, manifest.dense_size_bytes
    as_given = model_name(content, "dense")
    found = [Card("Model file", relative(size, other), f"{text.size(other)} {as_given} → {text.size(size)}")]
    compared = {each.network: each.test for each in content.scores if each.compared}
    if manifest.metric and "exported file" in compared:
        unit = manifest.metric.unit
        others = [f"{name} {score(compared[name], unit)}" for name in ("dense", "ticket") if name in compared]
        found.append(Card(f"Test {manifest.metric.name}", score(compared["exported file"], unit), ", ".join(others)))
    dense_ms, here_ms = content.measured("latency", "dense"), content.measured("latency", "exported")
    if dense_ms and here_ms:
        detail = f"{as_given} {text.latency(dense_ms.median)}; median of {here_ms.count:,} on this host"
        found.append(Card("Latency, one thread", text.latency(here_ms.median), detail))
    if content.engine:
        found.append(_engine(content, content.engine))
    return [*found, _outputs(manifest.proof, manifest.weights)]


def _engine(content: Content, engine: Mapping[str, Any]) -> Card:
    """The card about the sparse engine: its latency beside the CPU provider's, or why there is none."""
    if engine["state"] != "ran":
        return Card("Sparse engine", engine["state"], "see Latency below")
    cpu_ms, own_ms = (content.measured("latency", "exported", provider=name) for name in ("cpu", "sparse"))
    claimed = f"{engine['claimed']} of {text.plural(engine['nodes'], 'node')}, {_distance(engine)}"
    if not (cpu_ms and own_ms):
        return Card("Sparse engine", "not timed", claimed)
    detail = f"{times(cpu_ms.median / own_ms.median)} times the CPU provider; {claimed}"
    return Card("Sparse engine", text.latency(own_ms.median), detail)


def _distance(engine: Mapping[str, Any]) -> str:
    """How far its golden outputs lie from the CPU provider's."""
    if not engine["within"]:
        return "an output is BEYOND its tolerance"
    return f"max |Δ| {engine['max_abs_delta']:.2g} to it, {engine['tolerance']:.2g} allowed"


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
    return Card("Same outputs", proof.verdict, f"max |Δ| {proof.max_abs_delta:.2g} {inputs}")


def score(value: float | None, unit: str) -> str:
    """98.24 -> '98.24 %'; a metric without unit with four digits; nothing -> '–'."""
    if value is None:
        return "–"
    return f"{value:.2f} %" if unit == "%" else f"{value:.4g} {unit}".strip()


def sections(content: Content) -> list[Section]:
    """The body of the report, in reading order; a section with nothing to say is left out."""
    made = (_sizes, _accuracy, _latency, _loading, _layers, _tensors, _proof, _passes, _provenance)
    return [section for section in (make(content) for make in made) if section is not None]


SIZE_NAMES = {
    "dense": "stored densely",
    "gaps": "values and gaps, fp32",
    "gaps-fp16": "values and gaps, fp16",
    "gaps-int8": "values and gaps, int8",
    "sparse-initializer": "sparse initializer",
    "exported": "this artifact",
}


def size_name(content: Content, key: str) -> str:
    """The key of a size as people read it; '.gz' is the same file in gzip -9."""
    plain = key.removesuffix(".gz")
    name = compared_with(content) if plain == "original" else SIZE_NAMES.get(plain, plain)
    return name + ", gzip" if key.endswith(".gz") else name


def _sizes(content: Content) -> Section:
    given = content.sizes["original"]
    keys = list(content.sizes)
    rows = tuple(
        (size_name(content, key), f"{value:,}", text.size(value), "–" if key == "original" else relative(value, given))
        for key, value in content.sizes.items()
    )
    table = Table(("The whole file", "bytes", "", "beside the first"), rows, strong=keys.index("exported"))
    rebuilt = (
        "The runtime rebuilds every packed tensor densely when it loads the file: that costs time and memory at load, "
        "and nothing per inference."
        if content.packed
        else "Every tensor rests as the runtime holds it: it has nothing to rebuild."
    )
    removal = " after removal" if content.weights_held[0] != content.weights_held[1] else ""
    rest = (
        f"Storage: {content.manifest.storage}, weights at rest: {content.manifest.weights}. {rebuilt} "
        f"The other rows are the same network{removal} in every other storage; gzip is -9."
    )
    return Section("Size", (rest,), table, "sizes")


def _accuracy(content: Content) -> Section | None:
    metric = content.manifest.metric
    if not content.scores or metric is None:
        return None
    unit = metric.unit
    rows = tuple(
        (s.network, s.where, score(s.validation, unit), score(s.test, unit), f"{s.test_samples:,}")
        for s in content.scores
    )
    table = Table(("Network", "at", "validation", "test", "test samples"), rows, prose=(1,), strong=len(rows) - 1)
    if metric.builtin:
        how = f"Metric: {metric.name}. The rows at ONNX Runtime were computed in this export, the others in find."
    else:
        how = f"'{metric.name}' is the task's own: it was measured in find only. Export and check compare outputs."
    return Section("Accuracy", (how,), table)


def _latency(content: Content) -> Section:
    plain = zeros_sentence(content)
    rows = []
    for threads in content.thread_counts:
        for model, provider in RUNS:
            found = content.measured("latency", model, threads, provider)
            if found:
                values = (found.median, found.percentile(90), found.percentile(99))
                cells = tuple("–" if value is None else text.latency(value) for value in values)
                rows.append((model_name(content, model, provider), str(threads), *cells, f"{found.count:,}"))
    engine = (content.engine["sentence"],) if content.engine else ()
    if not rows:
        return Section("Latency", (plain, *engine, "Latency was not measured in this export."))
    table = Table(("Model", "threads", "p50", "p90", "p99", "samples"), tuple(rows))
    method = next(m.method for m in content.measurements if m.what == "latency")
    caution = "These are one host's numbers, shown to be read; they gate nothing."
    where = "on the CPU provider and the sparse engine" if _both(content) else "on the stock CPU provider"
    return Section(
        f"Latency {where}",
        (plain, *_gains(content), *engine, f"How: {method}.", caution, *content.failures),
        table,
        "latency",
    )


def _both(content: Content) -> bool:
    return any(m.provider == "sparse" for m in content.measurements)


def _gains(content: Content) -> list[str]:
    """At each number of threads: how many times the CPU provider the engine is."""
    found = []
    for threads in content.thread_counts:
        cpu_ms, own_ms = (content.measured("latency", "exported", threads, name) for name in ("cpu", "sparse"))
        if cpu_ms and own_ms:
            factor = times(cpu_ms.median / own_ms.median)
            where = text.plural(threads, "thread")
            found.append(f"Sparse engine at {where}: {text.latency(own_ms.median)}, {factor} times the CPU provider.")
    return found


def _loading(content: Content) -> Section | None:
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
    table = Table(("Model", "load", "first inference", "peak memory"), tuple(rows))
    return Section("Loading and memory", (f"How: {method}. The medians are shown.",), table)


def _layers(content: Content) -> Section | None:
    if not content.manifest.layers:
        return None
    rows = []
    for layer in content.manifest.layers:
        before, after = elements(layer.shape_before), elements(layer.shape_after)
        rows.append(
            (
                layer.name,
                layer.op,
                shape(layer.shape_before),
                share(layer.nonzeros_before, before),
                shape(layer.shape_after),
                share(layer.nonzeros_after, after),
                f"{layer.nonzeros_after:,}",
            )
        )
    header = ("Layer", "operator", "shape before", "zeros", "shape after", "zeros", "nonzeros")
    sentence = "Zeros per layer as given and as exported. A removed unit takes its zeros along."
    return Section("Sparsity per layer", (sentence,), Table(header, tuple(rows), prose=(1,)), "layers")


def share(nonzeros: int, total: int) -> str:
    """The share of zeros: (10, 100) -> '90.00 %'."""
    return text.percent(1 - nonzeros / total) if total else "–"


def _tensors(content: Content) -> Section | None:
    rows = []
    for tensor in content.manifest.tensors:
        numbers = (shape(tensor.shape), f"{tensor.nonzeros:,}", f"{tensor.size_bytes:,}")
        rows.append((tensor.name, *numbers, tensor.storage, tensor.weights, tensor.note))
    if not rows:
        return None
    header = ("Tensor", "shape", "nonzeros", "bytes", "storage", "weights", "note")
    return Section("Storage per tensor", (), Table(header, tuple(rows), prose=(4, 5, 6)))


def _proof(content: Content) -> Section:
    manifest, proof = content.manifest, content.manifest.proof
    if manifest.unproved:
        return Section("Proof", (f"Not proved: {proof.reason}.",))
    if _of_a_ticket(content):
        against = "over the test set, beside the masked network before any graph change"
    else:
        against = "on random and extreme inputs, beside the source as given"
    ran = f"The exported file ran on ONNX Runtime {against}"
    figures = {
        "largest |Δ| of an output": _figure(proof.max_abs_delta),
        "tolerance, where an output came nearest to it": _figure(proof.tolerance),
        "|Δ| there": _figure(proof.delta),
        "error of float32 itself, against float64": _figure(proof.float64_error),
        "top-1 agreement": None if proof.top1_agreement is None else text.percent(proof.top1_agreement),
        "inputs": f"{proof.samples:,}",
    }
    rows = tuple((name, value) for name, value in figures.items() if value is not None)
    derived = (
        "The tolerance is 8 times the error that float32 on this runtime shows against a float64 reference of the same "
        "network, and 16 units in the last place of the largest output."
    )
    sentences = [f"{ran}: {proof.reason}."]
    if proof.float64_error is not None:
        sentences.append(derived)
    return Section("Proof", tuple(sentences), Table(("Outputs", "value"), rows))


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _passes(content: Content) -> Section | None:
    if not content.passes:
        return None
    rows = tuple((p["pass_name"], f"{p['changed']:,}", p["sentence"]) for p in content.passes)
    return Section("What each pass did", (), Table(("Pass", "changed", "what, or why not"), rows, prose=(2,)))


def _provenance(content: Content) -> Section:
    manifest = content.manifest
    facts: dict[str, Any] = {
        **asdict(manifest.source),
        **manifest.provenance,
        **{f"{k} version": v for k, v in manifest.versions.items()},
    }
    if content.host:
        facts |= {f"host {key}": value for key, value in content.host.items()}
    facts["exported"] = content.created
    rows = tuple((key.replace("_", " "), _fact(value)) for key, value in facts.items() if value is not None)
    return Section("Provenance", content.remarks, Table(("", ""), rows, prose=(1,)))


def _fact(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
