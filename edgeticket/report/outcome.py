"""The sections about what came out: the bytes of the file in every storage, and the metric of every network."""

from __future__ import annotations

from edgeticket import text
from edgeticket.report import plots
from edgeticket.report.content import Content
from edgeticket.report.parts import Fold, ReportTable, Section
from edgeticket.report.wording import compared_with, of_a_ticket, relative, score

GZIP = ".gz"  # the end of a key of `sizes`: the same file in gzip -9
SIZE_NAMES = {
    "given": "source as given",
    "masked": "pruned, stored densely",
    "dense": "stored densely",
    "gaps": "values and gaps",
    "gaps-fp16": "values and gaps, float32 as fp16",
    "gaps-int8": "values and gaps, float32 as int8",
    "sparse-initializer": "sparse initializer",
    "exported": "this artifact",
}


def size_name(content: Content, key: str) -> str:
    """The key of a size as people read it; '.gz' is the same file in gzip -9."""
    plain = key.removesuffix(GZIP)
    name = SIZE_NAMES.get(plain, plain)
    if plain == "original":
        name = "source, its graph cleaned" if "given" in content.sizes else compared_with(content)
    return name + ", gzip" if key.endswith(GZIP) else name


def sizes(content: Content) -> Section:
    """The files as they are; their exact bytes and those of their gzip are folded."""
    shown = _shown(content)
    strong = list(shown).index("exported")
    rows = tuple((name, text.size(content.sizes[key]), _beside(content, key)) for key, name in shown.items())
    keys = list(content.sizes)
    every = tuple(
        (size_name(content, key), f"{value:,}", text.size(value), _beside(content, key))
        for key, value in content.sizes.items()
    )
    header = ("The whole file", "bytes", "", "beside the first of its kind")
    drawn = [(size_name(content, key), float(content.sizes[key]), text.size(content.sizes[key])) for key in shown]
    rebuilt = (
        "The runtime rebuilds every packed tensor densely when it loads the file: that costs time and memory at load, "
        "and nothing per inference."
        if content.packed
        else "Every tensor rests as the runtime holds it: it has nothing to rebuild."
    )
    removal = " after removal" if content.weights_held[0] != content.weights_held[1] else ""
    return Section(
        "Size",
        (f"Storage: {content.manifest.storage}, float32 weights at rest: {content.manifest.weights}. {rebuilt}",),
        ReportTable(("The whole file", "size", "beside the first"), rows, strong=strong),
        plots.bars(drawn, strong=strong, title="Bytes of the whole file"),
        Fold(f"All {len(every)} files in bytes, with gzip", ReportTable(header, every, strong=keys.index("exported"))),
        (f"{_first(content)} The last rows are the exported network{removal} in every storage; gzip is -9.",),
    )


def _first(content: Content) -> str:
    """What the first row is, and the row that shows what gzip alone would save."""
    if not of_a_ticket(content):
        return "The first row is the smallest file without any removal and packing, and not pruned further."
    return (
        "The first row is the dense network by the same passes, and the pruned network stored densely is what is there "
        "without edgeticket: its gzip is what an archive alone saves."
    )


def _shown(content: Content) -> dict[str, str]:
    """The files that are not zipped, key -> name; a storage that this artifact is the very file of is not repeated."""
    plain = [key for key in content.sizes if not key.endswith(GZIP) and key != "exported"]
    same = next((key for key in _asked(content) if content.sizes.get(key) == content.sizes["exported"]), None)
    found: dict[str, str] = {}
    for key in plain:
        if key == same:
            found["exported"] = f"{SIZE_NAMES['exported']}: {size_name(content, key)}"
        else:
            found[key] = size_name(content, key)
    return found if same else {**found, "exported": SIZE_NAMES["exported"]}


def _asked(content: Content) -> tuple[str, ...]:
    """The keys of `sizes` that may be this artifact's storage, the likeliest first."""
    manifest = content.manifest
    if manifest.weights != "fp32":
        return (f"gaps-{manifest.weights}",)
    return ("gaps", "sparse-initializer", "dense") if manifest.storage == "auto" else (manifest.storage,)


def _beside(content: Content, key: str) -> str:
    """Plain beside the first file, gzip beside its gzip."""
    first = "original.gz" if key.endswith(GZIP) and "original.gz" in content.sizes else "original"
    return "–" if key == first else relative(content.sizes[key], content.sizes[first])


def accuracy(content: Content) -> Section | None:
    """The metric on validation and test; None where the task has none that can be computed."""
    metric = content.manifest.metric
    if not content.scores or metric is None:
        return None
    unit = metric.unit
    rows = tuple(
        (s.network, s.where, score(s.validation, unit), score(s.test, unit), f"{s.test_samples:,}")
        for s in content.scores
    )
    table = ReportTable(("Network", "at", "validation", "test", "test samples"), rows, prose=(1,), strong=len(rows) - 1)
    if metric.builtin:
        how = f"Metric: {metric.name}. The rows at ONNX Runtime were computed in this export, the others in find."
    else:
        how = f"'{metric.name}' is the task's own: it was measured in find only. Export and check compare outputs."
    return Section("Accuracy", (how,), table)
