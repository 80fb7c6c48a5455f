"""Say the same in the operators that later passes understand; every rewrite is exact.

    Identity(x), Dropout(x) in inference                       =  x
    Reshape(x [N, a, b, ...], (n, a·b·...))                    =  Flatten(x, axis=1)    shape arithmetic on n goes away
    Reshape(x [N, C, ...], (n, C, rest))                       =  Reshape(x, (0, C, rest)), a constant target
    Reshape, Transpose, Reshape that keep the leading axes     =  one Transpose
    Reshape(Transpose(x)) where only axes of length 1 move     =  Reshape(x)            as of an LSTM in one direction
    Expand(x, shape), Resize(x, sizes)                         =  the same with a constant target, or constant scales
    MatMul(x [N, K], W [K, M]) + b [M]                         =  Gemm(x, W, b)
    ReduceMean(x [N, C, H, W], (2, 3)), axes kept              =  GlobalAveragePool(x)  takes x in blocks of channels

PyTorch's dynamo exporter writes Flatten as Shape, Squeeze, Reshape, Concat and Reshape; other exporters use Gather and
Unsqueeze. A Reshape whose target cannot be proved stays as it is.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import one_for_each
from edgeticket.graph.passes.note import Note
from edgeticket.graph.shapes import infer_shapes
from edgeticket.graph.values import Array, attribute, constant, is_standard, new_constant, opset, shape_of, stand_in
from edgeticket.graph.vectors import Symbol, named_dims, reshaped, vector
from edgeticket.text import plural

NAME = "canonicalise"


def canonicalise(model: ir.Model) -> list[Note]:
    """Rewrite until nothing changes; leaves shapes inferred."""
    version = opset(model)
    total = 0
    while True:
        infer_shapes(model)
        changed = 0
        for node in list(model.graph):
            if is_standard(node, version) and (rewrite := _REWRITES.get(node.op_type)):
                changed += rewrite(model.graph, node)
        total += changed
        if not changed:
            return [Note(NAME, total, f"wrote {plural(total, 'node')} in a plainer form")] if total else []


def _bypass(graph: ir.Graph, node: ir.Node) -> bool:
    if node.op_type == "Dropout":
        training = constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(())
        if training is None or bool(training.any()) or any(output.uses() for output in node.outputs[1:]):
            return False
    source = node.inputs[0]
    if source is None or any(output.is_graph_output() for output in node.outputs):
        return False
    node.outputs[0].replace_all_uses_with(source)
    graph.remove(node, safe=True)
    return True


def _reshape(graph: ir.Graph, node: ir.Node) -> bool:
    """A target that is computed becomes constant where it can: 0 copies a dimension, one -1 is what is left."""
    source = node.inputs[0]
    dims = named_dims(source) if source is not None else None
    target = vector(node.inputs[1]) if len(node.inputs) > 1 else None
    if dims is None or target is None:
        return False
    allowzero = bool(attribute(node, "allowzero", 0))
    named = [entry if isinstance(entry, int) else entry.name for entry in target]
    wanted = reshaped(dims, named, allowzero)
    if 0 in wanted or 0 in dims:
        return False
    if _straighten(graph, node, wanted):
        return True
    if _flattens(dims, wanted):
        node.replace_input_with(1, None)
        node.resize_inputs(1)
        node.op_type = "Flatten"
        node.attributes.clear()
        node.attributes["axis"] = ir.AttrInt64("axis", 1)
        return True
    entries = _entries(dims, wanted)
    unknown = [place for place, length in enumerate(entries) if not isinstance(length, int)]
    if len(unknown) > 1:
        return False
    plain = np.array([-1 if place in unknown else length for place, length in enumerate(entries)], np.int64)
    present = constant(node.inputs[1])
    if _turn(graph, node, entries):
        return True
    if present is not None and np.array_equal(present, plain) and not allowzero:
        return False
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.shape", plain))
    node.attributes.pop("allowzero", None)
    return True


def _entries(dims: list[int | str], wanted: list[int | str | None]) -> list[int | str | None]:
    """A Reshape's target, in which 0 copies what has a name and stays at its place."""
    return [
        0 if place < len(dims) and dims[place] == length and not isinstance(length, int) else length
        for place, length in enumerate(wanted)
    ]


def _straighten(graph: ir.Graph, node: ir.Node, wanted: list[int | str | None]) -> bool:
    """Read what a Transpose reads that moves nothing but axes of length 1, where the target can be said of that."""
    turn = node.inputs[0].producer() if node.inputs[0] is not None else None
    source = turn.inputs[0] if turn is not None and turn.op_type == "Transpose" else None
    dims = named_dims(source) if source is not None else None
    if turn is None or source is None or dims is None:
        return False
    order = list(attribute(turn, "perm", tuple(reversed(range(len(dims))))))
    long = [place for place in order if dims[place] != 1]
    target = _entries(dims, wanted)
    unknown = [place for place, length in enumerate(target) if not isinstance(length, int)]
    if long != sorted(long) or len(unknown) > 1:
        return False
    plain = np.array([-1 if place in unknown else length for place, length in enumerate(target)], np.int64)
    node.replace_input_with(0, source)
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.shape", plain))
    node.attributes.pop("allowzero", None)
    return True


def _turn(graph: ir.Graph, node: ir.Node, entries: list[int | str | None]) -> bool:
    """Reshape [n, h, a, b] -> [n·h, a, b], Transpose to [n·h, b, a], Reshape to [n, h, b, a]: one Transpose."""
    turn = node.inputs[0].producer() if node.inputs[0] is not None else None
    first = turn.inputs[0].producer() if turn is not None and turn.inputs[0] is not None else None
    if turn is None or first is None or (turn.op_type, first.op_type) != ("Transpose", "Reshape"):
        return False
    source, merged = first.inputs[0], first.outputs[0]
    dims, between = named_dims(source) if source is not None else None, named_dims(merged)
    if source is None or dims is None or between is None:
        return False
    count = len(dims) - len(between) + 1  # axes that are taken together
    order = list(attribute(turn, "perm", tuple(reversed(range(len(between))))))
    if count < 2 or order[0] != 0 or dims[count:] != between[1:]:
        return False
    moved = [*range(count), *(place + count - 1 for place in order[1:])]
    wanted = [dims[place] for place in moved]
    known = [(entry, dim) for entry, dim in zip(entries, wanted, strict=False) if isinstance(entry, int) and entry]
    if len(entries) != len(wanted) or any(entry != dim for entry, dim in known):
        return False
    free = [place for place in range(len(wanted)) if not (isinstance(entries[place], int) and entries[place])]
    if any(place >= count for place in free) or len(free) > 1:
        return False  # one length at most follows from the others
    made = ir.Node("", "Transpose", [source], [ir.AttrInt64s("perm", moved)], num_outputs=1, name=turn.name)
    graph.insert_after(node, made)
    stand_in(node.outputs[0], made.outputs[0])
    graph.remove(node, safe=True)
    return True


def _flattens(dims: list[int | str], wanted: list[int | str | None]) -> bool:
    """[N, a, b, ...] -> [N, a·b·...], where everything but N is known."""
    rest = [dim for dim in dims[1:] if isinstance(dim, int)]
    if len(wanted) != 2 or len(dims) < 2 or len(rest) != len(dims) - 1:
        return False
    return wanted[1] == math.prod(rest) or (wanted[0] == dims[0] and wanted[1] is None)


def _expand(graph: ir.Graph, node: ir.Node) -> bool:
    """An entry of Expand's target that is the dimension itself is written as 1, which leaves it."""
    source = node.inputs[0]
    dims = named_dims(source) if source is not None else None
    target = vector(node.inputs[1])
    if dims is None or target is None or constant(node.inputs[1]) is not None:
        return False
    shift = len(target) - len(dims)
    plain = [
        1 if not isinstance(entry, int) and place >= shift and dims[place - shift] == entry.name else entry
        for place, entry in enumerate(target)
    ]
    numbers = [entry for entry in plain if isinstance(entry, int)]
    if len(numbers) != len(plain):
        return False
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.shape", np.array(numbers, np.int64)))
    return True


def _resize(graph: ir.Graph, node: ir.Node) -> bool:
    """Sizes that are whole multiples of the input's become constant scales, so that the batch may be free."""
    source, sizes = node.inputs[0], node.inputs[3] if len(node.inputs) > 3 else None
    dims, wanted = named_dims(source) if source is not None else None, vector(sizes)
    if dims is None or wanted is None or constant(sizes) is not None or len(dims) != len(wanted):
        return False
    if attribute(node, "axes", None) is not None or node.attributes.get("keep_aspect_ratio_policy") is not None:
        return False
    scales = []
    for dim, entry in zip(dims, wanted, strict=True):
        if isinstance(dim, int) and isinstance(entry, int) and dim > 0 and entry % dim == 0:
            scales.append(entry // dim)
        elif isinstance(entry, Symbol) and entry.name == dim:
            scales.append(1)
        else:
            return False
    node.replace_input_with(2, new_constant(graph, f"{node.outputs[0].name}.scales", np.array(scales, np.float32)))
    node.resize_inputs(3)
    return True


def _matmul(graph: ir.Graph, node: ir.Node) -> bool:
    left, weight = node.inputs
    matrix = constant(weight)
    dims = shape_of(left) if left is not None else None
    if matrix is None or matrix.ndim != 2 or dims is None or len(dims) != 2 or constant(left) is not None:
        return False
    if matrix.dtype not in (np.float32, np.float64):
        return False
    output = node.outputs[0]
    uses = list(output.uses())
    if len(uses) != 1 or output.is_graph_output() or uses[0].node.op_type != "Add" or uses[0].node.graph is not graph:
        return False
    add = uses[0].node
    bias = add.inputs[1 - uses[0].idx]
    if not _is_row(constant(bias), matrix.shape[1]):
        return False
    gemm = ir.Node("", "Gemm", [left, weight, bias], [ir.AttrInt64("transB", 0)], num_outputs=1, name=node.name)
    result = gemm.outputs[0]
    graph.insert_after(add, gemm)
    stand_in(add.outputs[0], result)
    graph.remove([add, node], safe=True)
    return True


def _mean(graph: ir.Graph, node: ir.Node) -> bool:
    """A mean over both axes of an image; ONNX Runtime pools in float32 alone."""
    source = node.inputs[0]
    dims = shape_of(source) if source is not None else None
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else attribute(node, "axes", None)
    if source is None or dims is None or len(dims) != 4 or 0 in dims or axes is None:
        return False
    over = sorted(int(axis) % 4 for axis in np.ravel(axes))
    if over != [2, 3] or not attribute(node, "keepdims", 1) or source.dtype != ir.DataType.FLOAT:
        return False
    pooled = ir.Node("", "GlobalAveragePool", [source], num_outputs=1, name=node.name)
    graph.insert_after(node, pooled)
    stand_in(node.outputs[0], pooled.outputs[0])
    graph.remove(node, safe=True)
    return True


def _is_row(bias: Array | None, width: int) -> bool:
    """[M], [1, M] or one number."""
    return bias is not None and bias.ndim <= 2 and one_for_each(bias, width)


_REWRITES = {
    "Dropout": _bypass,
    "Expand": _expand,
    "Identity": _bypass,
    "MatMul": _matmul,
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Resize": _resize,
}
