"""Why channels stay that are dead by themselves: what needs them, where they vary, whom they are joined with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.state import State

_DYNAMIC = "DynamicQuantizeLinear"


@dataclass(frozen=True)
class Held:
    """How many dead channels of layers stay for each reason; a channel is counted under the first that holds.

    `readers`: operator -> constant channels that stay because it needs them. `uneven`: operator -> constant channels
    that vary behind it. `joined`: constant channels that meet varying ones, in a sum or a concatenation. `evened`:
    channels that nobody needs, but a box of channels does. `ranging`: channels that vary and that no weight reads, but
    whose numbers make the range that DynamicQuantizeLinear finds.
    """

    readers: dict[str, int] = field(default_factory=dict)
    uneven: dict[str, int] = field(default_factory=dict)
    joined: int = 0
    evened: int = 0
    ranging: int = 0


def barriers(state: State) -> Held:
    """Why the channels of layers stay where nothing more can be cut."""
    loose, boxed = Liveness(state, boxed=False), Liveness(state) if state.grids else None
    pinned = {state.find(unit): reader for unit, reader in state.pinned.items()}
    uneven = _varying_behind(state)
    varying = np.zeros(len(state.parents), np.bool_)
    for channels in state.channels.values():
        varying[loose.roots(channels.units[np.isnan(channels.constant)])] = True
    readers: dict[str, set[int]] = defaultdict(set)
    behind: dict[str, set[int]] = defaultdict(set)
    joined: set[int] = set()
    evened: set[int] = set()
    for linear in state.linears:
        units = linear.result.units
        needed = loose.keep(units)
        for unit in loose.roots(units[needed & ~np.isnan(linear.result.constant)]).tolist():
            if pinned.get(unit) == "Shape" and varying[unit]:
                joined.add(unit)  # lengths.py would write the number of channels down, but all of them vary there
            elif unit in pinned:
                readers[pinned[unit]].add(unit)
            elif unit in uneven:
                behind[uneven[unit]].add(unit)
            elif varying[unit]:
                joined.add(unit)
        if boxed is not None and not needed.all():
            evened.update(loose.roots(units[~needed & boxed.keep(units)]).tolist())
    return Held(_counts(readers), _counts(behind), len(joined), len(evened), _ranging(state))


def _ranging(state: State) -> int:
    """How many varying channels of layers DynamicQuantizeLinear alone keeps."""
    pinned = {unit: reader for unit, reader in state.pinned.items() if reader != _DYNAMIC}
    if len(pinned) == len(state.pinned):
        return 0
    without = Liveness(replace(state, pinned=pinned), boxed=False)
    found: set[int] = set()
    for linear in state.linears:
        units = linear.result.units
        found.update(without.roots(units[~without.keep(units) & np.isnan(linear.result.constant)]).tolist())
    return len(found)


def _varying_behind(state: State) -> dict[int, str]:
    """Units that are constant before an operator with one input and vary behind it: unit -> the operator.

    A Pad with zeros is one: what it makes of a channel at 1.5 is 1.5 within the border and 0 beyond it, which no bias
    can stand for. Operators that join a channel with another one, such as sums, are none: there the other one varies.
    """
    found: dict[int, str] = {}
    for node in dict.fromkeys(value.producer() for value in state.channels):
        sources = [] if node is None else [value for value in dict.fromkeys(node.inputs) if value in state.channels]
        if node is not None and node in state.followed and len(sources) == 1 and sources[0] is not None:
            for unit in _lost(state, sources[0], node):
                found.setdefault(unit, node.op_type)
    return found


def _lost(state: State, source: ir.Value, node: ir.Node) -> set[int]:
    """Units that are constant in `source` and vary in what the node makes of them."""
    before = state.channels[source]
    constant = set(state.roots(before.units[~np.isnan(before.constant)]).tolist())
    after = [state.channels[value] for value in node.outputs if value in state.channels]
    return {unit for made in after for unit in state.roots(made.units[np.isnan(made.constant)]).tolist()} & constant


def _counts(units: dict[str, set[int]]) -> dict[str, int]:
    return {reader: len(held) for reader, held in units.items()}
