"""The dense network as its user would deploy it: every form that might be the best, none of them pruned.

For a ticket these are the dense weights, simplified by the same passes as the exported file and stored densely, which
is what `export --round 0` writes; for an ONNX file the file as it was given, and the same passes without removal. With
its free axes fixed to what is timed the runtime may fuse more, so that is a form too. Forms that the runtime optimises
into the same operators are one. benchmarks/tests/test_baseline.py holds them against PyTorch's own exporter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from edgeticket.graph.optimised import operators, optimised, unfused
from edgeticket.graph.reading.source import Source, stamp
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import simplify
from edgeticket.text import listing

PASSES = "written by the same passes, nothing of it pruned"
GIVEN = "the file as it was given"
FIXED = "the same for inputs of these shapes only, its free axes fixed"


@dataclass(frozen=True)
class Form:
    """One way to deploy the dense network. `operators` is empty where the runtime cannot load it."""

    words: str
    model: bytes
    operators: Counter[str]


@dataclass(frozen=True)
class Baseline:
    """The forms that differ; the smallest file counts for bytes, the fastest for time. `caveat` is a sentence or ''."""

    forms: tuple[Form, ...]
    given: bytes | None  # an ONNX file as it came
    caveat: str

    @property
    def smallest(self) -> bytes:
        """The form with the fewest bytes."""
        return min((form.model for form in self.forms), key=len)


def dense_baseline(source: Source, unpruned: onnx.ModelProto | None = None, *, timed: bool = True) -> Baseline:
    """The forms whose free axes stay free. `unpruned` is an ONNX file by the same passes where they ran already.

    A form that may be the fastest, and is not the smallest, is looked at only where they are to be `timed`.
    """
    given = None if source.ticket else serialize(source.dense)
    model = _dense(source, source.dense) if unpruned is None else _stamped(source, unpruned)
    graph = optimised(model)
    made = Form(PASSES, model, Counter() if graph is None else operators(graph))
    forms = [made]
    if given is not None and len(given) <= len(made.model):
        forms.append(_form(GIVEN, given))  # a packed file: as it came it is the smallest
    elif timed and given is not None and (other := _form(GIVEN, given)).operators != made.operators:
        forms.append(other)
    return Baseline(tuple(forms), given, _caveat(graph))


def plainly(source: Source, model: onnx.ModelProto, *, removal: bool) -> bytes:
    """A network of the source by the same passes, stored densely, under the same stamp as the exported file."""
    return _stamped(source, with_short_names(simplify(model, removal=removal)).model)


def _stamped(source: Source, model: onnx.ModelProto) -> bytes:
    stamp(model, source.stamp)
    return serialize(model)


def with_fixed_axes(baseline: Baseline, source: Source, shapes: Mapping[str, Sequence[int]]) -> Baseline:
    """The baseline and, where the runtime makes something else of it, the dense network for inputs of `shapes` only."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(source.dense)
    changed = False
    for value in fixed.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes.get(value.name, ()), strict=False):
            if not dim.HasField("dim_value"):
                dim.dim_value, changed = size, True
    if not changed:
        return baseline
    form = _form(FIXED, _dense(source, fixed))
    if not form.operators or form.operators in [each.operators for each in baseline.forms]:
        return baseline
    return replace(baseline, forms=(*baseline.forms, form))


def _dense(source: Source, model: onnx.ModelProto) -> bytes:
    """An ONNX file may be pruned already: what is dead in it stays, because removing it is what export is for."""
    return plainly(source, model, removal=source.ticket is not None)


def _form(words: str, model: bytes) -> Form:
    graph = optimised(model)
    return Form(words, model, Counter() if graph is None else operators(graph))


def _caveat(graph: onnx.GraphProto | None) -> str:
    left = [] if graph is None else unfused(graph)
    if not left:
        return ""
    return f"The baseline is not the best possible: ONNX Runtime left {listing(left)} in it, which it fuses elsewhere"
