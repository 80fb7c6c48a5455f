"""What a model file holds, counted exactly: bytes on disk, nodes, its layers' weights and nonzeros, multiplications."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.protos import nodes_of
from edgeticket.graph.reading.load import load_model
from edgeticket.graph.reading.tensors import tensors_of
from edgeticket.graph.serialize import serialize
from edgeticket.graph.shapes import infer_shapes
from edgeticket.graph.values import constant, is_constant, is_standard, opset, shape_of

# The inputs of an operator that may be a layer's weights: operators -> positions.
_WEIGHTS = {
    "Conv": (1,), "ConvTranspose": (1,), "ConvInteger": (1,), "QLinearConv": (3,), "Gemm": (0, 1), "MatMul": (0, 1),
    "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "FusedConv": (1,), "FusedGemm": (0, 1), "FusedMatMul": (0, 1),
    "QGemm": (3,), "MatMulIntegerToFloat": (1,), "DynamicQuantizeMatMul": (1,),
}  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Numbers of one model. `macs` is of one inference on the given shapes, None where a layer's shape is not known."""

    size_bytes: int  # external data files included
    nodes: int  # as stored, subgraphs included
    weights: int  # elements of the layers' weights once what is packed is rebuilt
    nonzeros: int
    macs: int | None  # multiply-accumulate operations, zeros included; of an If the branch with more of them


def external_bytes(model: onnx.ModelProto, folder: Path) -> int:
    """Of the files beside a model in which its larger tensors lie."""
    names = {
        entry.value
        for tensor in tensors_of(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sum((folder / name).stat().st_size for name in names if (folder / name).is_file())


def count(path: Path, shapes: Mapping[str, Sequence[int]]) -> Counts:
    """Count the model in `path`; `shapes` are those of its inputs.

    Raises:
        ModelError: it cannot be read.
    """
    whole = load_model(path)  # checks everything, external data too
    unread = onnx.load(path, load_external_data=False)
    size_bytes = path.stat().st_size + external_bytes(unread, path.parent)
    nodes = sum(1 for _ in nodes_of(unread.graph))
    proto, _ = inline_functions(onnx.ModelProto.FromString(serialize(whole)))
    model = to_ir(proto)
    fold_constants(model)
    for value in model.graph.inputs:
        if value.name is not None and value.name in shapes:
            value.shape = ir.Shape(list(shapes[value.name]))
    infer_shapes(model)
    version = opset(model)
    weights = {weight.value.name: weight for weight in layer_weights(model.graph) if is_constant(weight.value)}
    macs = _of_graph(model.graph, version)
    return Counts(
        size_bytes,
        nodes,
        sum(weight.array.size for weight in weights.values()),
        sum(weight.nonzeros for weight in weights.values()),
        macs,
    )


def _known(value: ir.Value | None) -> list[int] | None:
    shape = None if value is None else shape_of(value)
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    return [dim for dim in shape if isinstance(dim, int)]


def _macs(node: ir.Node) -> int | None:
    """Multiplications of one layer: every output element reads one filter, or one column."""
    first, output = _known(node.inputs[0]), _known(node.outputs[0])
    if first is None or output is None:
        return None
    if node.op_type.endswith("Conv") or node.op_type in ("ConvInteger", "ConvTranspose"):
        weight = _known(node.inputs[_WEIGHTS[node.op_type][0]])
        if weight is None:
            return None
        elements = first if node.op_type == "ConvTranspose" else output
        return math.prod(elements) * math.prod(weight[1:])
    transposed = node.attributes.get("transA")
    inner = first[0] if transposed is not None and transposed.as_int() else first[-1] if first else 1
    return math.prod(output) * inner


def _of_bodies(node: ir.Node, version: int) -> int | None:
    """Multiplications of the graphs that a node runs: as often as it is known to run them, else None."""
    graphs = [
        graph
        for each in node.attributes.values()
        if each.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        for graph in ([each.as_graph()] if each.type == ir.AttributeType.GRAPH else each.as_graphs())
    ]
    bodies = [_of_graph(graph, version) for graph in graphs]
    if None in bodies:
        return None
    most = max((each for each in bodies if each is not None), default=0)
    if node.op_type == "If" or not most:
        return most
    runs = _runs(node)
    return None if runs is None else runs * most


def _of_graph(graph: ir.Graph, version: int) -> int | None:
    found = []
    for node in graph:
        layer = node.op_type in _WEIGHTS and (node.domain == "com.microsoft" or is_standard(node, version))
        found += [_macs(node) if layer else 0, _of_bodies(node, version)]
    return None if None in found else sum(each for each in found if each is not None)


def _runs(node: ir.Node) -> int | None:
    """How often a Loop or a Scan runs its body, where the graph says it: a Loop that nothing ends, a Scan's length."""
    if node.op_type == "Scan" and node.inputs:
        scanned = _known(node.inputs[-1])
        axes, directions = node.attributes.get("scan_input_axes"), node.attributes.get("scan_input_directions")
        return scanned[0] if scanned and axes is None and directions is None else None
    if node.op_type == "Loop" and len(node.inputs) > 1:
        body, trips = node.attributes["body"].as_graph(), constant(node.inputs[0])
        started = node.inputs[1] is None or _is_true(node.inputs[1])
        kept = _is_true(body.outputs[0]) or _origin(body.outputs[0]) is body.inputs[1]
        return int(trips.reshape(-1)[0]) if trips is not None and started and kept else None
    return None


def _is_true(value: ir.Value) -> bool:
    found = constant(_origin(value))
    return found is not None and found.size == 1 and bool(found.reshape(-1)[0])


def _origin(value: ir.Value) -> ir.Value:
    """What a value is a copy of."""
    node = value.producer()
    while node is not None and node.op_type in ("Identity", "Cast") and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value
