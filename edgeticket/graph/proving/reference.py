"""A float64 reference of an ONNX model: the yardstick for what float32 rounding alone does to its outputs.

graph/double/ runs the graph in numpy, at 3 to 8 GMAC/s on two cores and about 0.2 ms for each node beside that. So the
number of samples follows from the model's multiply-accumulates, and from a model of the time that its nodes take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.artifact import checks
from edgeticket.graph.double.network import CannotRunError, Network
from edgeticket.graph.double.operation import Signature
from edgeticket.graph.inference import inferred
from edgeticket.text import one_line

Array = NDArray[np.generic]
Feed = Mapping[str, Array]

MOST_ROWS = 64
BUDGET_MACS = 3_000_000_000
BUDGET_S = 1.0  # by the cost model of double/network.py
MOST_MACS = 60_000_000_000  # beyond, one sample would take longer than the rest of an export
_SMALL_BYTES = 1024  # shape inference sees the numbers of constants up to here
_SECOND = 4.0  # times the budget, so that hardly a network is seen on one feed alone
_RECURRENT = ("LSTM", "GRU", "RNN")
_MULTIPLY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "ConvInteger", "MatMulInteger", *_RECURRENT)


@dataclass(frozen=True)
class Reference:
    """Output name -> float64 array for each feed, None for one that cannot be run.

    `outputs` is None, with the reason, where no feed can. `single` are outputs that are no better than float32, because
    `operators` on the way to them were run in that.
    """

    outputs: tuple[dict[str, Array] | None, ...] | None
    reason: str = ""
    single: frozenset[str] = frozenset()
    operators: tuple[str, ...] = ()
    entered: frozenset[tuple[str, str]] = frozenset()  # bodies that ran: their node's first output, the attribute


def evaluate(
    model: onnx.ModelProto,
    feeds: Sequence[Feed],
    unrounded: Mapping[str, Array] | None = None,
    by_runtime: frozenset[Signature] = frozenset(),
    *,
    budget_s: float = math.inf,
) -> Reference:
    """The model's outputs in float64. Integer and boolean inputs stay what they are; see double/network.py.

    The first feed is run, a second one unless it is very large, and others while all cost less than `budget_s`, by a
    model of their time.
    """
    results: list[dict[str, Array] | None] = []
    single: set[str] = set()
    reason = ""
    network = Network(model, unrounded, by_runtime)
    for number, feed in enumerate(feeds):
        if number and network.cost_ns * (number + 1) / number > 1e9 * budget_s * (_SECOND if number == 1 else 1):
            results.append(None)
            continue
        try:
            found = network.run(feed)
            results.append(checks.flattened(found.outputs))
            single |= found.single
        except CannotRunError as error:
            reason = f"the reference evaluator cannot run it ({one_line(error)})"
            results.append(None)
    if not any(result is not None for result in results):
        return Reference(None, reason)
    return Reference(
        tuple(results), "", frozenset(single), tuple(sorted(network.in_single)), frozenset(network.entered)
    )


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
        fits = spent + needed <= BUDGET_MACS and taken + rows(feed) <= MOST_ROWS
        if not kept or fits:
            kept.append(feed)
            spent, taken = spent + needed, taken + rows(feed)
    return kept


def rows(feed: Feed) -> int:
    """The samples of a feed: the length of its longest input, 1 without any."""
    return max((len(array) for array in feed.values() if array.ndim), default=1)


def macs(model: onnx.ModelProto, feed: Feed | None = None) -> int:
    """Multiply-accumulates of one sample, or of a whole `feed` with its shapes, in the main graph.

    Counted are convolutions, matrix products and recurrent layers. Dimensions that are open all the same count as 1.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    weights |= {
        node.output[0]: tuple(attribute.t.dims)
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.HasField("t")
    }
    products = [node for node in model.graph.node if node.op_type in _MULTIPLY and len(node.input) > 1]
    names = {name for node in products for name in (node.input[1], node.output[0])}
    shapes = _output_shapes(_outline(model, feed or {}), names) if products else {}
    total = 0
    for node in products:
        repeated = shapes.get(node.output[0], ())
        if node.op_type in _RECURRENT:
            size = sum(_product(weights.get(name, ())) for name in node.input[1:3])
            positions = repeated[:1] + (repeated[2:3] if feed is not None else ())
        else:
            fixed = weights.get(node.input[1])
            size = _product(shapes.get(node.input[1], ())[-2:] if fixed is None else fixed)
            # every output position uses each weight once: pixels of a convolution, rows of a product
            positions = repeated[2:] if "Conv" in node.op_type else repeated[1:-1]
            positions += repeated[:1] if feed is not None and len(repeated) > 1 else ()
        total += size * _product([dim for dim in positions if dim] or [1])
    return total


def elements(model: onnx.ModelProto, feed: Feed, names: set[str]) -> dict[str, int]:
    """How many elements values of the main graph have on a feed, where shape inference knows."""
    shapes = _output_shapes(_outline(model, feed), names)
    return {name: _product(shape or (1,)) for name, shape in shapes.items() if all(shape)}


def _product(dims: Sequence[int]) -> int:
    return int(np.prod(dims, dtype=np.int64)) if len(dims) else 0


def _outline(model: onnx.ModelProto, feed: Feed) -> onnx.ModelProto:
    """A copy whose inputs have the shapes that `feed` gives them; of larger weights it has the types and shapes."""
    source = model.graph
    graph = onnx.GraphProto(name=source.name, node=source.node, input=source.input, output=source.output)
    graph.sparse_initializer.extend(source.sparse_initializer)
    if not feed:
        graph.value_info.extend(source.value_info)  # else they may be of other shapes
    given = {value.name for value in source.input}
    for tensor in source.initializer:
        if tensor.ByteSize() <= _SMALL_BYTES:
            graph.initializer.append(tensor)
        elif tensor.name not in given:
            kind = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            graph.input.append(onnx.ValueInfoProto(name=tensor.name, type=kind))
    fixed = onnx.ModelProto(
        ir_version=model.ir_version, graph=graph, opset_import=model.opset_import, functions=model.functions
    )
    for value in fixed.graph.input:
        if value.name in feed:
            kind = value.type.tensor_type.elem_type
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, np.shape(feed[value.name])))
    return fixed


def _output_shapes(model: onnx.ModelProto, names: set[str]) -> dict[str, tuple[int, ...]]:
    try:
        found = inferred(model)
    except Exception:  # shape inference is a courtesy here, and models above 2 GB cannot have it
        return {}
    values = (*found.graph.value_info, *found.graph.output)
    return {v.name: tuple(int(d.dim_value) for d in v.type.tensor_type.shape.dim) for v in values if v.name in names}
