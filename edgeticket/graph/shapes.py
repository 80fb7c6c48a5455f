"""What is known about shapes: inference over the whole graph.

Annotations of a file are not trusted: those of standard operators are inferred anew; only what unknown operators return
is taken from the file, because nothing else says it.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir
from onnx_ir import serde

from edgeticket.graph.inference import inferred
from edgeticket.graph.intermediate import give_back
from edgeticket.graph.values import is_standard, opset
from edgeticket.graph.vectors import vector

_TARGETS = {"ConstantOfShape": 0, "Reshape": 1}  # which input holds the shape of what is returned
_SMALL_BYTES = 1024  # inference sees the numbers of constants up to here: shapes, axes, sizes


def infer_shapes(model: ir.Model) -> None:
    """Infer every shape anew. A shape that inference cannot find stays unknown; nothing is raised."""
    forget_shapes(model)
    while True:
        try:
            found = inferred(_outline(model))
        except Exception:  # the inference is C++ and raises what it likes on a graph that it does not understand
            return
        _take_shapes(model.graph, found.graph)
        if not _take_targets(model):
            return


def _take_targets(model: ir.Model) -> bool:
    """Give a Reshape and a ConstantOfShape the rank that the length of a computed target says, where nothing else does.

    Returns whether there was one: then more of what follows can be inferred.
    """
    found = False
    for node in model.graph:
        if node.op_type not in _TARGETS or not is_standard(node, opset(model)) or node.outputs[0].shape is not None:
            continue
        place = _TARGETS[node.op_type]
        target = vector(node.inputs[place]) if len(node.inputs) > place else None
        if target is not None:
            node.outputs[0].shape = ir.Shape([dim if isinstance(dim, int) and dim > 0 else None for dim in target])
            found = True
    return found


def _outline(model: ir.Model) -> onnx.ModelProto:
    """The model with its nodes and types, and of its constants only the small ones: the others are inputs here."""
    made = onnx.ModelProto(ir_version=model.ir_version or 10)
    made.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in model.opset_imports.items())
    made.functions.extend(map(serde.serialize_function, model.functions.values()))
    graph = made.graph
    graph.node.extend(map(serde.serialize_node, model.graph))
    graph.input.extend(map(serde.serialize_value, model.graph.inputs))
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.is_graph_input():
            continue
        if tensor.nbytes <= _SMALL_BYTES:
            graph.initializer.append(serde.serialize_tensor(tensor))
            graph.initializer[-1].name = value.name or ""
        else:
            graph.input.append(
                onnx.helper.make_tensor_value_info(value.name or "", int(tensor.dtype), tensor.shape.numpy())
            )
    graph.output.extend(
        onnx.ValueInfoProto(name=value.name or "") if value.type is None else serde.serialize_value(value)
        for value in model.graph.outputs
    )
    graph.value_info.extend(
        serde.serialize_value(value)
        for node in model.graph
        for value in node.outputs
        if value.type is not None and not value.is_graph_output()
    )
    give_back(made, model)
    return made


def _take_shapes(graph: ir.Graph | ir.Function, found: onnx.GraphProto) -> None:
    """Give the values of a graph and its subgraphs the shapes and types that were found."""
    entries = {entry.name: entry.type for entry in (*found.value_info, *found.output)}
    for node, proto in zip(graph, found.node, strict=True):
        for value in node.outputs:
            if value.name in entries:
                _take(value, entries[value.name])
        parts = dict(_subgraphs(proto))
        for attribute_ in node.attributes.values():
            if attribute_.type == ir.AttributeType.GRAPH and (attribute_.name, 0) in parts:
                _take_shapes(attribute_.as_graph(), parts[attribute_.name, 0])
            elif attribute_.type == ir.AttributeType.GRAPHS:
                for index, part in enumerate(attribute_.as_graphs()):
                    _take_shapes(part, parts[attribute_.name, index])


def _subgraphs(node: onnx.NodeProto) -> Iterator[tuple[tuple[str, int], onnx.GraphProto]]:
    for entry in node.attribute:
        if entry.HasField("g"):
            yield (entry.name, 0), entry.g
        yield from (((entry.name, index), part) for index, part in enumerate(entry.graphs))


def _take(value: ir.Value, kind: onnx.TypeProto) -> None:
    try:
        found, shape = serde.deserialize_type_proto_for_type(kind), serde.deserialize_type_proto_for_shape(kind)
    except Exception:  # a map, which onnx-ir has not (see intermediate.py), or a type that lacks a part
        return
    if found is not None and value.dtype != found.dtype:
        value.type = found
    if shape is not None and (value.shape is None or value.shape != shape):
        value.shape = shape


def name_dimensions(model: ir.Model) -> list[tuple[ir.Value, ir.Shape]]:
    """Give each unnamed dimension of the inputs a name, so that inference can follow it. Returns what they were."""
    named = []
    for value in model.graph.inputs:
        dims = list(value.shape or ())
        unnamed = [axis for axis, dim in enumerate(dims) if not isinstance(dim, int) and dim.value is None]
        if unnamed:
            named.append((value, ir.Shape(dims)))
            value.shape = ir.Shape([f"{value.name}/{axis}" if axis in unnamed else d for axis, d in enumerate(dims)])
    return named


def unname_dimensions(named: list[tuple[ir.Value, ir.Shape]]) -> None:
    """Take those names away again."""
    for value, shape in named:
        value.shape = shape


def forget_shapes(model: ir.Model) -> None:
    """Drop the shapes of what standard operators return."""
    version = opset(model)
    for node in model.graph:
        if is_standard(node, version):
            for output in node.outputs:
                output.shape = None
