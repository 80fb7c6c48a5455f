"""The check of the plan's numbers: they are the original's, wherever no pass says that it computed them.

Made-up inputs do not reach every number: few rows of a table are looked up, an expert may never be chosen, a gate stays
closed, a bound is never met. So nothing is run here. Every constant of the plan is the original's of the name that its
origin says (origins.py), or what the passes say they kept and zeroed of it; or what the original's nodes compute from
constants, evaluated anew. Attributes that are numbers or texts are those of the node that made the value before.

What passes computed (a folded bias, a folded normalisation) is held by the runs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper

from edgeticket.graph.origins import Origin
from edgeticket.graph.proving.static.given import Given, all_nodes, as_read, tensors
from edgeticket.graph.proving.static.node_parts import attribute_differs, kind, operator
from edgeticket.graph.proving.static.scopes import Array, differing, texts_as_unicode
from edgeticket.graph.simplify import Simplified
from edgeticket.text import listing

_NUMBERS = frozenset([
    AttributeProto.FLOAT, AttributeProto.FLOATS, AttributeProto.STRING, AttributeProto.STRINGS, AttributeProto.TENSOR,
    AttributeProto.TENSORS,
])  # fmt: skip
_WHOLE = frozenset([AttributeProto.INT, AttributeProto.INTS])
_ROUNDINGS = 4.0  # how often the two evaluations' distance, or the unit in the last place, is allowed


@dataclass(frozen=True)
class HeldNumbers:
    """What was found: a sentence that refutes the plan, or ''; and clauses on what has no counterpart."""

    against: str = ""
    unseen: tuple[str, ...] = ()


def hold_to_original(original: onnx.ModelProto, plan: Simplified) -> HeldNumbers:
    """Compare the plan's constants and its nodes' numbers with the original's. Nothing is run but constants."""
    if plan.origins is None:
        return HeldNumbers()
    given = Given(as_read(original, plan.model))
    lost = []
    for tensor in tensors(plan.model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            continue
        found = _constant(given, tensor, plan.origins.get(tensor.name, (Origin(tensor.name),)))
        if found is None:
            lost.append(tensor.name)
        elif found:
            return HeldNumbers(found)
    if said := next(_attributes(given, plan), ""):
        return HeldNumbers(said)
    said = f"the constants {listing(lost)}: what they were in the original is not known"
    return HeldNumbers("", (said,) if lost else ())


def _constant(given: Given, tensor: onnx.TensorProto, origins: tuple[Origin, ...]) -> str | None:
    """What is wrong with a constant, in a sentence; '' where nothing is, None where there is nothing to hold it to."""
    said: str | None = None
    array: Array | None = None
    for origin in dict.fromkeys(origins):
        if origin.source is None:
            return ""
        if origin.whole and any(_same_bytes(tensor, each) for each in given.stored.get(origin.source, ())):
            return ""
        array = texts_as_unicode(numpy_helper.to_array(tensor)) if array is None else array
        for numbers in given.constants(origin.source):
            wanted = _after(numbers, origin)
            difference = _difference(array, wanted)
            if not difference or _rounded(given, origin, array, wanted):
                return ""
            kept = "" if origin.whole else ", of what passes say that they kept"
            said = (
                f"the simplified network's {tensor.name!r} is not the original's {origin.source!r}: {difference}{kept}"
            )
    if said is None and any(origin.source in given.nodes for origin in origins):
        return ""  # nodes make it of what only a run can tell, or are too large to be evaluated
    return said


def _same_bytes(tensor: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    """Is it the same without a look at the numbers?"""
    alike = tensor.data_type == other.data_type and tensor.dims == other.dims
    return alike and bool(tensor.raw_data) and tensor.raw_data == other.raw_data


def _after(numbers: Array, origin: Origin) -> Array | None:
    """The original's numbers after the steps of passes; None where they do not apply to it."""
    try:
        for step in origin.steps:
            numbers = step(numbers)
    except (IndexError, ValueError):  # a mask of another shape: the numbers are not those that the pass had
        return None
    return texts_as_unicode(numbers)


def _difference(array: Array, wanted: Array | None) -> str:
    """The first entry that differs, or the shape, in a clause; '' where they are the same."""
    if wanted is None:
        return "what was kept of it has another shape"
    texts = array.dtype.kind == wanted.dtype.kind == "U"
    if array.shape != wanted.shape or (array.dtype != wanted.dtype and not texts):
        return f"it is {array.dtype}{list(array.shape)}, and was {wanted.dtype}{list(wanted.shape)}"
    differ = np.atleast_1d(differing(array, wanted))
    if not differ.any():
        return ""
    place = tuple(int(index) for index in np.unravel_index(int(np.argmax(differ)), differ.shape))
    place = place[: array.ndim]
    entries = "entry differs" if differ.sum() == 1 else "entries differ"
    return f"{int(differ.sum()):,} {entries}, at {list(place)} it is {array[place]}, and was {wanted[place]}"


def _rounded(given: Given, origin: Origin, array: Array, wanted: Array | None) -> bool:
    """Is it computed from constants, and the same but for rounding? float64 is what passes evaluate in, too."""
    if origin.source is None or origin.source in given.stored or wanted is None or array.shape != wanted.shape:
        return False
    if array.dtype != wanted.dtype or not np.issubdtype(array.dtype, np.inexact):
        return False
    wide = given.evaluated(origin.source, wide=True)
    exact = None if wide is None else _after(wide, origin)
    if exact is None or exact.shape != array.shape:
        exact = wanted.astype(np.float64)
    finite = np.isfinite(exact) & np.isfinite(wanted)
    if not np.isfinite(array[finite]).all():
        return False
    known = exact[finite]
    apart = np.abs(wanted[finite].astype(np.float64) - known)
    unit = float(np.finfo(array.dtype).eps) * np.abs(known).max(initial=0.0)
    allowed = _ROUNDINGS * max(float(apart.max(initial=0.0)), unit)
    return bool(np.all(np.abs(array[finite].astype(np.float64) - known) <= allowed))


def _attributes(given: Given, plan: Simplified) -> Iterator[str]:
    """The nodes of the plan of which a number or a text is another than the original's, each in a sentence."""
    before = {short: name for name, short in plan.shortened.items()}
    for node in all_nodes(plan.model):
        name = next((output for output in node.output if output), "")
        others = [each for each in given.nodes.get(before.get(name, name), ()) if kind(each) == kind(node)]
        said = [_differs(each, node) for each in others]
        if said and all(said):
            yield f"the simplified network's {operator(node)} is not the original's: {said[0]}"


def _differs(original: onnx.NodeProto, planned: onnx.NodeProto) -> str:
    """The first attribute of numbers or texts that differs. Whole numbers count where no pass knows the operator."""
    unknown = original.domain.startswith("ai.onnx.ml") or original.op_type == "Constant"
    kinds = _NUMBERS | _WHOLE if unknown else _NUMBERS
    wanted, found = ({each.name: each for each in node.attribute if each.type in kinds} for node in (original, planned))
    for name, attribute in found.items():
        if _written_anew(planned, attribute):
            continue
        if name not in wanted:
            return f"its attribute {name!r} was not there"
        if said := attribute_differs(wanted[name], attribute, "and was"):
            return said
    return next((f"its attribute {name!r} is gone" for name in wanted if name not in found), "")


def _written_anew(node: onnx.NodeProto, attribute: AttributeProto) -> bool:
    """Gemm's bias takes beta up where a pass computes it."""
    return node.op_type == "Gemm" and attribute.name == "beta" and attribute.f == 1
