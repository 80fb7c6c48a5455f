"""onnx's shape inference, kept from the operators on which it ends the process.

The inference functions of the domain ai.onnx.ml (onnx 1.23: LabelEncoder, DictVectorizer and others) read the type of
an input without asking whether it is known; it is not where another domain's operator comes before. They are hidden
while inference runs until the types and ranks of all that they read are known; before, what they return stays as the
file declares it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx

_UNSAFE = "ai.onnx.ml"
_HIDDEN = "Hidden"  # an operator that onnx does not know is passed over


def inferred(model: onnx.ModelProto, *, strict: bool = False) -> onnx.ModelProto:
    """A copy of the model with the shapes and types that follow; some of its operators may be hidden.

    Without `strict` what contradicts is passed over, and the numbers of constants are not propagated: that would fill
    whatever a tiny file asks for.

    Raises:
        Exception: the inference is C++ and raises what it likes; with `strict`, also what is wrong with the graph.
    """
    hidden = list(_unsafe(model.graph))
    while True:
        found = _without(hidden, model, strict=strict)
        known = set(_known(found.graph)) if hidden else set()
        ready = [id(node) for node in model.graph.node if node.domain == _UNSAFE and known.issuperset(node.input)]
        left = [node for node in hidden if id(node) not in ready]
        if len(left) == len(hidden):
            return found
        hidden = left


def _without(hidden: Sequence[onnx.NodeProto], model: onnx.ModelProto, *, strict: bool) -> onnx.ModelProto:
    """What inference finds while it passes over `hidden`."""
    names = [node.op_type for node in hidden]
    try:
        for node in hidden:
            node.op_type = _HIDDEN
        found = onnx.shape_inference.infer_shapes(model, check_type=strict, strict_mode=strict, data_prop=False)
    finally:
        for node, name in zip(hidden, names, strict=True):
            node.op_type = name
    return found


def _known(graph: onnx.GraphProto) -> Iterator[str]:
    """The tensors of a known type and rank in a graph in which shapes were inferred."""
    for value in (*graph.input, *graph.value_info):
        if value.type.tensor_type.elem_type and value.type.tensor_type.HasField("shape"):
            yield value.name
    yield from (tensor.name for tensor in graph.initializer)


def _unsafe(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        if node.domain == _UNSAFE:
            yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _unsafe(attribute.g)
            for part in attribute.graphs:
                yield from _unsafe(part)
