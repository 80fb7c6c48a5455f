"""Operators that choose or round, so that what they read does not show in what they give; and what depends on those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx

from edgeticket.graph.protos import STANDARD, reads_of, without_default

_FLOATS = frozenset([
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16,
])  # fmt: skip
_COMPARES = frozenset(["Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual"])
_PICKS = frozenset(["ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "TopK", "Unique"])
_STEPS = frozenset([
    "Binarizer", "Ceil", "DynamicQuantizeLinear", "Floor", "Hardmax", "LinearClassifier", "OneHot", "QuantizeLinear",
    "Round", "SVMClassifier", "Sign", "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "ZipMap",
])  # fmt: skip
_CHOOSES = _COMPARES | _PICKS | _STEPS
_VALUES_FIRST = frozenset(["TopK", "Unique"])  # their first output holds the numbers themselves
_LABEL_FIRST = frozenset(["LinearClassifier", "SVMClassifier"])  # and their second one the scores
_MIXES = frozenset([
    "Attention", "Conv", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "MultiHeadAttention", "RNN",
])  # fmt: skip
_INTEGERS = _COMPARES | (_PICKS - _VALUES_FIRST) | frozenset([
    "And", "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "Not", "Or", "QuantizeLinear", "Shape", "Size",
])  # fmt: skip


@dataclass
class Dependence:
    """The values of a graph that depend on its inputs by a way without a choice, and those that do by choices alone."""

    directly: set[str] = field(default_factory=set)
    by_choice: set[str] = field(default_factory=set)
    floats: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> Dependence:
        """Follow the nodes, which come in an order that can be run."""
        stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
        given = without_default(graph)
        found = cls({value.name for value in given})
        found.floats = {value.name for value in given if value.type.tensor_type.elem_type in _FLOATS}
        found.floats |= {name for name, kind in stored.items() if kind in _FLOATS}
        for node in nodes:
            found._follow(node)
        return found

    def chooses(self, node: onnx.NodeProto) -> bool:
        """Is any of its outputs a choice, or rounded?"""
        if node.op_type == "Cast":
            return node.input[0] in self.floats and not _gives_floats(node, self.floats)
        return node.op_type in _CHOOSES

    def hides(self, node: onnx.NodeProto) -> bool:
        """Does it choose among what depends on an input?"""
        return self.chooses(node) and not self.by_choice.isdisjoint(node.output)

    def mixes(self, node: onnx.NodeProto) -> bool:
        """Does it sum over what it reads, and so show every part of that? Behind one that does, nothing is hidden."""
        return node.op_type in _MIXES and not self.by_choice.intersection(node.output)

    def _follow(self, node: onnx.NodeProto) -> None:
        reads = list(reads_of(node))
        directly = not self.directly.isdisjoint(reads)
        choice = not self.by_choice.isdisjoint(reads)
        chooses = self.chooses(node)
        for place, name in enumerate(node.output):
            hidden = chooses and not _shows(node.op_type, place)
            if node.op_type in ("Shape", "Size"):
                pass
            elif directly and not hidden:
                self.directly.add(name)
            elif directly or choice:
                self.by_choice.add(name)
            if _gives_floats(node, self.floats) and not (place and node.op_type in _VALUES_FIRST):
                self.floats.add(name)


def _shows(kind: str, place: int) -> bool:
    """Does a choosing operator give out numbers here, and not a choice?"""
    return (kind in _VALUES_FIRST and place == 0) or (kind in _LABEL_FIRST and place == 1)


def _gives_floats(node: onnx.NodeProto, floats: set[str]) -> bool:
    kinds: Mapping[str, onnx.AttributeProto] = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Cast":
        return kinds["to"].i in _FLOATS
    if node.op_type in _INTEGERS or node.op_type.startswith("QLinear"):
        return False
    if node.op_type in ("Where", "OneHot"):
        return node.input[-1] in floats
    if node.op_type in ("Constant", "ConstantOfShape"):
        value = kinds.get("value")
        return value.t.data_type in _FLOATS if value is not None else not {"value_int", "value_ints"} & set(kinds)
    if node.op_type == "LabelEncoder":
        return "values_floats" in kinds
    if node.domain in STANDARD and node.op_type not in ("DequantizeLinear", "If", "Loop", "Scan"):
        return not node.input or node.input[0] in floats
    return True
