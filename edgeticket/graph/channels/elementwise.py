"""The rule for operators that broadcast: channels are tied where an operand has them all, constants carried through.

Constants are computed by onnx.reference in float64, on one element for each channel.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir import serde

from edgeticket.graph.channels.state import Channels, Cut, Floats, State, rank_of
from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.values import Array, attribute, constant, exact, shape_of

ELEMENTWISE = (
    "Abs", "Add", "Cast", "Ceil", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
    "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow",
    "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish",
    "Tanh", "ThresholdedRelu",
)  # fmt: skip


def elementwise(state: State, node: ir.Node) -> bool:
    """Broadcasting operators: channels are tied where an operand has them all, constants among operands are cut."""
    output = node.outputs[0]
    ranks = [rank_of(value) for value in node.inputs if value is not None]
    if len(node.outputs) != 1 or any(rank is None for rank in ranks):
        return False
    rank = max(rank for rank in ranks if rank is not None)
    followed = [
        (state.channels[value].axis - (rank_of(value) or 0), value)
        for value in node.inputs
        if value is not None and value in state.channels
    ]
    if not followed:
        return False
    behind = followed[0][0]  # the channel axis, counted from the last dimension
    counts = [length_behind(value, behind) for value in node.inputs if value is not None]
    if any(count is None for count in counts):
        return False
    total = max(count for count in counts if count is not None)
    operands: list[Channels | Array | None] = []
    cuts: list[Cut] = []
    for index, value in enumerate(node.inputs):
        array = constant(value)
        if value is None:
            operands.append(None)
        elif array is not None:
            operands.append(exact(value) if array.dtype.kind == "f" else array)
            if length_behind(value, behind) == total and total > 1:
                cuts.append(Cut(node, index, array.ndim + behind, np.empty(0, np.int64)))
        elif length_behind(value, behind) == total:
            operands.append(state.read(value, behind + (rank_of(value) or 0), total))
        else:
            state.pin(value)
            operands.append(Channels(0, state.fresh(1, pinned=True), np.full(1, np.nan)))
    tied = [operand for operand in operands if isinstance(operand, Channels) and operand.count == total]
    if not tied:
        return False
    for other in tied[1:]:
        state.tie(tied[0].units, other.units)
    state.cuts += [Cut(cut.node, cut.index, cut.axis, tied[0].units) for cut in cuts]
    state.write(output, rank + behind, tied[0].units, _through(state, node, operands, rank, behind, total))
    if output.shape is None and len(node.inputs) == 1 and node.inputs[0] is not None:
        output.shape = node.inputs[0].shape
    return True


def length_behind(value: ir.Value, behind: int) -> int | None:
    """The length of the dimension `behind` places from the end; 1 where broadcasting adds it; None if unknown."""
    array = constant(value)
    dims = list(array.shape) if array is not None else shape_of(value)
    if dims is None:
        return None
    if len(dims) < -behind:
        return 1
    dim = dims[behind]
    return dim if isinstance(dim, int) else None


def _through(
    state: State, node: ir.Node, operands: list[Channels | Array | None], rank: int, behind: int, total: int
) -> Floats:
    """The output's constants [total]: each channel whose operands are all constant, and 0 times anything."""
    feeds: list[Array | None] = []
    known = np.ones(total, np.bool_)
    zero = np.zeros(total, np.bool_)
    for operand in operands:
        if isinstance(operand, Channels):
            spread = [1] * rank
            spread[behind] = operand.count
            known &= ~np.isnan(operand.constant)
            zero |= operand.constant == 0
            feeds.append(np.nan_to_num(operand.constant).reshape(spread))
        else:
            feeds.append(operand)
    result = np.full(total, np.nan)
    if known.any():
        result = np.where(known, _uniform(_compute(state, node, feeds), rank, behind, total), np.nan)
    if node.op_type == "Mul":
        result[zero] = 0
    if node.op_type == "Cast" and attribute(node, "to", 0) not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        result[result != 0] = np.nan
    return result


def _compute(state: State, node: ir.Node, feeds: list[Array | None]) -> Array | None:
    proto = serde.serialize_node(node)
    results = evaluate(proto, feeds, state.version)
    return None if results is None else results[0]


def _uniform(result: Array | None, rank: int, behind: int, total: int) -> Floats:
    """One number for each channel, NaN where a channel's elements differ."""
    if result is None or result.ndim != rank or result.shape[behind] not in (1, total):
        return np.full(total, np.nan)
    rows = np.moveaxis(result.astype(np.float64), behind, 0).reshape(result.shape[behind], -1)
    same = np.where((rows == rows[:, :1]).all(axis=1), rows[:, 0], np.nan)
    return np.broadcast_to(same, (total,)).astype(np.float64)
