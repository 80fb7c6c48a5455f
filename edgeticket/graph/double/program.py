"""A graph as a program: its constants as they rest, its nodes in an order that can be run, what each of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.double.operation import Operation
from edgeticket.graph.double.widen import as_read
from edgeticket.graph.order import ordered
from edgeticket.graph.protos import captured

Array = NDArray[Any]


class Graph:
    """One graph: its constants as they rest, its nodes in an order that can be run, and when each value is let go."""

    def __init__(self, proto: onnx.GraphProto, opsets: Mapping[str, int], unrounded: Mapping[str, Array]) -> None:
        self.proto = proto
        self.constants: dict[str, onnx.TensorProto | onnx.SparseTensorProto] = {
            **{tensor.name: tensor for tensor in proto.initializer},
            **{sparse.values.name: sparse for sparse in proto.sparse_initializer},
        }
        self._unrounded = {name: array for name, array in unrounded.items() if name in self.constants}
        evaluators: dict[Any, Any] = {}
        self.operations = [_operation(node, opsets, self.constants, evaluators) for node in ordered(proto)]
        self._readers = Counter(name for operation in self.operations for name in operation.reads)
        self._kept: dict[str, Array] = {}
        kept = {output.name for output in proto.output} | set(self.constants)
        last = {name: index for index, operation in enumerate(self.operations) for name in operation.reads}
        here = {name for operation in self.operations for name in operation.node.output}
        self.last_reads: list[list[str]] = [[] for _ in self.operations]
        for name, index in last.items():
            if name in here and name not in kept:
                self.last_reads[index].append(name)

    def constant(self, name: str) -> Array | None:
        """A constant in float64, denormals as zero; kept where several nodes read it."""
        if name in self._unrounded:
            return self._unrounded[name]
        if name in self._kept:
            return self._kept[name]
        entry = self.constants.get(name)
        if entry is None:
            return None
        array = as_read(_dense(entry))
        if self._readers[name] > 1:
            self._kept[name] = array
        return array


def _dense(entry: onnx.TensorProto | onnx.SparseTensorProto) -> Array:
    if isinstance(entry, onnx.TensorProto):
        return onnx.numpy_helper.to_array(entry)
    array = onnx.numpy_helper.to_array(entry.values)
    whole = np.zeros(tuple(entry.dims), array.dtype)
    places = onnx.numpy_helper.to_array(entry.indices)
    whole[np.unravel_index(places, whole.shape) if places.ndim == 1 else tuple(places.T)] = array
    return whole


def _operation(
    node: onnx.NodeProto, opsets: Mapping[str, int], constants: Mapping[str, object], evaluators: dict[Any, Any]
) -> Operation:
    bodies = {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}
    graphs = {name: Graph(body, opsets, {}) for name, body in bodies.items()}
    outer = tuple(dict.fromkeys(name for body in bodies.values() for name in captured(body)))
    return Operation(
        node, opsets, tuple(name in constants for name in node.input), outer, graphs=graphs,
        reads=tuple(dict.fromkeys([*(name for name in node.input if name), *outer])), evaluators=evaluators,
    )  # fmt: skip
