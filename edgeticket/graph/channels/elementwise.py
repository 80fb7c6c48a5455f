"""The rule for operators that broadcast: channels are tied where an operand has them all, constants carried through.

Constants are computed by onnx.reference in float64, on one element for each channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir import serde

from edgeticket.graph.channels.codes import dynamic_scales
from edgeticket.graph.channels.records import Bools, Channels, Cut, Floats, Grid, LayerWeight, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.channels.stored import dequantised, real
from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.values import Array, attribute, constant, exact, shape_of

_NUMBERS = (
    "Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh",
    "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max",
    "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid",
    "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip
_DECISIONS = (
    "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Where", "Xor",
)  # fmt: skip
ELEMENTWISE = _NUMBERS + _DECISIONS
_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_TIE = 1e-5  # float32 may round two numbers of this relative distance to either order
_PLAIN: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Div": np.divide,
    "Identity": np.positive,
    "Mul": np.multiply,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Sub": np.subtract,
    "Tanh": np.tanh,
}
FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


@dataclass(frozen=True)
class _Frame:
    """Where the channels of an operator's result lie: axes counted from the last, ascending, and their lengths."""

    behind: tuple[int, ...]
    sizes: tuple[int, ...]


def elementwise(state: State, node: ir.Node) -> bool:
    """Broadcasting operators: channels are tied where an operand has them all, constants among operands are cut."""
    ranks = [rank_of(value) for value in node.inputs if value is not None]
    if len(node.outputs) != 1 or not ranks or any(rank is None for rank in ranks):
        return False
    rank = max(rank for rank in ranks if rank is not None)
    frame = _frame(state, node)
    if frame is None:
        return dynamic_scales(state, node)
    full = [_full(value, frame) for value in node.inputs]
    if any(1 < len(found) < len(frame.behind) for found in full):
        return False  # an operand that has some of three axes
    tied: list[Channels] = []
    sides: dict[int, Units] = {}
    cuts: list[tuple[int, ir.Value]] = []
    coded: list[LayerWeight] = []
    operands: list[tuple[tuple[int, ...], Floats] | Array | None] = []
    for index, (value, has) in enumerate(zip(node.inputs, full, strict=True)):
        array = constant(value)
        if value is None:
            operands.append(None)
            continue
        if array is None and len(has) in (0, len(frame.behind)) and (held := dequantised(value)) is not None:
            operands.append(real(held))
            if has:
                coded.append(held)
            continue
        if array is not None:
            operands.append(exact(value) if array.dtype.kind == "f" else array)
            size = int(np.prod([frame.sizes[place] for place in has]))
            if size > 1 and len(has) == len(frame.behind):
                cuts.append((index, value))
            elif size > 1:
                units = state.fresh(size)
                state.cuts.append(Cut(node, index, (array.ndim + frame.behind[has[0]],), units))
                _beside(state, sides, has[0], units)
            continue
        if not has:
            state.pin(value)
            operands.append(((), np.full((), np.nan)))
            continue
        axes = tuple(frame.behind[place] + (rank_of(value) or 0) for place in has)
        found = state.read(value, axes, tuple(frame.sizes[place] for place in has))
        operands.append((has, found.constant))
        if len(has) == len(frame.behind):
            tied.append(found)
        else:
            _beside(state, sides, has[0], found.units)
    lead = tied[0]
    for other in tied[1:]:
        state.tie(lead.units, other.units)
    turned = {found.ragged_index for found in tied}
    ragged = turned.pop() if len(turned) == 1 and not sides else None
    if sides:
        state.grids.append(Grid(lead.units, None, sides))
    for index, value in cuts:
        axes = tuple((rank_of(value) or 0) + place for place in frame.behind)
        state.cuts.append(Cut(node, index, axes, lead.units, ragged=ragged))
    for stored in coded:
        axes = tuple(stored.array.ndim + place for place in frame.behind)
        state.cuts.append(Cut(stored.node, 0, axes, lead.units, ragged=ragged))
    axes = tuple(rank + place for place in frame.behind)
    through = _through(state, node, operands, rank, frame)
    state.write(node.outputs[0], axes, lead.units, through, None if ragged is None else axes[ragged])
    _annotate(node)
    return True


def _frame(state: State, node: ir.Node) -> _Frame | None:
    """The axes of the followed operand that has most of them, at their full length."""
    found: _Frame | None = None
    for value in node.inputs:
        channels = state.followed_input(value)
        rank = rank_of(value)
        if channels is None or rank is None:
            continue
        behind = tuple(axis - rank for axis in channels.axes)
        lengths = [[length_behind(other, place) for other in node.inputs if other is not None] for place in behind]
        if any(length is None for column in lengths for length in column):
            continue
        sizes = tuple(max(length or 1 for length in column) for column in lengths)
        if sizes == channels.units.shape and (found is None or len(behind) > len(found.behind)):
            found = _Frame(behind, sizes)
    return found


def _full(value: ir.Value | None, frame: _Frame) -> tuple[int, ...]:
    """The places of the frame's axes along which an operand has all the entries."""
    if value is None:
        return ()
    pairs = enumerate(zip(frame.behind, frame.sizes, strict=True))
    return tuple(place for place, (axis, size) in pairs if length_behind(value, axis) == size)


def _beside(state: State, sides: dict[int, Units], place: int, units: Units) -> None:
    """Two operands that have the same one axis of a grid share their units."""
    if place in sides:
        state.tie(sides[place], units)
    sides[place] = units


def _annotate(node: ir.Node) -> None:
    """Shape and type where inference does not know the operator."""
    output, value = node.outputs[0], node.inputs[0]
    if output.shape is None and len(node.inputs) == 1 and value is not None:
        output.shape = value.shape
    known = None if value is None else value.dtype
    if output.dtype is None and known is not None and node.op_type in _NUMBERS and node.op_type != "Cast":
        output.dtype = known


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
    state: State, node: ir.Node, operands: list[tuple[tuple[int, ...], Floats] | Array | None], rank: int, frame: _Frame
) -> Floats:
    """The output's constants: each channel whose operands are all constant, and 0 times anything.

    True and False are 1 and 0 here.
    """
    result = np.full(frame.sizes, np.nan)
    masks = [value is not None and value.dtype == ir.DataType.BOOL for value in node.inputs]
    if node.op_type != "Cast" and any(
        value is not None and value.dtype is not None and value.dtype not in FLOATS and not mask
        for value, mask in zip(node.inputs, masks, strict=True)
    ):
        return result
    feeds: list[Array | None] = []
    known: Bools = np.ones(frame.sizes, np.bool_)
    zero: Bools = np.zeros(frame.sizes, np.bool_)
    for operand, mask in zip(operands, masks, strict=True):
        if isinstance(operand, tuple):
            has, numbers = operand
            shape = [numbers.shape[has.index(place)] if place in has else 1 for place in range(len(frame.sizes))]
            numbers = numbers.reshape(shape)
            known &= ~np.isnan(numbers)
            zero |= numbers == 0
            spread = [1] * rank
            for place, size in zip(frame.behind, shape, strict=True):
                spread[place] = size
            filled = np.nan_to_num(numbers).reshape(spread)
            feeds.append(filled.astype(np.bool_) if mask else filled)
        else:
            feeds.append(operand)
    if known.any():
        known &= ~_uniform(_close(node, feeds), rank, frame).astype(np.bool_)
        result = np.where(known, _uniform(_compute(state, node, feeds), rank, frame), np.nan)
    if node.op_type in ("Mul", "And"):
        result[zero] = 0
    if node.op_type == "Cast" and attribute(node, "to", 0) not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        result[result != 0] = np.nan
    return result


def _close(node: ir.Node, feeds: list[Array | None]) -> Array:
    """Where two numbers that are compared differ by so little that rounding decides; 0 and 0 are the same."""
    first, second = (*feeds, None)[:2]
    if node.op_type not in _COMPARISONS or first is None or second is None or first.dtype == np.bool_:
        return np.zeros([1] * max(array.ndim for array in feeds if array is not None))
    size = np.maximum(np.abs(first), np.abs(second))
    return np.asarray((size > 0) & (np.abs(first - second) <= _TIE * size))


def _compute(state: State, node: ir.Node, feeds: list[Array | None]) -> Array | None:
    """The operator on these operands; the most frequent ones in numpy, which is the same and quicker."""
    plain = _PLAIN.get(node.op_type)
    if plain is not None and not node.attributes and all(array is not None for array in feeds):
        with np.errstate(all="ignore"):
            return np.asarray(plain(*feeds))
    proto = serde.serialize_node(node)
    results = evaluate(proto, feeds, state.version)
    return None if results is None else results[0]


def _uniform(result: Array | None, rank: int, frame: _Frame) -> Floats:
    """One number for each channel, NaN where a channel's elements differ."""
    nothing = np.full(frame.sizes, np.nan)
    if result is None or result.ndim != rank:
        return nothing
    shape = tuple(result.shape[axis] for axis in frame.behind)
    if any(found not in (1, size) for found, size in zip(shape, frame.sizes, strict=True)):
        return nothing
    rows = np.moveaxis(result.astype(np.float64), frame.behind, range(len(shape))).reshape(*shape, -1)
    same = np.where((rows == rows[..., :1]).all(axis=-1), rows[..., 0], np.nan)
    return np.broadcast_to(same, frame.sizes).astype(np.float64)
