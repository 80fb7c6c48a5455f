"""What each operator does to channels: a registry from operator to rule.

A rule ties the channels of its output to those of its inputs, carries constants through, and names the constant inputs
that must be cut with them. It returns False, having changed nothing that matters, where it does not know the node.
Such a node, and every operator without a rule, is a barrier: all its inputs' channels stay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir

from edgeticket.graph.channels import Channels, Cut, Floats, State, rank_of, static
from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.linear import conv, gemm, matmul
from edgeticket.graph.values import Array, attribute, constant, shape_of

Rule = Callable[[State, ir.Node], bool]

_ELEMENTWISE = (
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
    counts = [_length(value, behind) for value in node.inputs if value is not None]
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
            operands.append(array)
            if _length(value, behind) == total and total > 1:
                cuts.append(Cut(node, index, array.ndim + behind, np.empty(0, np.int64)))
        elif _length(value, behind) == total:
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


def _length(value: ir.Value, behind: int) -> int | None:
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
        elif operand is not None and operand.dtype.kind == "f":
            feeds.append(operand.astype(np.float64))
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
    proto = ir.to_proto(node)
    assert isinstance(proto, onnx.NodeProto)
    results = evaluate(proto, feeds, state.version)
    return None if results is None else results[0]


def _uniform(result: Array | None, rank: int, behind: int, total: int) -> Floats:
    """One number for each channel, NaN where a channel's elements differ."""
    if result is None or result.ndim != rank or result.shape[behind] not in (1, total):
        return np.full(total, np.nan)
    rows = np.moveaxis(result.astype(np.float64), behind, 0).reshape(result.shape[behind], -1)
    same = np.where((rows == rows[:, :1]).all(axis=1), rows[:, 0], np.nan)
    return np.broadcast_to(same, (total,)).astype(np.float64)


def batch_normalization(state: State, node: ir.Node) -> bool:
    """Normalisation that could not be folded: a number of its own for each channel."""
    source = state.followed_input(node.inputs[0])
    parameters = [constant(value) for value in node.inputs[1:5]]
    if source is None or source.axis != 1 or attribute(node, "training_mode", 0) or attribute(node, "spatial", 1) != 1:
        return False
    if any(array is None or array.shape != (source.count,) for array in parameters) or len(parameters) != 4:
        return False
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return False
    gamma, beta, mean, variance = (array.astype(np.float64) for array in parameters if array is not None)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        moved = np.where(scale == 0, 0.0, scale * (source.constant - mean)) + beta
    state.cuts += [Cut(node, index, 0, source.units) for index in range(1, 5)]
    state.write(node.outputs[0], 1, source.units, moved)
    return True


def pool(state: State, node: ir.Node) -> bool:
    """Pooling of each channel. An average over padding keeps only the constant 0."""
    source = state.followed_input(node.inputs[0])
    if source is None or source.axis != 1 or any(o.uses() or o.is_graph_output() for o in node.outputs[1:]):
        return False
    kept = source.constant
    if node.op_type == "AveragePool":
        padded = any(attribute(node, "pads", ())) or attribute(node, "auto_pad", "NOTSET").startswith("SAME")
        if attribute(node, "ceil_mode", 0) or (padded and attribute(node, "count_include_pad", 0)):
            kept = np.where(kept == 0, 0.0, np.nan)
    state.write(node.outputs[0], 1, source.units, kept)
    return True


def reduce(state: State, node: ir.Node) -> bool:
    """A mean, maximum or minimum over other axes than the channels'."""
    source = state.followed_input(node.inputs[0])
    rank = rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    axes = attribute(node, "axes", None)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        axes = None if listed is None else [int(axis) for axis in listed.reshape(-1)]
    if not axes:
        return False
    reduced = {axis % rank for axis in axes}
    if source.axis in reduced or 0 in reduced:
        return False
    axis = source.axis
    if not attribute(node, "keepdims", 1):
        axis -= sum(other < source.axis for other in reduced)
    state.write(node.outputs[0], axis, source.units, source.constant)
    return True


def flatten(state: State, node: ir.Node) -> bool:
    """[N, C, a, b] -> [N, C·a·b]: each channel becomes a·b elements that share its fate."""
    source = state.followed_input(node.inputs[0])
    dims = shape_of(node.inputs[0]) if node.inputs[0] is not None else None
    rest = static(dims[2:]) if dims is not None else None
    if source is None or source.axis != 1 or dims is None or rest is None:
        return False
    if attribute(node, "axis", 1) not in (1, 1 - len(dims)):
        return False
    repeat = int(np.prod(rest, dtype=np.int64))
    if repeat < 1:
        return False
    state.write(node.outputs[0], 1, np.repeat(source.units, repeat), np.repeat(source.constant, repeat))
    return True


def reshape(state: State, node: ir.Node) -> bool:
    """Only a target that copies the batch and the channels, (0, 0, ...), as `canonicalise` writes it."""
    source = state.followed_input(node.inputs[0])
    target = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if source is None or source.axis != 1 or target is None or attribute(node, "allowzero", 0):
        return False
    if target.size < 2 or target[0] != 0 or target[1] != 0:
        return False
    state.write(node.outputs[0], 1, source.units, source.constant)
    return True


def _axes(node: ir.Node) -> list[int] | None:
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        return None if listed is None else [int(axis) for axis in listed.reshape(-1)]
    return list(attribute(node, "axes", ())) or None


def unsqueeze(state: State, node: ir.Node) -> bool:
    """New axes of length 1: the channels' axis moves behind those before it."""
    source, axes, rank = state.followed_input(node.inputs[0]), _axes(node), rank_of(node.inputs[0])
    if source is None or axes is None or rank is None:
        return False
    new = {axis % (rank + len(axes)) for axis in axes}
    old = [axis for axis in range(rank + len(axes)) if axis not in new]
    state.write(node.outputs[0], old[source.axis], source.units, source.constant)
    return True


def squeeze(state: State, node: ir.Node) -> bool:
    """Axes of length 1 go, but not the channels'."""
    source, axes, rank = state.followed_input(node.inputs[0]), _axes(node), rank_of(node.inputs[0])
    if source is None or axes is None or rank is None:
        return False
    gone = {axis % rank for axis in axes}
    if source.axis in gone:
        return False
    state.write(node.outputs[0], source.axis - sum(a < source.axis for a in gone), source.units, source.constant)
    return True


def transpose(state: State, node: ir.Node) -> bool:
    """The channels' axis moves."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    order = attribute(node, "perm", tuple(reversed(range(rank))))
    state.write(node.outputs[0], order.index(source.axis), source.units, source.constant)
    return True


def concat(state: State, node: ir.Node) -> bool:
    """Along the channels: one list after the other. An operand that is not followed is pinned."""
    ranks = [rank_of(value) for value in node.inputs]
    rank = ranks[0] if ranks else None
    if rank is None:
        return False
    axis = attribute(node, "axis", 1) % rank
    parts: list[Channels] = []
    for value in node.inputs:
        count = _length(value, axis - rank) if value is not None else None
        if value is None or count is None or rank_of(value) != rank:
            return False
        parts.append(state.read(value, axis, count))
    units = np.concatenate([part.units for part in parts])
    state.write(node.outputs[0], axis, units, np.concatenate([part.constant for part in parts]))
    constants = [value for value in node.inputs if constant(value) is not None]
    return not constants


def shape(state: State, node: ir.Node) -> bool:
    """Reading other dimensions than the channels' changes nothing."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    return source.axis not in range(rank)[attribute(node, "start", 0) : attribute(node, "end", None)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    "AveragePool": pool,
    "BatchNormalization": batch_normalization,
    "Concat": concat,
    "Conv": conv,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": pool,
    "GlobalMaxPool": pool,
    "MatMul": matmul,
    "MaxPool": pool,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceMin": reduce,
    "Reshape": reshape,
    "Shape": shape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
