"""A float64 reference of an ONNX model: the yardstick for what float32 rounding alone does to its outputs.

Initializers, constants and inputs are widened and onnx's own evaluator runs the graph in numpy. That is slow (about
1 GMAC/s on a core), so the number of samples follows from the model's multiply-accumulates.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from edgeticket.artifact import checks

Array = NDArray[np.generic]
Feed = Mapping[str, Array]

MOST_ROWS = 64
BUDGET_MACS = 1_000_000_000
MOST_MACS = 20_000_000_000  # beyond, one sample would take longer than the rest of an export
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Reference:
    """Output name -> float64 array for each feed; None, with the reason, where the model cannot be evaluated."""

    outputs: tuple[dict[str, Array], ...] | None
    reason: str = ""


def evaluate(model: onnx.ModelProto, feeds: Sequence[Feed]) -> Reference:
    """The model's outputs in float64. Integer and boolean inputs stay what they are."""
    try:
        evaluator = ReferenceEvaluator(widened(model))
        names = [output.name for output in model.graph.output]
        results = []
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # overflow in an extreme sample is a result
            for feed in feeds:
                arrays = evaluator.run(names, {name: _wide(array) for name, array in feed.items()})
                results.append(checks.flattened(dict(zip(names, arrays, strict=True))))
    except Exception as error:  # the evaluator raises what each of its hundreds of operators happens to raise
        text = " ".join(str(error).split())[:_LONGEST_REASON]
        return Reference(None, f"onnx's reference evaluator cannot run it ({type(error).__name__}: {text})")
    return Reference(tuple(results))


def rows_within_budget(model: onnx.ModelProto) -> int:
    """How many samples the reference should take, a pure function of the model; 0 where even one is too many."""
    needed = macs(model)
    return 0 if needed > MOST_MACS else int(np.clip(BUDGET_MACS // max(1, needed), 1, MOST_ROWS))


def within_budget(model: onnx.ModelProto, feeds: Sequence[Feed]) -> list[Feed]:
    """The feeds that the reference should take: one that it can afford, and every other that the budget still allows.

    A feed is counted with the shapes it has; [] where even the cheapest would take longer than the rest of an export.
    """
    kept: list[Feed] = []
    spent = taken = 0
    costs: dict[tuple[tuple[int, ...], ...], int] = {}
    for feed in feeds:
        shapes = tuple(array.shape for array in feed.values())
        needed = costs[shapes] = costs[shapes] if shapes in costs else macs(model, feed)
        if needed > MOST_MACS:
            continue
        if not kept or (spent + needed <= BUDGET_MACS and taken + rows(feed) <= MOST_ROWS):
            kept.append(feed)
            spent, taken = spent + needed, taken + rows(feed)
    return kept


def rows(feed: Feed) -> int:
    """The samples of a feed: the length of its longest input, 1 without any."""
    return max((len(array) for array in feed.values() if array.ndim), default=1)


def macs(model: onnx.ModelProto, feed: Feed | None = None) -> int:
    """Multiply-accumulates in convolutions and matrix products: of one sample, or of a whole `feed` with its shapes.

    Dimensions that are open all the same count as 1.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = _output_shapes(model if feed is None else _with_shapes(model, feed))
    total = 0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or len(node.input) < 2:
            continue
        weight = weights.get(node.input[1], ())
        size = int(np.prod(weight, dtype=np.int64)) if weight else 0
        repeated = shapes.get(node.output[0], ())
        # every output position uses each weight once: pixels of a convolution, rows of a product
        positions = repeated[2:] if node.op_type.startswith("Conv") else repeated[1:-1]
        positions += repeated[:1] if feed is not None and len(repeated) > 1 else ()
        total += size * int(np.prod([dim for dim in positions if dim], dtype=np.int64))
    return total


def _with_shapes(model: onnx.ModelProto, feed: Feed) -> onnx.ModelProto:
    """A copy whose inputs have the shapes that `feed` gives them."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]  # written for open shapes
    for value in fixed.graph.input:
        if value.name in feed:
            kind = value.type.tensor_type.elem_type
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, feed[value.name].shape))
    return fixed


def _output_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    try:
        inferred = shape_inference.infer_shapes(model)
    except Exception:  # shape inference is a courtesy here, and models above 2 GB cannot have it
        return {}
    values = (*inferred.graph.value_info, *inferred.graph.output)
    return {v.name: tuple(int(d.dim_value) for d in v.type.tensor_type.shape.dim) for v in values}


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in float64: initializers, constants, and the types that operators are told to produce."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen_graph(wide.graph)
    for function in wide.functions:
        _widen_nodes(function.node)
    return wide


def _widen_graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for sparse in graph.sparse_initializer:
        _widen_tensor(sparse.values)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = numpy_helper.from_array(np.zeros(1, np.float64))
            node.attribute.append(onnx.helper.make_attribute("value", zero))
        if node.op_type == "Constant":
            _widen_float_constant(node)
        for attribute in tuple(node.attribute):
            if attribute.name == "auto_pad" and attribute.s == b"VALID":
                node.attribute.remove(attribute)  # the same as no padding; the reference pads it up to onnx 1.22
            if attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            if attribute.HasField("t"):
                _widen_tensor(attribute.t)
            for subgraph in (attribute.g,) if attribute.HasField("g") else tuple(attribute.graphs):
                _widen_graph(subgraph)


def _widen_float_constant(node: onnx.NodeProto) -> None:
    """value_float and value_floats have no float64 form; a tensor has."""
    for attribute in node.attribute:
        if attribute.name not in ("value_float", "value_floats"):
            continue
        value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        tensor = numpy_helper.from_array(np.asarray(value, np.float64))
        attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array
