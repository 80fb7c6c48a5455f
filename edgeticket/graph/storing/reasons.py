"""Why tensors are not stored as was asked, a sentence for each reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import onnx

from edgeticket.artifact.manifest import TensorInfo
from edgeticket.graph.passes.note import NEGATIVE_ZEROS
from edgeticket.graph.storing.tensors import unpackable
from edgeticket.text import listing

REFUSED = "stored dense: "  # how a tensor's note begins where the runtime is the reason
_MANY = 0.05  # the share of a tensor
_OTHER_FLOATS = ("float16", "bfloat16", "float64")


def left_alone(graph: onnx.GraphProto, opset: int, tensors: Sequence[TensorInfo], weights: str) -> Iterator[str]:
    """A sentence for each reason why tensors are not stored as was asked."""
    refused: dict[str, list[str]] = {}
    for tensor in tensors:
        if tensor.note.startswith(REFUSED):
            refused.setdefault(tensor.note.removeprefix(REFUSED), []).append(tensor.name)
    for reason, names in refused.items():
        yield f"{listing(names)}: dense, because {reason}"
    for kind, names in unpackable(graph, opset).items():
        yield f"{listing(names)}: as given, because no operator of this opset rebuilds {kind}"
    others = [tensor.name for tensor in tensors if tensor.dtype in _OTHER_FLOATS]
    if weights != "fp32" and others:
        yield f"{listing(others)}: as precise as given, because --weights is about float32"


def kept_signs(negative_zeros: Mapping[str, int], tensors: Sequence[TensorInfo]) -> Iterator[str]:
    """A sentence for each tensor of which negative zeros are a good part: a mask that was multiplied makes them."""
    for tensor in tensors:
        count = negative_zeros.get(tensor.name, 0)
        if count >= _MANY * math.prod(tensor.shape):
            yield (
                f"{tensor.name}: {count:,} {NEGATIVE_ZEROS}, because it is an output, or an operator reads it that may "
                "tell them apart from zeros. Add 0 to the weight before it is exported, and they are zeros"
            )
