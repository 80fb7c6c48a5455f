"""The words that several parts of a report share: names of models and files, shapes, factors, and what the zeros do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeticket import text
from edgeticket.measure.measurement import Measurement, Ratio, speed
from edgeticket.report.content import Content


def times(factor: float) -> str:
    """17.34 -> '17.3', 1.004 -> '1.00', 240.2 -> '240'."""
    return f"{factor:.2f}" if factor < 10 else f"{factor:.1f}" if factor < 100 else f"{factor:,.0f}"


def shape(axes: Sequence[int | None]) -> str:
    """(300, 784) -> '300×784'; nothing left -> 'removed'; a free axis -> 'n'."""
    return "×".join("n" if axis is None else str(axis) for axis in axes) if axes else "removed"


def share(nonzeros: int, total: int) -> str:
    """The share of zeros: (10, 100) -> '90.00 %'."""
    return text.percent(1 - nonzeros / total) if total else "–"


def score(value: float | None, unit: str) -> str:
    """98.24 -> '98.24 %'; a metric without unit with four digits; nothing -> '–'."""
    if value is None:
        return "–"
    return f"{value:.2f} %" if unit == "%" else f"{value:.4g} {unit}".strip()


def relative(size_bytes: int, other_bytes: int) -> str:
    """(50, 1000) -> '20.0× smaller'; (1000, 1000) -> 'same size'; so near that a factor shows nothing: '5 B larger'."""
    if size_bytes == other_bytes:
        return "same size"
    factor = max(size_bytes, other_bytes) / min(size_bytes, other_bytes)
    word = "smaller" if size_bytes < other_bytes else "larger"
    return f"{text.size(abs(size_bytes - other_bytes))} {word}" if factor < 1.005 else f"{times(factor)}× {word}"


def faster(ratio: Ratio, other: str = "") -> str:
    """'1.23 times as fast as dense (1.20 to 1.26)'; where no difference is seen, that; `other` may be left out."""
    than = f" as {other}" if other else ""
    if ratio.same:
        return f"1.00 times as fast{than}: it is the same file, measured once"
    span = f"{times(ratio.low)} to {times(ratio.high)}" if math.isfinite(ratio.high) and ratio.low > 0 else ""
    if span and not ratio.seen:
        return f"no difference{f' to {other}' if other else ''} is seen ({span} times as fast)"
    return f"{times(ratio.estimate)} times as fast{than}" + (f" ({span})" if span else "")


def of_a_ticket(content: Content) -> bool:
    """Whether `find` made the source, so that the dense network is known."""
    return content.manifest.source.kind == "ticket"


def compared_with(content: Content) -> str:
    """What the exported file stands beside: nobody knows whether an ONNX file as given was dense."""
    return "dense network" if of_a_ticket(content) else "source as given"


def baseline_name(content: Content) -> str:
    """What the exported file stands beside, within a sentence."""
    return "dense" if of_a_ticket(content) else "the source"


def model_name(content: Content, model: str, provider: str = "cpu") -> str:
    """A measured model, 'dense' or 'exported', as a table names it."""
    if provider == "sparse":
        return f"{model}, sparse engine"
    return "source" if model == "dense" and not of_a_ticket(content) else model


def engine_speed(content: Content, own: Measurement, cpu: Measurement, *, spans: bool = False) -> str:
    """The sparse engine beside the dense network at its best, and beside the CPU provider on this very file."""
    here = speed(own, cpu)
    this = faster(here, "this file on the CPU provider") if spans else times(here.estimate)
    dense = content.measured("latency", "dense", own.threads)
    name = f"{baseline_name(content)} on the CPU provider"
    if dense is None or speed(cpu, dense).same:
        return this if spans else f"{this} times as fast as {name if dense else 'this file on the CPU provider'}"
    beside = speed(own, dense)
    if spans:
        return f"{faster(beside, name)}; {this}"
    return f"{times(beside.estimate)} times as fast as {name}, {this} as this file there"


def zeros_sentence(content: Content) -> str:
    """What stock ONNX Runtime makes of the zeros."""
    before, after = content.weights_held
    zeros, left = content.zeros
    if not content.manifest.layers:
        return f"No weight of Conv, Gemm, MatMul or a recurrent layer was found in this graph{_others(content)}"
    if before != after:
        how = "Dead units were removed" if content.removed_dead else "What is constant or never read was folded away"
        rest = (
            "Stock ONNX Runtime makes nothing of the zeros that are left: it multiplies by them."
            if left
            else "No zero is left in them."
        )
        gain = "that is the only gain in speed to expect of the CPU provider"
        if _slower(content):
            gain = f"yet the CPU provider takes longer with it than with {baseline_name(content)}"
        return f"{how}, exactly: the layers hold {after:,} of {before:,} weights, and {gain}. {rest}"
    if content.removed_dead:
        return f"What was dead was removed, exactly, and the weights of layers keep their shapes{_others(content)}"
    if not zeros:
        return (
            "The weights of convolutions and matrix products hold no zeros: no unit was removed, and an inference "
            f"multiplies as much as in the {compared_with(content)}{_others(content)}"
        )
    return (
        "Stock ONNX Runtime makes nothing of the zeros: it multiplies by them. No unit was removed, so an "
        f"inference multiplies {_work(content)}."
    )


def _slower(content: Content) -> bool:
    """Whether the exported file was seen to take longer, on one thread, than what it stands beside."""
    own, other = (content.measured("latency", model) for model in ("exported", "dense"))
    ratio = speed(own, other) if own and other else None
    return ratio is not None and ratio.seen and ratio.estimate < 1


def _others(content: Content) -> str:
    """The end of a sentence, and one about constants that are no layers' weights, such as embeddings."""
    repeated, numbers = content.repeated_elsewhere
    if not repeated:
        return "." if content.manifest.layers else ": there are no zeros to speak of."
    what = (
        f" Of {numbers:,} numbers in {'other' if content.manifest.layers else 'its'} constants {repeated:,} are zeros"
    )
    return f".{what}, or one value that repeats: ONNX Runtime computes with all of them{_gained(content)}."


def _work(content: Content) -> str:
    return f"as much as in the {compared_with(content)}{_gained(content)}"


def _gained(content: Content) -> str:
    gained = content.manifest.size_bytes < content.manifest.dense_size_bytes
    return "; what is gained is the size of the file" if gained else ""
