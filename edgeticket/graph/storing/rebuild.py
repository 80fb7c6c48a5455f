"""Nodes and constants that rebuild weights from what is stored: standard operators, folded by ONNX Runtime at load.

Tensors stored sparsely share one chain for a group: their flattened codes stand behind one another in one vector.
    values    -> Gather where they are few numbers, Cast where they rest less precisely       [n]
    positions -> uint8 gaps: Cast, CumSum; packed: bits by BitShift and Mod, then TopK, ...   [n]
    base      -> ConstantOfShape, Expand of zero points, Concat where they differ             [size]
    ScatterElements of the three, Split, and for each tensor Reshape, for float32 at rest as int8 Mul by its scale.
What ONNX Runtime 1.31.1 was seen not to fold, and is therefore not used: NonZero, Compress, DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.storing import codebook, gaps, ranks
from edgeticket.graph.storing.codebook import Coded
from edgeticket.graph.storing.encoding import DTYPES, Encoded, ZeroPoints
from edgeticket.graph.storing.ranks import Ranked
from edgeticket.graph.storing.writer import Writer

Array = NDArray[np.generic]
Coding = Literal["uint8", "packed"]
CODINGS: tuple[Coding, ...] = get_args(Coding)

# The operator sets that brought the last of a chain's operators in the form used here.
OPSET_CAST_MUL = 7
OPSET_SPARSE = 11
OPSET_BF16 = 13
_OPSET_BF16_FILL = 20


def scale_bytes(writer: Writer, tensor: Encoded) -> int:
    """What being int8 costs a tensor however it is stored sparsely: its scale, and the product with it."""
    if tensor.scale is None:
        return 0
    trial = writer.fresh()
    _scaled(trial, tensor, tensor.name)
    return trial.size_bytes()


def write_dense(writer: Writer, tensor: Encoded) -> None:
    """Every code, behind one another: an initializer, then Cast and Mul where it is not fp32."""
    codes = tensor.codes.reshape(tensor.shape)
    if tensor.exact:
        writer.constant(codes, tensor.name)
        return
    _scaled(writer, tensor, writer.constant(codes, writer.name()), cast=True)


def write_sparse_initializer(writer: Writer, tensor: Encoded) -> None:
    """The standard's own sparse tensor: values, and int64 positions in the flattened tensor."""
    name = tensor.name if tensor.exact else writer.name()
    positions = tensor.positions.astype(np.int64)
    values = numpy_helper.from_array(tensor.codes[positions], name)
    writer.sparse.append(helper.make_sparse_tensor(values, numpy_helper.from_array(positions), tensor.shape))
    if not tensor.exact:
        _scaled(writer, tensor, name, cast=True)


def write_group(writer: Writer, tensors: Sequence[Encoded], coding: Coding) -> bool:
    """Several tensors of one type with the same `weights`, at least one code to store, as one sparse vector.

    Returns whether values rest by their ranks: with packed positions, where that takes fewer bytes.
    """
    joint = np.concatenate([tensor.codes for tensor in tensors])
    if tensors[0].whole:
        pieces = _pieces(writer, tensors)
        output = pieces[0] if len(tensors) == 1 else None
        flat = writer.node("Cast", [writer.constant(joint, writer.name())], output, to=tensors[0].data_type)
        _cut(writer, flat, tensors, pieces)
        return False
    starts = [0, *np.cumsum([tensor.codes.size for tensor in tensors])[:-1].tolist()]
    stored = np.concatenate([tensor.positions + start for tensor, start in zip(tensors, starts, strict=True)])
    by_rank: Ranked | Coded | None = None
    if coding == "uint8":
        stored_gaps = gaps.to_gaps(joint, stored)
        ends = np.searchsorted(np.cumsum(stored_gaps.gaps, dtype=np.int64), [*starts[1:], len(joint)]).tolist()
        positions = _positions_of_gaps(writer, stored_gaps)
        values = codebook.write_values(writer, stored_gaps.values, ends)
    else:
        ends = np.searchsorted(stored, [*starts[1:], len(joint)]).tolist()
        packed, by_rank = _with_ranks(writer, gaps.to_packed(joint, positions=stored), stored, ends)
        positions, rank = _positions_of_packed(writer, packed)
        values = by_rank.write(writer, rank) if by_rank else codebook.write_values(writer, packed.values, ends)
    wide = isinstance(by_rank, Ranked) and by_rank.format is not None
    kind = TensorProto.FLOAT if wide else helper.np_dtype_to_tensor_dtype(joint.dtype)
    if kind != tensors[0].data_type:
        values = writer.node("Cast", [values], to=tensors[0].data_type)
    zeros = _base(writer, tensors)
    pieces = _pieces(writer, tensors)
    flat = writer.node("ScatterElements", [zeros, positions, values], pieces[0] if len(tensors) == 1 else None)
    _cut(writer, flat, tensors, pieces)
    return by_rank is not None


def _pieces(writer: Writer, tensors: Sequence[Encoded]) -> list[str]:
    """What each tensor is called before it has its shape."""
    return [tensor.name if len(tensor.shape) == 1 else writer.name() for tensor in tensors]


def _cut(writer: Writer, flat: str, tensors: Sequence[Encoded], pieces: Sequence[str]) -> None:
    """The vector `flat`, cut into `pieces` where there are several, as tensors of their shapes."""
    if len(tensors) > 1:
        writer.split(flat, [tensor.codes.size for tensor in tensors], pieces)
    for piece, tensor in zip(pieces, tensors, strict=True):
        if piece != tensor.name:
            shaped = tensor.name if tensor.scale is None else None
            shaped = writer.node("Reshape", [piece, writer.integers(*tensor.shape)], shaped)
            if tensor.scale is not None:
                _scaled(writer, tensor, shaped)


def _with_ranks(
    writer: Writer, packed: gaps.Packed, positions: gaps.Positions, ends: Sequence[int]
) -> tuple[gaps.Packed, Ranked | Coded | None]:
    """The same with the values' ranks in the stream, and what they stand for, where both take fewer bytes."""
    values = packed.values
    if len(values) < ranks.LEAST:
        return packed, None
    plain = writer.fresh()
    codebook.write_values(plain, values, ends)
    best: tuple[gaps.Packed, Ranked | Coded | None] = packed, None
    least = plain.size_bytes() + packed.stream.nbytes
    known = ranks.ranked(values) if ranks.suits(values.dtype, len(values)) else None
    for found in (known, codebook.coded(values, ends)):
        if found is None or found.size_bytes >= least:
            continue
        both = gaps.with_ranks(packed, positions, found.ranks)
        if found.size_bytes + both.stream.nbytes < least:
            best, least = (both, found), found.size_bytes + both.stream.nbytes
    return best


def write_fill(writer: Writer, tensor: Encoded) -> None:
    """A tensor of which no code is stored: zeros, or what stands for zero."""
    if isinstance(tensor.fill, ZeroPoints):
        _spread(writer, tensor.fill, tensor.shape, tensor.name)
    else:
        _filled(writer, tensor, tensor.shape, tensor.name)


def write_twin(writer: Writer, twin: Encoded, source: str, factor: str) -> None:
    """The tensor `source` again, which has the same shape, or times the scalar `factor` where that is a name."""
    if factor:
        writer.node("Mul", [factor, source], twin.name)
    else:
        writer.node("Expand", [source, writer.integers(*twin.shape)], twin.name)


def _base(writer: Writer, tensors: Sequence[Encoded]) -> str:
    """What stands where no code is stored, for tensors behind one another in one vector."""
    pieces = []
    for fill, run in groupby(tensors, key=attrgetter("fill")):
        alike = list(run)
        if isinstance(fill, ZeroPoints):
            pieces.append(writer.node("Reshape", [_spread(writer, fill, alike[0].shape), writer.integers(-1)]))
        else:
            pieces.append(_filled(writer, alike[0], [sum(tensor.codes.size for tensor in alike)]))
    return pieces[0] if len(pieces) == 1 else writer.node("Concat", pieces, axis=0)


def _filled(writer: Writer, tensor: Encoded, shape: Sequence[int], output: str | None = None) -> str:
    """The number that stands for zero, in the tensor's type."""
    assert not isinstance(tensor.fill, ZeroPoints)
    size = writer.integers(*shape)
    if tensor.data_type == TensorProto.FLOAT and tensor.fill == 0:
        return writer.node("ConstantOfShape", [size], output)
    if tensor.data_type == TensorProto.BFLOAT16 and writer.opset < _OPSET_BF16_FILL:
        wide = numpy_helper.from_array(np.array([tensor.fill], np.float32)) if tensor.fill else None
        return writer.node("Cast", [writer.node("ConstantOfShape", [size], value=wide)], output, to=tensor.data_type)
    value = numpy_helper.from_array(tensor.base.astype(DTYPES[tensor.data_type]))
    return writer.node("ConstantOfShape", [size], output, value=value)


def _spread(writer: Writer, points: ZeroPoints, shape: Sequence[int], output: str | None = None) -> str:
    """The zero points of a tensor's channels, over the whole tensor."""
    source = points.name
    if points.shape != points.array.shape:
        source = writer.node("Reshape", [source, writer.integers(*points.shape)])
    return writer.node("Expand", [source, writer.integers(*shape)], output)


def _scaled(writer: Writer, tensor: Encoded, codes: str, *, cast: bool = False) -> None:
    """codes -> the tensor's type -> times the scale, under the tensor's own name."""
    if cast:
        codes = writer.node("Cast", [codes], tensor.name if tensor.scale is None else None, to=tensor.data_type)
    if tensor.scale is None:
        return
    scale = writer.constant(tensor.scale)
    if tensor.scale.dtype != np.float32:
        scale = writer.node("Cast", [scale], to=TensorProto.FLOAT)
    writer.node("Mul", [codes, scale], tensor.name)


def _positions_of_gaps(writer: Writer, stored: gaps.Gaps) -> str:
    wide = writer.node("Cast", [writer.constant(stored.gaps, writer.name())], to=TensorProto.INT64)
    return writer.node("CumSum", [wide, writer.constant(np.array(0, np.int64))])


def _positions_of_packed(writer: Writer, stored: gaps.Packed) -> tuple[str, str]:
    """position[i] = u[i] * 2**k - (low[0] + ... + low[i]), see gaps.py; and the ranks, "" where there are none."""
    n, k = len(stored.values), stored.low_bits
    stream = writer.constant(stored.stream[:, None], writer.name())
    shifts = writer.constant(np.arange(7, -1, -1, dtype=np.uint8))
    bits = writer.node("BitShift", [stream, shifts], direction="RIGHT")
    bits = writer.node("Mod", [bits, writer.constant(np.array(2, np.uint8))])
    bits = writer.node("Reshape", [bits, writer.integers(-1)])
    low, rank = "", ""
    if k:
        bits, low = writer.split(bits, (stored.bitmap_bits, stored.lows * k))
    bits = writer.node("Cast", [bits], to=TensorProto.INT32)  # TopK of bytes came after ONNX Runtime 1.24
    ones, unary = writer.name(), writer.name()
    count = n if stored.ranks == "none" else 2 * n
    writer.nodes.append(helper.make_node("TopK", [bits, writer.integers(count)], [ones, unary]))
    if stored.ranks == "unary":
        unary, rank = _halves(writer, unary, n)
    if k:
        high = writer.node("Mul", [unary, writer.integers(1 << k)])
        low = writer.node("Reshape", [low, writer.integers(k, stored.lows)])
        low = writer.node("MatMulInteger", [writer.constant(2 ** np.arange(k - 1, -1, -1).astype(np.uint8)), low])
        low = writer.node("Cast", [low], to=TensorProto.INT64)
        low = writer.node("CumSum", [low, writer.constant(np.array(0, np.int64))])
        unary = writer.node("Sub", [high, low])
    return _halves(writer, unary, n) if stored.ranks == "same code" else (unary, rank)


def _halves(writer: Writer, sums: str, n: int) -> tuple[str, str]:
    """Of sums [2n] the first half, and what each of the second adds to the one before."""
    first, second = writer.split(sums, (n, n))
    _, before, _ = writer.split(sums, (n - 1, n, 1))
    return first, writer.node("Sub", [second, before])
