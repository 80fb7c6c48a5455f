"""Which units are needed: backwards from what is pinned, through every weight that is not zero."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.linear import matrix
from edgeticket.graph.channels.state import Bools, Linear, State, Units
from edgeticket.graph.values import constant


class Liveness:
    """The units that stay, so that every remaining channel keeps its value and no tensor becomes empty."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._roots = state.roots(np.arange(len(state.parents), dtype=np.int64))
        self._live = np.zeros(len(state.parents), np.bool_)
        if state.pinned:
            self._live[self._roots[list(state.pinned)]] = True
        mixing = [linear for linear in state.linears if not linear.depthwise]
        self._reads = [(linear, _used(linear)) for linear in reversed(mixing)]
        self._spread()
        while (empty := self._an_empty_value()) is not None:
            self._live[self._roots[state.channels[empty].units[0]]] = True
            self._spread()

    def keep(self, units: Units) -> Bools:
        """True for each unit [n] that stays."""
        kept: Bools = self._live[self._roots[units]]
        return kept

    def needs(self, unit: int) -> bool:
        """Whether one unit stays."""
        return bool(self._live[self._roots[unit]])

    def empty(self, value: ir.Value) -> bool:
        """Nothing of a followed value stays."""
        channels = self._state.channels.get(value)
        return channels is not None and not self.keep(channels.units).any()

    def _spread(self) -> None:
        changed = True
        while changed:
            changed = False
            for linear, used in self._reads:
                needed = used[self.keep(linear.result.units)].any(axis=0) & ~self.keep(linear.source.units)
                if needed.any():
                    self._live[self._roots[linear.source.units[needed]]] = True
                    changed = True

    def _an_empty_value(self) -> ir.Value | None:
        """The first value that would have no channel left although something still reads it."""
        droppable: dict[ir.Value, bool] = {}
        for value in reversed(self._state.channels):
            droppable[value] = self.empty(value) and all(
                use.node in self._state.followed and self._does_without(use.node, droppable) for use in value.uses()
            )
        return next((value for value, drop in droppable.items() if self.empty(value) and not drop), None)

    def _does_without(self, node: ir.Node, droppable: dict[ir.Value, bool]) -> bool:
        """May this reader lose the whole input? It is dropped itself, or it is a Concat of other operands too."""
        output = node.outputs[0]
        if output not in self._state.channels:
            return False
        return droppable[output] or (node.op_type == "Concat" and not self.empty(output))


def _used(linear: Linear) -> Bools:
    array = constant(linear.weight)
    assert array is not None
    used: Bools = (matrix(array, linear.out_axis, linear.in_axis) != 0).any(axis=2)
    return used
