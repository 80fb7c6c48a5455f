"""A whole graph in float64: constants and inputs are widened, and each node is computed as kernels.py says.

If, Loop and Scan run their bodies here too, so that what stands inside of them is computed like everything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.double.kernels import Computed, compute
from edgeticket.graph.double.operation import NotHereError, Operation, Signature
from edgeticket.graph.double.program import Graph
from edgeticket.graph.double.widen import as_read
from edgeticket.graph.passes.inline_functions import inline_functions

Array = NDArray[Any]
Feed = Mapping[str, Any]
_NODE_NS, _ELEMENT_NS, _PRODUCT_NS = 2e5, 2.0, 0.25  # measured on one core of 2.5 GHz


@contextmanager
def _silent() -> Iterator[None]:
    """Without numpy's warnings of overflow and the like."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


class CannotRunError(Exception):
    """A node that nothing here can compute, named with the reason."""


@dataclass
class Result:
    """Outputs in float64 by name, and those of them that are no better than float32, with the operators to blame."""

    outputs: dict[str, Any]
    single: frozenset[str]


@dataclass
class _Scope:
    """The values of one graph, and those of the graphs around it."""

    values: dict[str, Any]
    single: set[str] = field(default_factory=set)
    outer: _Scope | None = None

    def find(self, name: str) -> tuple[Any, bool]:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name], name in scope.single
            scope = scope.outer
        raise CannotRunError(f"the value {name!r} is read before it is computed")


class Network:
    """A model, ready to be run in float64. Denormal weights and inputs are taken as zero, as the runtime takes them.

    `unrounded` holds float64 numbers for some of the initializers. Nodes with a signature in `by_runtime` are left
    to the runtime, whatever else can run them.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        unrounded: Mapping[str, Array] | None = None,
        by_runtime: frozenset[Signature] = frozenset(),
    ) -> None:
        inlined, _ = inline_functions(model)
        self._opsets = {"" if e.domain == "ai.onnx" else e.domain: e.version for e in inlined.opset_import}
        self._graph = Graph(inlined.graph, self._opsets, unrounded or {})
        self._by_runtime = by_runtime
        self.in_single: set[str] = set()  # operators that were computed in float32, as far as it ran
        self.cost_ns = 0.0  # about what was run, by its shapes alone: the same on every machine

    def run(self, feed: Feed) -> Result:
        """The outputs for one feed.

        Raises:
            CannotRunError: a node cannot be computed.
        """
        with _silent():
            inputs = {name: _given(value) for name, value in feed.items()}
            found, single = self._run(self._graph, inputs, None)
        names = [output.name for output in self._graph.proto.output]
        return Result(
            dict(zip(names, found, strict=True)), frozenset(n for n, s in zip(names, single, strict=True) if s)
        )

    def node(self, operation: Operation, feed: Sequence[Any]) -> Computed:
        """One node of the main graph on values of one's own."""
        scope = _Scope(dict(zip([*operation.node.input, *operation.captured], feed, strict=True)))
        with _silent():
            return self._compute(operation, scope)

    @property
    def operations(self) -> list[Operation]:
        """The nodes of the main graph."""
        return self._graph.operations

    def constant(self, name: str) -> Array | None:
        """An initializer of the main graph in float64; None where there is none of that name."""
        return self._graph.constant(name)

    def _run(self, graph: Graph, inputs: dict[str, Any], outer: _Scope | None) -> tuple[list[Any], list[bool]]:
        scope = _Scope(inputs, outer=outer)
        for name in graph.constants:
            if name not in inputs:
                scope.values[name] = None  # widened when it is read: most are read once, and float64 is twice as large
        for index, operation in enumerate(graph.operations):
            lazily = [name for name in operation.reads if name in graph.constants and scope.values.get(name) is None]
            for name in lazily:
                scope.values[name] = graph.constant(name)
            done = self._compute(operation, scope)
            for name in lazily:
                scope.values[name] = None
            tainted = done.single or any(scope.find(name)[1] for name in operation.reads)
            for name, value in zip(operation.node.output, done.outputs, strict=False):
                scope.values[name] = value
                if tainted and _holds_floats(value):
                    scope.single.add(name)
            for name in graph.last_reads[index]:
                scope.values.pop(name, None)
        names = [output.name for output in graph.proto.output]
        values = [
            graph.constant(n) if n in graph.constants and scope.values[n] is None else scope.find(n)[0] for n in names
        ]
        return values, [scope.find(name)[1] for name in names]

    def _compute(self, operation: Operation, scope: _Scope) -> Computed:
        node = operation.node
        inputs = [scope.find(name)[0] if name else None for name in node.input]
        by_runtime = bool(self._by_runtime) and operation.signature in self._by_runtime
        try:
            if operation.domain == "" and node.op_type == "If" and not by_runtime:
                branch = operation.graphs["then_branch" if bool(np.all(inputs[0])) else "else_branch"]
                outputs, single = self._run(branch, {}, scope)
                return Computed(outputs, any(single))
            if operation.domain == "" and node.op_type == "Loop" and not by_runtime:
                return self._loop(operation, inputs, scope)
            if operation.domain == "" and node.op_type == "Scan" and not by_runtime and operation.version >= 9:
                return self._scan(operation, inputs, scope)
            captured = [scope.find(name)[0] for name in operation.captured]
            done = compute(operation, [*inputs, *captured], by_runtime=by_runtime)
        except NotHereError as error:
            raise CannotRunError(f"{node.op_type} ({node.name or node.output[0]}): {error}") from error
        if done.single:
            self.in_single.add(node.op_type)
        self.cost_ns += _cost_ns(operation, inputs, done.outputs)
        return done

    def _loop(self, operation: Operation, inputs: list[Any], scope: _Scope) -> Computed:
        body = operation.graphs["body"]
        names = [value.name for value in body.proto.input]
        most = None if inputs[0] is None else int(np.asarray(inputs[0]).reshape(()))
        going = True if len(inputs) < 2 or inputs[1] is None else bool(np.all(inputs[1]))
        carried, turn, single = list(inputs[2:]), 0, False
        collected: list[list[Any]] = [[] for _ in body.proto.output[1 + len(carried) :]]
        while going and (most is None or turn < most):
            given = [np.array(turn, np.int64), np.array(True), *carried]
            outputs, coarse = self._run(body, dict(zip(names, given, strict=True)), scope)
            single |= any(coarse)
            going = bool(np.all(outputs[0]))
            for kept, value in zip(collected, outputs[1 + len(carried) :], strict=True):
                kept.append(value)
            carried = outputs[1 : 1 + len(carried)]
            turn += 1
        if not turn and collected:
            raise NotHereError("a loop that does not turn")
        return Computed([*carried, *(np.stack(kept) for kept in collected)], single)

    def _scan(self, operation: Operation, inputs: list[Any], scope: _Scope) -> Computed:
        body, read = operation.graphs["body"], operation.attribute("num_scan_inputs")
        states, sequences = list(inputs[: len(inputs) - read]), list(inputs[len(inputs) - read :])
        made = len(body.proto.output) - len(states)
        names = [value.name for value in body.proto.input]
        axes = operation.attribute("scan_input_axes") or [0] * read
        backward = operation.attribute("scan_input_directions") or [0] * read
        sequences = [np.moveaxis(s, a, 0)[:: -1 if b else 1] for s, a, b in zip(sequences, axes, backward, strict=True)]
        collected: list[list[Any]] = [[] for _ in range(made)]
        single = False
        for parts in zip(*sequences, strict=True):
            outputs, coarse = self._run(body, dict(zip(names, [*states, *parts], strict=True)), scope)
            single |= any(coarse)
            states = outputs[: len(states)]
            for kept, value in zip(collected, outputs[len(states) :], strict=True):
                kept.append(value)
        if not len(sequences[0]):
            raise NotHereError("a scan over nothing")
        out_axes = operation.attribute("scan_output_axes") or [0] * made
        flipped = operation.attribute("scan_output_directions") or [0] * made
        stacked = [
            np.moveaxis(np.stack(kept[:: -1 if flip else 1]), 0, axis)
            for kept, axis, flip in zip(collected, out_axes, flipped, strict=True)
        ]
        return Computed([*states, *stacked], single)


def _cost_ns(operation: Operation, inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
    """What a node takes on one core, from its shapes: so much for itself, each element, each product."""
    sizes = [value.size if isinstance(value, np.ndarray) else 0 for value in (*inputs, *outputs)]
    cost = _NODE_NS + _ELEMENT_NS * sum(sizes)
    kind = operation.node.op_type
    if kind in ("Conv", "ConvTranspose") and len(inputs) > 1:
        x, weight, y = inputs[0], inputs[1], outputs[0]
        positions = (x if kind == "ConvTranspose" else y).size / max(1, weight.shape[0])
        cost += _PRODUCT_NS * positions * weight.size + _ELEMENT_NS * positions * weight[0].size
    elif kind in ("MatMul", "Gemm") and len(inputs) > 1:
        cost += _PRODUCT_NS * outputs[0].size * inputs[0].shape[-1]
    elif kind in ("LSTM", "GRU", "RNN") and len(inputs) > 2:
        steps = inputs[0].shape[0]
        cost += steps * (_NODE_NS + _PRODUCT_NS * inputs[0].shape[1] * (inputs[1].size + inputs[2].size))
    elif kind in ("MaxPool", "AveragePool"):
        cost += _ELEMENT_NS * outputs[0].size * float(np.prod(operation.attribute("kernel_shape", [1])))
    return cost


def _given(value: Any) -> Any:
    return as_read(value) if isinstance(value, np.ndarray) else value


def _holds_floats(value: Any) -> bool:
    return isinstance(value, list | dict) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
