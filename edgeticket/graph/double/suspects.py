"""Which nodes float64 and the runtime understand differently: each is run alone on what the runtime gave to it.

A kernel of ours or of onnx.reference may be wrong about an operator, or read an older operator set as a newer one. Then
the runtime is right, because it runs the file. The runtime's own intermediate values make each node a test of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.errors import InputError, ModelError
from edgeticket.graph.double.network import CannotRunError, Network
from edgeticket.graph.double.operation import Signature
from edgeticket.graph.double.widen import wide
from edgeticket.graph.passes.inline_functions import inline_functions
from edgeticket.graph.serialize import serialize

Array = NDArray[Any]
_APART = 1e-3  # of a node's largest output: float32 alone stays far below in one node


def suspects(model: onnx.ModelProto, feed: Mapping[str, Array]) -> frozenset[Signature]:
    """The signatures of nodes whose float64 outputs lie far from the runtime's for the same inputs."""
    inlined, _ = inline_functions(model)
    network = Network(inlined)
    values = _intermediate(inlined, feed)
    found = set()
    for operation in network.operations if values is not None else ():
        assert values is not None
        inputs = [_input(network, values, name) for name in (*operation.node.input, *operation.captured)]
        seen = [values.get(name) for name in operation.node.output]
        if any(value is None and name for value, name in zip(inputs, operation.node.input, strict=False)):
            continue
        try:
            outputs = network.node(operation, inputs).outputs
        except CannotRunError:
            found.add(operation.signature)
            continue
        if any(_apart(a, b) for a, b in zip(outputs, seen, strict=False)):
            found.add(operation.signature)
    return frozenset(found)


def _intermediate(model: onnx.ModelProto, feed: Mapping[str, Array]) -> dict[str, Any] | None:
    """Every value that the runtime computes on its way, and the inputs; None where it cannot give them."""
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    declared = {output.name for output in model.graph.output}
    made = (name for node in model.graph.node for name in node.output if name and name not in declared)
    open_model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    try:
        return {**feed, **runtime.run(runtime.cpu_session(serialize(open_model), optimize=False), feed)}
    except (ModelError, InputError):
        return None


def _input(network: Network, values: Mapping[str, Any], name: str) -> Any:
    if not name:
        return None
    value = values.get(name)
    if value is None:
        return network.constant(name)
    return wide(value) if isinstance(value, np.ndarray) else value


def _apart(found: Any, seen: Any) -> bool:
    if not isinstance(found, np.ndarray) or not isinstance(seen, np.ndarray):
        return False
    if found.shape != seen.shape:
        return True
    if found.dtype.kind not in "fiu" or not found.size:
        return False
    a, b = found.astype(np.float64), seen.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    delta = float(np.max(np.abs(a[finite] - b[finite]), initial=0.0))
    if seen.dtype.kind in "iu":
        return delta > 1  # one step of a quantised value is rounding
    return delta > _APART * float(np.max(np.abs(b), where=finite, initial=0.0)) or bool(
        np.any(np.isnan(a) & ~np.isnan(b))
    )
