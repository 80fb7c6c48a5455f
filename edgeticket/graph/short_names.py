"""Short names for what nobody asks for by name: inner values, small constants, and nodes that are no layers.

Exporters and quantisers build these names of paths and operators, and each stands in the file at least twice: in some
networks with sparse weights they are most of its bytes. What people and reports name stays: inputs, outputs, layers and
all constants that a layer reads, and every one of more than 16 elements, but for scales and zero points. Equal small
constants become one, and small whole numbers are written as such (storing/varints.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

import onnx

from edgeticket.graph import quantized
from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.layers import layer_weights
from edgeticket.graph.protos import graphs_of, nodes_of
from edgeticket.graph.simplify import Simplified
from edgeticket.graph.storing.tensors import SMALLEST
from edgeticket.graph.storing.varints import write_varints
from edgeticket.graph.storing.writer import all_names, short_names

_QUANTISED = ("QuantizeLinear", "DequantizeLinear")


def with_short_names(simplified: Simplified) -> Simplified:
    """The same network, plan and notes; the model's names that nobody asks for are short. Same model, same names."""
    weights = {layer.name for layer in simplified.layers}
    model, names = _shortened(simplified.model, weights, set(simplified.unrounded))
    unrounded = {names.get(name, name): numbers for name, numbers in simplified.unrounded.items()}
    origins = simplified.origins
    if origins is not None:
        renamed = {names[name]: origin for name, origin in origins.items() if name in names}
        origins = {**origins, **renamed}  # what was shared or removed may have borne a name that is given out now
    unpruned = simplified.unpruned
    if unpruned is not None and unpruned == simplified.model:  # nothing was removed
        unpruned = onnx.ModelProto()
        unpruned.CopyFrom(model)
    elif unpruned is not None:
        unpruned, _ = _shortened(unpruned, weights, set(simplified.unrounded))
    return replace(simplified, model=model, unrounded=unrounded, unpruned=unpruned, shortened=names, origins=origins)


def _shortened(
    given: onnx.ModelProto, weights: Collection[str], apart: set[str]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """A copy of a model with short names, and the new names by the old ones. Constants `apart` are not shared."""
    model = onnx.ModelProto()
    model.CopyFrom(given)
    layers = {weight.node.outputs[0].name for weight in layer_weights(to_ir(model).graph)}
    large = {tensor.name for tensor in model.graph.initializer if _elements(tensor) >= SMALLEST}
    for node in nodes_of(model.graph):
        layer = node.op_type not in _QUANTISED and bool(large.intersection(node.input))
        if layer or (node.output and node.output[0] in layers):
            node.name = node.name or (node.output[0] if node.output else "")
        else:
            node.ClearField("name")
    kept = _asked_for(model, weights)
    _share(model.graph, kept | apart)
    names = _shorter(model.graph, kept)
    _rename(model.graph, names)
    write_varints(model.graph)
    return model, names


def _asked_for(model: onnx.ModelProto, weights: Collection[str]) -> set[str]:
    """The names that stay: inputs, outputs, `weights`, what named nodes read, large constants; no zero points."""
    graph = model.graph
    kept = {value.name for value in (*graph.input, *graph.output)}
    kept |= {tensor.name for tensor in graph.initializer if _elements(tensor) >= SMALLEST}
    kept |= {sparse.values.name for sparse in graph.sparse_initializer}
    read = {name for node in nodes_of(graph) if node.name for name in node.input}
    kept |= read.intersection(tensor.name for tensor in graph.initializer)
    parameters = Counter(name for node in nodes_of(graph) for name in _quantisation(node) if name)
    uses = Counter(name for node in nodes_of(graph) for name in node.input)
    ports = {value.name for value in (*graph.input, *graph.output)}
    kept -= {name for name, count in parameters.items() if count == uses[name]} - ports
    return kept | set(weights)


def _quantisation(node: onnx.NodeProto) -> list[str]:
    """The scales and zero points that a node reads."""
    if node.op_type in _QUANTISED:
        return list(node.input[1:])
    places = quantized.zero_points(node.domain, node.op_type)
    if not node.op_type.startswith("QLinear") and node.op_type != "QGemm":
        return [node.input[place] for place in places.values() if place < len(node.input)]
    # x, its scale, its zero point, for each operand; then those of the output
    return [name for index, name in enumerate(node.input) if index not in places and index != _bias(node)]


def _bias(node: onnx.NodeProto) -> int:
    return {"QLinearConv": 8, "QGemm": 6}.get(node.op_type, -1)


def _elements(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims)


def _share(graph: onnx.GraphProto, kept: Collection[str]) -> None:
    """Readers of equal constants of the main graph read the first of them, as long as their names are not `kept`."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in kept or tensor.data_location == onnx.TensorProto.EXTERNAL:
            continue
        key = onnx.TensorProto()
        key.CopyFrom(tensor)
        key.ClearField("name")
        known = first.setdefault(key.SerializeToString(deterministic=True), tensor.name)
        if known != tensor.name:
            same[tensor.name] = known
    inner = {name for part in graphs_of(graph) if part is not graph for name in _defined(part)}
    same = {name: known for name, known in same.items() if not inner & {name, known}}
    left = [tensor for tensor in graph.initializer if tensor.name not in same]
    annotations = [value for value in graph.value_info if value.name not in same]
    if same:
        del graph.initializer[:], graph.value_info[:]
        graph.initializer.extend(left)
        graph.value_info.extend(annotations)
        _rename(graph, same)


def _shorter(graph: onnx.GraphProto, kept: Collection[str]) -> dict[str, str]:
    """New names for all others, the shortest for what is read most. What is defined twice keeps its name."""
    defined = Counter(name for part in graphs_of(graph) for name in _defined(part) if name)
    ports = {value.name for part in graphs_of(graph) for value in part.input}
    uses = Counter(name for node in nodes_of(graph) for name in node.input)
    renamed = [name for name, count in defined.items() if count == 1 and name not in kept and name not in ports]
    taken = all_names(graph) - set(renamed)
    free = (name for name in short_names() if name not in taken)
    order = sorted(renamed, key=lambda name: -uses[name])
    return dict(zip(order, free, strict=False))


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """In the whole graph, bodies included."""
    for part in graphs_of(graph):
        for value in (*part.output, *part.value_info, *part.initializer):
            value.name = names.get(value.name, value.name)
        for annotation in part.quantization_annotation:
            annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
            for entry in annotation.quant_parameter_tensor_names:
                entry.value = names.get(entry.value, entry.value)
        for node in part.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    for value in (*graph.input, *graph.initializer):
        yield value.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from node.output
