"""The sections about the network: the zeros of each layer, where each tensor rests, and what each pass did."""

from __future__ import annotations

from collections.abc import Sequence

from edgeticket import text
from edgeticket.report import plots
from edgeticket.report.content import Content, elements
from edgeticket.report.parts import Fold, ReportTable, Section
from edgeticket.report.plots import Plot
from edgeticket.report.wording import shape, share

MOST_ROWS = 8  # of a table that stands open; a longer one is folded


def layers(content: Content) -> Section | None:
    """Shapes and zeros before and after; None where no layer was found."""
    if not content.manifest.layers:
        return None
    rows = []
    for layer in content.manifest.layers:
        before, after = elements(layer.shape_before), elements(layer.shape_after)
        rows.append(
            (
                content.parameter(layer.name),
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
    table = ReportTable(header, tuple(rows), prose=(1,))
    summary = f"{text.plural(len(rows), 'layer')} in numbers"
    return _open_or_folded("Sparsity per layer", (sentence,), table, summary, _plot(content))


def _plot(content: Content) -> Plot:
    rows = []
    for layer in content.manifest.layers:
        before = _density(layer.nonzeros_before, layer.shape_before)
        after = _density(layer.nonzeros_after, layer.shape_after)
        given, left = f"{before:.1f} %", f"{after:.1f} %" if layer.shape_after else "removed"
        shown = given if given == left else f"{given} → {left}"
        rows.append((content.parameter(layer.name), before, after, shown))
    return plots.pairs(rows, title="Weights that are not zero, in % of the layer", names=("before", "after"))


def _density(nonzeros: int, axes: Sequence[int]) -> float:
    """In %; nothing is dense in a weight that was removed, or that has no elements."""
    total = elements(axes)
    return 100 * nonzeros / total if total else 0.0


def tensors(content: Content) -> Section | None:
    """The bytes and the storage of each tensor; None where there is none of note."""
    rows = []
    for tensor in content.manifest.tensors:
        name = content.parameter(tensor.name)
        numbers = (shape(tensor.shape), f"{tensor.nonzeros:,}", f"{tensor.size_bytes:,}")
        renamed = [f"{tensor.name} in the file"] if name != tensor.name else []
        note = "; ".join([*([tensor.note] if tensor.note else []), *renamed])
        rows.append((name, *numbers, tensor.storage, tensor.weights, note))
    if not rows:
        return None
    header = ("Tensor", "shape", "nonzeros", "bytes", "storage", "weights", "note")
    table = ReportTable(header, tuple(rows), prose=(4, 5, 6))
    return _open_or_folded("Storage per tensor", (), table, f"{text.plural(len(rows), 'tensor')} in numbers", None)


def passes(content: Content) -> Section | None:
    """What each pass did or declined."""
    if not content.passes:
        return None
    rows = tuple((p["pass_name"], f"{p['changed']:,}", p["sentence"]) for p in content.passes)
    return Section("What each pass did", (), ReportTable(("Pass", "changed", "what, or why not"), rows, prose=(2,)))


def _open_or_folded(
    title: str, sentences: tuple[str, ...], table: ReportTable, summary: str, plot: Plot | None
) -> Section:
    if len(table.rows) <= MOST_ROWS:
        return Section(title, sentences, table, plot)
    return Section(title, sentences, None, plot, Fold(summary, table))
