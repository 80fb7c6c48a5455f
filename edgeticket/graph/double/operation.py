"""One node of a graph as the kernels see it: its operator, its attributes, and how it is run alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.errors import InputError, ModelError
from edgeticket.graph.double.widen import widened_node

Array = NDArray[Any]
Values = Sequence[Any]  # arrays, None for what is left out, lists and maps for sequences

Signature = tuple[str, str, bytes]

_NEWEST_IR = 10


class NotHereError(Exception):
    """A kernel does not know this form of its operator; another way may."""


class RuntimeDecidesError(NotHereError):
    """The specification leaves this open, so that only the runtime knows what it does."""


@dataclass(frozen=True)
class Operation:
    """A node, the operator sets it is written for, and which of its inputs are constants."""

    node: onnx.NodeProto
    opsets: Mapping[str, int]
    constant: tuple[bool, ...] = ()
    captured: tuple[str, ...] = ()  # values of the graphs around that its subgraphs read
    reads: tuple[str, ...] = ()  # its inputs and what is captured
    graphs: Mapping[str, Any] = field(default_factory=dict)  # its subgraphs, as network.py holds them
    sessions: dict[Any, runtime.Session | None] = field(default_factory=dict, compare=False)
    evaluators: dict[Any, Any] = field(default_factory=dict, compare=False)  # shared by the operations of a graph

    @cached_property
    def wide_node(self) -> onnx.NodeProto:
        """The node with its attributes in float64."""
        return widened_node(self.node)

    @cached_property
    def signature(self) -> Signature:
        """Operator and attributes: nodes of the same signature are computed in the same way."""
        attributes = sorted(entry.SerializeToString(deterministic=True) for entry in self.node.attribute)
        return (self.domain, self.node.op_type, b"".join(attributes))

    @property
    def version(self) -> int:
        """The operator set of the standard domain."""
        return self.opsets.get("", 1)

    @property
    def domain(self) -> str:
        """'' for the standard."""
        return "" if self.node.domain == "ai.onnx" else self.node.domain

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute as a plain value: numbers, lists, text."""
        for entry in self.node.attribute:
            if entry.name == name:
                value = onnx.helper.get_attribute_value(entry)
                if isinstance(value, bytes):
                    return value.decode()
                several = isinstance(value, list)
                return [each.decode() if isinstance(each, bytes) else each for each in value] if several else value
        return default


def runtime_alone(operation: Operation, inputs: Values, node: onnx.NodeProto | None = None) -> list[Any]:
    """The node's outputs from ONNX Runtime, in the types of `inputs`; what its subgraphs capture comes last.

    Raises:
        NotHereError: the runtime has no such operator for these types, or refuses the inputs.
    """
    node = node or operation.node
    key = (id(node), *(_kind(value) for value in inputs))
    if key not in operation.sessions:
        try:
            operation.sessions[key] = runtime.cpu_session(alone(operation, inputs, node).SerializeToString())
        except ModelError:
            operation.sessions[key] = None
    session = operation.sessions[key]
    if session is None:
        raise NotHereError(f"the runtime has no {node.op_type} of these types")
    needed = {entry.name for entry in session.get_inputs()}
    feed = {f"i{index}": value for index, value in enumerate(inputs) if f"i{index}" in needed}
    try:
        return list(runtime.run(session, feed).values())
    except InputError as error:
        raise NotHereError(str(error)) from error


def alone(operation: Operation, inputs: Values, node: onnx.NodeProto, *, embed: bool = True) -> onnx.ModelProto:
    """A model of this node alone: i0, i1 ... are its inputs, o0, o1 ... its outputs; `embed` keeps constants inside."""
    single = onnx.NodeProto()
    single.CopyFrom(node)
    count = len(node.input)
    names = [f"i{index}" if value is not None else "" for index, value in enumerate(inputs)]
    del single.input[:]
    single.input.extend(names[:count])
    outputs = [f"o{index}" if name else "" for index, name in enumerate(node.output)]
    del single.output[:]
    single.output.extend(outputs)
    graph = onnx.GraphProto(name="one")
    for index, (name, value) in enumerate(zip(names, inputs, strict=True)):
        fixed = embed and index < len(operation.constant) and operation.constant[index]
        if name and fixed and isinstance(value, np.ndarray):
            graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        elif name:
            graph.input.append(onnx.ValueInfoProto(name=name, type=_type(value)))
    for inner, name in zip(operation.captured, names[count:], strict=True):
        graph.node.append(onnx.helper.make_node("Identity", [name], [inner]))
    graph.node.append(single)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name)
    model = onnx.ModelProto(ir_version=_NEWEST_IR, graph=graph)
    for domain, version in operation.opsets.items():
        model.opset_import.append(onnx.OperatorSetIdProto(domain=domain, version=version))
    return model


def _kind(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str
    return type(value).__name__ if not isinstance(value, list) else ("list", *(_kind(each) for each in value[:1]))


def _type(value: Any) -> onnx.TypeProto:
    if isinstance(value, list):
        inner = _type(value[0]) if value else onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
        return onnx.helper.make_sequence_type_proto(inner)
    if isinstance(value, dict):
        key, each = next(iter(value.items()))
        kind = onnx.TensorProto.STRING if isinstance(key, str) else onnx.TensorProto.INT64
        return onnx.helper.make_map_type_proto(kind, _type(np.asarray(each)))
    array = np.asarray(value)
    text = array.dtype.kind in "OUST"
    kind = onnx.TensorProto.STRING if text else onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_type_proto(kind, None)


Kernel = Callable[[Operation, Values], list[Any]]
