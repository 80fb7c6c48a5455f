"""onnx's shape inference, kept from the operators on which it ends the process.

The inference functions of the domain ai.onnx.ml (onnx 1.23: LabelEncoder, DictVectorizer and others) read the type of
an input without asking whether it is known; it is not where another domain's operator comes before. They are hidden
while inference runs until the types and ranks of all that they read are known; before, what they return stays as the
file declares it.

Operators that onnx does not infer, most of them of other domains, are inferred as one of the standard where they return
the shape of what they read, or are that operator with something added: files often say nothing of what follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx

from edgeticket.graph.protos import STANDARD, bodies_of

_UNSAFE = "ai.onnx.ml"
_HIDDEN = "Hidden"  # an operator that onnx does not know is passed over
_CONTRIB = "com.microsoft"
# -> the operator of the standard, and how many inputs it has, or which
_STAND_INS: dict[tuple[str, str], tuple[str, int | tuple[int, ...]]] = {
    **dict.fromkeys(((_UNSAFE, kind) for kind in ("Normalizer", "Scaler")), ("Cast", 1)),  # to float
    **dict.fromkeys(((_UNSAFE, kind) for kind in ("Binarizer", "Imputer")), ("Identity", 1)),
    **dict.fromkeys(
        (
            (_CONTRIB, kind)
            for kind in (
                "BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization",
                "SkipSimplifiedLayerNormalization",
            )
        ),
        ("Identity", 1),
    ),
    ("", "GroupNormalization"): ("Identity", 1),
    ("", "SimplifiedLayerNormalization"): ("Identity", 1),
    (_CONTRIB, "DequantizeLinear"): ("DequantizeLinear", 3),
    (_CONTRIB, "QuantizeLinear"): ("QuantizeLinear", 3),
    (_CONTRIB, "QGemm"): ("Gemm", (0, 3)),
    (_CONTRIB, "QLinearAdd"): ("Add", (0, 3)),
    (_CONTRIB, "QLinearMul"): ("Mul", (0, 3)),
    (_CONTRIB, "QLinearGlobalAveragePool"): ("GlobalAveragePool", 1),
    (_CONTRIB, "QLinearAveragePool"): ("AveragePool", 1),
    (_CONTRIB, "QLinearLeakyRelu"): ("Identity", 1),
    (_CONTRIB, "QLinearSigmoid"): ("Identity", 1),
    (_CONTRIB, "FusedConv"): ("Conv", 3),
    (_CONTRIB, "FusedGemm"): ("Gemm", 3),
    (_CONTRIB, "FusedMatMul"): ("MatMul", 2),
}  # fmt: skip
_TURNED_BACK: dict[int, int] = {
    onnx.TensorProto.STRING: onnx.TensorProto.INT64,
    onnx.TensorProto.INT64: onnx.TensorProto.STRING,
}
_LABELS: dict[str, int] = {
    "values_floats": onnx.TensorProto.FLOAT,
    "values_int64s": onnx.TensorProto.INT64,
    "values_strings": onnx.TensorProto.STRING,
}
_TURNED = ("transA", "transB", "transBatchA", "transBatchB")


def inferred(model: onnx.ModelProto, *, strict: bool = False) -> onnx.ModelProto:
    """A copy of the model with the shapes and types that follow; some of its operators may be hidden or others.

    Without `strict` what contradicts is passed over, and the numbers of constants are not propagated: that would fill
    whatever a tiny file asks for.

    Raises:
        Exception: the inference is C++ and raises what it likes; with `strict`, also what is wrong with the graph.
    """
    standard = [entry.domain for entry in model.opset_import if entry.domain in STANDARD]
    changed = [(node, onnx.NodeProto.FromString(node.SerializeToString())) for node in _foreign(model.graph)]
    types = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.value_info)}
    try:
        hidden = [node for node, _ in changed if strict or not _stand_in(node, standard, types)]
        return _while_ready([node for node in hidden if node.domain == _UNSAFE], model, strict=strict)
    finally:
        for node, before in changed:
            node.CopyFrom(before)


def _while_ready(hidden: Sequence[onnx.NodeProto], model: onnx.ModelProto, *, strict: bool) -> onnx.ModelProto:
    """What inference finds while it passes over `hidden`, then over those of which the inputs are not known yet."""
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


def _stand_in(node: onnx.NodeProto, standard: list[str], types: Mapping[str, int]) -> bool:
    """Make the node one of the standard whose first output has the same shape and type, if there is one.

    `standard` says how the model imports the standard, which some models do not need; `types` are those declared.
    """
    kind, count = _STAND_INS.get((node.domain, node.op_type), ("", 0))
    to: int | None = onnx.TensorProto.FLOAT
    if (node.domain, node.op_type) == (_UNSAFE, "LabelEncoder"):
        kind, count, to = "Cast", 1, _label_type(node, types)
    turned = any(attribute.name in _TURNED and attribute.i for attribute in node.attribute)
    if not kind or not standard or to is None or (turned and kind == "MatMul"):
        return False
    node.op_type, node.domain = kind, standard[0]
    taken = [
        name for index, name in enumerate(node.input) if (index < count if isinstance(count, int) else index in count)
    ]
    del node.input[:], node.output[1:]
    node.input.extend(taken)
    if kind == "Cast":
        del node.attribute[:]
        node.attribute.append(onnx.helper.make_attribute("to", to))
    return True


def _label_type(node: onnx.NodeProto, types: Mapping[str, int]) -> int | None:
    """What type a LabelEncoder returns: its values say it; the first version turns texts into numbers and back."""
    for attribute in node.attribute:
        if attribute.name in _LABELS:
            return _LABELS[attribute.name]
        if attribute.name == "values_tensor":
            return int(attribute.t.data_type)
    first = any(attribute.name == "classes_strings" for attribute in node.attribute)
    return _TURNED_BACK.get(types.get(node.input[0], 0)) if first else None


def _foreign(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        if node.domain not in STANDARD or (node.domain, node.op_type) in _STAND_INS:
            yield node
        for body in bodies_of(node):
            yield from _foreign(body)
