"""The network's own names for tensors whose names an exporter made up, such as `val_40`."""

from __future__ import annotations

from collections import Counter

import onnx

VIEWS = frozenset(["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"])
BIASED = frozenset(["Conv", "ConvTranspose", "Gemm"])
WEIGHT, BIAS = ".weight", ".bias"  # how PyTorch ends the names of the two parameters of a layer


def parameter_names(given: onnx.ModelProto, exported: onnx.ModelProto) -> dict[str, str]:
    """Initializer of `exported` -> the parameter of `given` that it was made from, where the two names differ.

    Two kinds are known: a view of one parameter (a transposed weight), and the bias of a layer that had none or whose
    bias was computed. The latter is named as PyTorch would: `conv1.bias` beside `conv1.weight`. Names stay unique:
    where two tensors would bear the same one, both keep their own.
    """
    own = {tensor.name for tensor in given.graph.initializer}
    made = {tensor.name for tensor in exported.graph.initializer} - own
    names = {tensor: name for tensor, name in _views(given.graph, own).items() if tensor in made}
    uses = Counter(value for node in exported.graph.node for value in node.input)
    for node in exported.graph.node:
        if node.op_type in BIASED and len(node.input) > 2 and node.input[2] in made and uses[node.input[2]] == 1:
            weight = names.get(node.input[1], node.input[1])
            if weight.endswith(WEIGHT):
                names.setdefault(node.input[2], weight.removesuffix(WEIGHT) + BIAS)
    taken = Counter(names.values()) + Counter(tensor.name for tensor in exported.graph.initializer)
    return {tensor: name for tensor, name in names.items() if taken[name] == 1}


def _views(graph: onnx.GraphProto, parameters: set[str]) -> dict[str, str]:
    """Value -> the parameter that it is another view of."""
    found: dict[str, str] = {}
    for node in graph.node:
        source = node.input[0] if node.input else ""
        if node.op_type in VIEWS and (source in parameters or source in found):
            found[node.output[0]] = found.get(source, source)
    return found
