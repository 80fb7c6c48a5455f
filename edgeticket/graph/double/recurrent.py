"""LSTM, GRU and RNN in numpy, in both directions and with sequences of different lengths.

The formulas and the order of the gates are those of the operators' specifications.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.double.operation import NotHereError, Operation, Values

Array = NDArray[Any]
Activation = Callable[[Array], Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


_ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": lambda x: np.logaddexp(0, x),
}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULT = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


@dataclass(frozen=True)
class _Cell:
    """One direction: recurrent weights [gates H, H], biases [gates H], peepholes [3 H] or None, and activations."""

    kind: str
    recurrent: Array
    input_bias: Array
    bias: Array
    peephole: Array | None
    activations: tuple[Activation, ...]
    clip: float | None
    linear_before_reset: bool
    input_forget: bool

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """x [B, gates H] holds the products with the input weights. Returns (h, c), both [B, H]."""
        size = h.shape[-1]
        act = self.activations
        if self.kind == "LSTM":
            gates = x + h @ self.recurrent.T + self.input_bias + self.bias
            i, o, f, g = (gates[:, k * size : (k + 1) * size] for k in range(4))
            pi, po, pf = (0, 0, 0) if self.peephole is None else np.split(self.peephole, 3)
            i = act[0](self._clipped(i + pi * c))
            f = 1 - i if self.input_forget else act[0](self._clipped(f + pf * c))
            c = f * c + i * act[1](self._clipped(g))
            return act[0](self._clipped(o + po * c)) * act[2](c), c
        if self.kind == "GRU":
            both = slice(0, 2 * size)
            gates = act[0](
                self._clipped(x[:, both] + h @ self.recurrent[both].T + self.input_bias[both] + self.bias[both])
            )
            z, r = gates[:, :size], gates[:, size:]
            last = slice(2 * size, 3 * size)
            weight, bias = self.recurrent[last].T, self.bias[last]
            hidden = r * (h @ weight + bias) if self.linear_before_reset else (r * h) @ weight + bias
            new = act[1](self._clipped(x[:, last] + hidden + self.input_bias[last]))
            return (1 - z) * new + z * h, c
        return act[0](self._clipped(x + h @ self.recurrent.T + self.input_bias + self.bias)), c

    def _clipped(self, x: Array) -> Array:
        return x if self.clip is None else np.clip(x, -self.clip, self.clip)


def recurrent(operation: Operation, inputs: Values) -> list[Array]:
    """x [T, B, I] -> y [T, D, B, H], the last h and, for LSTM, c [D, B, H]; batch first where layout is 1."""
    kind = operation.node.op_type
    given: list[Any] = [*inputs, *[None] * (8 - len(inputs))]
    x, weight, recurrence, bias, lengths, h0, c0, peephole = given
    if operation.attribute("activation_alpha"):
        raise NotHereError("activations with parameters")
    batch_first = operation.attribute("layout", 0)
    if batch_first:
        x = np.swapaxes(x, 0, 1)
        h0, c0 = (None if state is None else np.swapaxes(state, 0, 1) for state in (h0, c0))
    time, batch = x.shape[:2]
    directions, size = weight.shape[0], recurrence.shape[-1]
    limits = np.full(batch, time) if lengths is None else np.asarray(lengths)
    outputs, last_h, last_c = [], [], []
    for index in range(directions):
        backward = index == 1 or operation.attribute("direction", "forward") == "reverse"
        order = _order(time, limits, backward)
        cell = _cell(operation, kind, index, recurrence, bias, peephole, directions)
        products = np.take_along_axis(x, order[:, :, None], axis=0) @ weight[index].T
        h = np.zeros((batch, size)) if h0 is None else h0[index]
        c = np.zeros((batch, size)) if c0 is None else c0[index]
        y = np.zeros((time, batch, size))
        for step in range(time):
            new_h, new_c = cell.step(products[step], h, c)
            runs = (step < limits)[:, None]
            h, c = np.where(runs, new_h, h), np.where(runs, new_c, c)
            y[step] = np.where(runs, new_h, 0)
        outputs.append(np.take_along_axis(y, order[:, :, None], axis=0))
        last_h.append(h)
        last_c.append(c)
    found = [np.stack(outputs, axis=1), np.stack(last_h), np.stack(last_c)]
    if batch_first:
        found = [found[0].transpose(2, 0, 1, 3), found[1].swapaxes(0, 1), found[2].swapaxes(0, 1)]
    return found[: len(operation.node.output)]


def _order(time: int, limits: Array, backward: bool) -> NDArray[np.int64]:
    """[T, B]: which step is read when; backwards it is its own inverse."""
    steps = np.arange(time, dtype=np.int64)[:, None]
    reverse = np.where(steps < limits, limits - 1 - steps, steps)
    return np.asarray(reverse if backward else np.broadcast_to(steps, (time, len(limits))), np.int64)


def _cell(
    operation: Operation, kind: str, index: int, recurrence: Array, bias: Any, peephole: Any, directions: int
) -> _Cell:
    size = recurrence.shape[-1]
    wide = _GATES[kind] * size
    both = np.zeros(2 * wide) if bias is None else bias[index]
    names = operation.attribute("activations") or _DEFAULT[kind] * directions
    each = len(_DEFAULT[kind])
    chosen = [str(name).lower() for name in names[index * each : (index + 1) * each]]
    if any(name not in _ACTIVATIONS for name in chosen):
        raise NotHereError("an activation with parameters")
    return _Cell(
        kind,
        recurrence[index],
        both[:wide],
        both[wide:],
        None if peephole is None else peephole[index],
        tuple(_ACTIVATIONS[name] for name in chosen),
        operation.attribute("clip"),
        bool(operation.attribute("linear_before_reset", 0)),
        bool(operation.attribute("input_forget", 0)),
    )
