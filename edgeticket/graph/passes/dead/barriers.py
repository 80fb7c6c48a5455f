"""What keeps channels that are dead: operators that need them or behind which they vary, sums, and even groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.state import State


def barriers(state: State) -> dict[str, int]:
    """Constant channels of layers that stay only because an operator needs them: operator -> how many."""
    return _held(state, {state.find(unit): reader for unit, reader in state.pinned.items()})


def varying(state: State) -> dict[str, int]:
    """Constant channels of layers that stay because they vary behind an operator: operator -> how many.

    A Pad with zeros is one: what it makes of a channel at 1.5 is 1.5 within the border and 0 beyond it, which no bias
    can stand for. Operators that join a channel with another one, such as sums, are none: there the other one varies.
    """
    return _held(state, _uneven(state))


def joined(state: State) -> int:
    """How many constant channels of layers stay because varying ones are joined with them, as by a sum."""
    loose = Liveness(state, boxed=False)
    elsewhere = {state.find(unit) for unit in state.pinned} | _uneven(state).keys()
    vary = np.zeros(len(state.parents), np.bool_)
    for channels in state.channels.values():
        vary[loose.roots(channels.units[np.isnan(channels.constant)])] = True
    found: set[int] = set()
    for linear in state.linears:
        units = loose.roots(linear.result.units[~np.isnan(linear.result.constant)])
        found.update(units[vary[units] & loose.keep(units)].tolist())
    return len(found - elsewhere)


def evened(state: State) -> int:
    """How many channels of layers nobody needs that stay in a grid: groups and heads have as many each."""
    if not state.grids:
        return 0
    loose, boxed = Liveness(state, boxed=False), Liveness(state)
    found: set[int] = set()
    for linear in state.linears:
        units = linear.result.units
        found.update(loose.roots(units[boxed.keep(units) & ~loose.keep(units)]).tolist())
    return len(found)


def _uneven(state: State) -> dict[int, str]:
    """Units that are constant before an operator and vary behind it -> the operator; without those that are pinned."""
    found: dict[int, str] = {}
    for node in dict.fromkeys(value.producer() for value in state.channels):
        sources = [] if node is None else [value for value in dict.fromkeys(node.inputs) if value in state.channels]
        if node is not None and node in state.followed and len(sources) == 1 and sources[0] is not None:
            for unit in _lost(state, sources[0], node):
                found.setdefault(unit, node.op_type)
    pinned = {state.find(unit) for unit in state.pinned}
    return {unit: reader for unit, reader in found.items() if unit not in pinned}


def _lost(state: State, source: ir.Value, node: ir.Node) -> set[int]:
    """Units that are constant in `source` and vary in what the node makes of them."""
    before = state.channels[source]
    constant = set(state.roots(before.units[~np.isnan(before.constant)]).tolist())
    after = [state.channels[value] for value in node.outputs if value in state.channels]
    return {unit for made in after for unit in state.roots(made.units[np.isnan(made.constant)]).tolist()} & constant


def _held(state: State, held: Mapping[int, str]) -> dict[str, int]:
    """Those of the units that a layer makes constant: operator -> how many."""
    kept: dict[str, set[int]] = {}
    for linear in state.linears:
        constants = ~np.isnan(linear.result.constant)
        for unit in state.roots(linear.result.units[constants]).tolist():
            if unit in held:
                kept.setdefault(held[unit], set()).add(unit)
    return {reader: len(units) for reader, units in kept.items()}
