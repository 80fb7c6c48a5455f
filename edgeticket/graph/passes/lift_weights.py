"""Bring sparse weights out of subgraphs: a body reads the main graph's values, so its constants may rest there, packed.

The body gets w again by a Reshape to its own shape. ONNX Runtime folds that within the body, whose operators then find
the weight where it was: some of its rewrites (blocked convolutions) take no weights of an outer graph.

Numbers that were computed come with their unrounded ones, which only the main graph keeps (values.py).

Left alone: what packing would not make smaller, and what is a subgraph's input or output. A name that another value of
the model bears gets a number behind it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir

from edgeticket.graph.origins import COMPUTED, origins_of, set_origins
from edgeticket.graph.passes.note import Note
from edgeticket.graph.protos import STANDARD
from edgeticket.graph.storing.encoding import TYPES, as_it_is
from edgeticket.graph.values import all_values, keep_unrounded, unrounded
from edgeticket.text import plural

NAME = "lift-weights"
_NODES_BYTES = 200  # the Reshape, its shape, and a share of the chain that rebuilds the weight


def lift_weights(model: ir.Model) -> list[Note]:
    """Move the sparse initializers and Constant nodes of all subgraphs to the main graph."""
    graph = model.graph
    inner = list(graph.subgraphs())
    found = [value for part in inner for value in _constants(part) if unrounded(value) is not None or _pays(value)]
    if not found:
        return []
    bearers = Counter(value.name for value in all_values(graph))
    shapes: dict[tuple[int, ...], ir.Value] = {}
    for value in found:
        _lift(graph, value, bearers, shapes)
    return [Note(NAME, len(found), f"brought {plural(len(found), 'weight')} out of branches and loops")]


def _constants(graph: ir.Graph) -> list[ir.Value]:
    """Initializers, and what Constant nodes make, that nobody outside of the graph gives or takes."""
    values = [value for value in graph.initializers.values() if not value.is_graph_input()]
    nodes = [node for node in graph if node.op_type == "Constant" and node.domain in STANDARD]
    values += [node.outputs[0] for node in nodes if "value" in node.attributes]
    return [value for value in values if not value.is_graph_output() and value.uses()]


def _tensor(value: ir.Value) -> ir.TensorProtocol | None:
    node = value.producer()
    return value.const_value if node is None else node.attributes["value"].as_tensor()


def _pays(value: ir.Value) -> bool:
    tensor = _tensor(value)
    if tensor is None or int(tensor.dtype) not in TYPES or tensor.size * tensor.dtype.itemsize <= _NODES_BYTES:
        return False
    encoded = as_it_is("", tensor.numpy(), int(tensor.dtype))
    zeros = tensor.size - encoded.nonzeros
    return zeros * encoded.codes.itemsize > encoded.stream_bytes + _NODES_BYTES


def _lift(
    graph: ir.Graph, value: ir.Value, bearers: Counter[str | None], shapes: dict[tuple[int, ...], ir.Value]
) -> None:
    """Give `value` the main graph's initializer in place of its own, read by a Reshape at the body's beginning."""
    tensor, node = _tensor(value), value.producer()
    body = value.graph if node is None else node.graph
    assert tensor is not None
    assert isinstance(body, ir.Graph)
    array = tensor.numpy()
    bearers[value.name] -= 1
    name, shape = _free(value.name or "weight", bearers), array.shape
    copy = ir.tensor(array, name=name)  # the tensor itself belongs to the model that was read, and renames it
    outer = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(tensor.dtype), const_value=copy)
    keep_unrounded(outer, array, unrounded(value))
    set_origins(outer, origins_of(value))
    graph.register_initializer(outer)
    if shape not in shapes:
        target = ir.tensor(np.array(shape, np.int64), name=_free("shape", bearers))
        kind = ir.TensorType(ir.DataType.INT64)
        shapes[shape] = ir.Value(name=target.name, shape=ir.Shape([len(shape)]), type=kind, const_value=target)
        set_origins(shapes[shape], COMPUTED)
        graph.register_initializer(shapes[shape])
    again = ir.node("Reshape", [outer, shapes[shape]])
    again.outputs[0].name = _free(name, bearers)
    value.replace_all_uses_with(again.outputs[0])
    if node is None:
        assert value.name is not None
        del body.initializers[value.name]
    else:
        body.remove(node, safe=True)
    first = next(iter(body), None)
    if first is None:
        body.append(again)
    else:
        body.insert_before(first, again)


def _free(base: str, bearers: Counter[str | None]) -> str:
    """`base` where no value bears it, else the first of base_2, base_3 ..."""
    name, number = base, 2
    while bearers[name]:
        name, number = f"{base}_{number}", number + 1
    bearers[name] += 1
    return name
