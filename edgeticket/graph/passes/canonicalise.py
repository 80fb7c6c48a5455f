"""Say the same in the operators that later passes understand; every rewrite is exact.

    Identity(x), Dropout(x) in inference                       =  x
    Reshape(x [N, a, b, ...], (n, a·b·...))                    =  Flatten(x, axis=1)    shape arithmetic on n goes away
    Reshape(x [N, C, ...], (n, C, rest))                       =  Reshape(x, (0, 0, rest))
    MatMul(x [N, K], W [K, M]) + b [M]                         =  Gemm(x, W, b)

PyTorch's dynamo exporter writes Flatten as Shape, Squeeze, Reshape, Concat and Reshape; other exporters use Gather and
Unsqueeze. A Reshape whose target cannot be proved stays as it is.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import one_for_each
from edgeticket.graph.passes.note import Note
from edgeticket.graph.shapes import Entry, Symbol, infer_shapes, vector
from edgeticket.graph.values import Array, attribute, constant, is_standard, new_constant, opset, shape_of, stand_in
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
    source = node.inputs[0]
    dims = shape_of(source) if source is not None else None
    target = vector(node.inputs[1]) if len(node.inputs) > 1 else None
    if dims is None or target is None or len(dims) < 2:
        return False
    data: list[Entry] = [
        dim if isinstance(dim, int) else Symbol(dim or f"{source.name}/{axis}")  # type: ignore[union-attr]
        for axis, dim in enumerate(dims)
    ]
    rest = [dim for dim in data[1:] if isinstance(dim, int) and dim > 0]
    if len(rest) != len(data) - 1:
        return False
    if not attribute(node, "allowzero", 0):
        target = tuple(data[i] if entry == 0 and i < len(data) else entry for i, entry in enumerate(target))
    tail = [entry for entry in target[1:] if isinstance(entry, int)]
    if len(tail) != len(target) - 1 or any(entry == 0 for entry in target):
        return False
    size, whole = math.prod(rest), -1 not in tail and math.prod(tail) == math.prod(rest)
    if not (whole or (target[0] == data[0] and tail.count(-1) == 1 and target[0] != -1)):
        return False
    if len(target) == 2 and tail[0] in (-1, size):
        node.replace_input_with(1, None)
        node.resize_inputs(1)
        node.op_type = "Flatten"
        node.attributes.clear()
        node.attributes["axis"] = ir.AttrInt64("axis", 1)
        return True
    if len(target) > 2 and tail[0] == rest[0]:
        return _keep_two(graph, node, tail[1:])
    return False


def _keep_two(graph: ir.Graph, node: ir.Node, rest: list[int]) -> bool:
    """Copy the first two dimensions instead of naming them."""
    wanted = np.array([0, 0, *rest], np.int64)
    present = constant(node.inputs[1])
    if present is not None and np.array_equal(present, wanted) and not attribute(node, "allowzero", 0):
        return False
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.shape", wanted))
    node.attributes.pop("allowzero", None)
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


def _is_row(bias: Array | None, width: int) -> bool:
    """[M], [1, M] or one number."""
    return bias is not None and bias.ndim <= 2 and one_for_each(bias, width)


_REWRITES = {"Identity": _bypass, "Dropout": _bypass, "Reshape": _reshape, "MatMul": _matmul}
