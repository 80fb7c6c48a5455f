"""Groups of channels that nobody reads are cut out of every constant that takes part in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeticket.graph.channels.grid import compact
from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.state import Bools, Cut, State
from edgeticket.graph.values import Array, change_constant, owned


@dataclass(frozen=True)
class CutChannels:
    """Whether the graph changed, and how many output channels each weight lost, by its name."""

    changed: bool
    lost: dict[str, int]


def cut_dead_channels(state: State) -> CutChannels:
    """Remove every group of channels that is not needed."""
    liveness = Liveness(state)
    lost = {}
    for linear in state.linears:
        dead = int(np.count_nonzero(~liveness.keep(linear.result.units)))
        if dead and linear.weight.name:
            lost[linear.weight.name] = dead
    dropped = {node for node in state.followed if node.outputs and liveness.dropped(node)}
    changed = bool(lost)
    for cut in state.cuts:
        kept = liveness.keep(cut.units)
        if kept.all():
            continue
        changed = True
        if cut.node not in dropped and kept.any():  # else the node or the operand goes as a whole
            _apply(cut, kept)
    if changed:
        for fix in state.fixes:
            if fix.node not in dropped:
                fix.change(liveness.keep)
    return CutChannels(changed, lost)


def _apply(cut: Cut, kept: Bools) -> None:
    def left(array: Array) -> Array:
        return compact(array, cut.axes, kept, cut.ragged)

    change_constant(owned(cut.node, cut.index), left)


def barriers(state: State) -> dict[str, int]:
    """Constant channels of layers that stay only because an operator needs them: operator -> how many."""
    kept: dict[str, int] = {}
    held = {state.find(unit): reader for unit, reader in state.pinned.items()}
    for linear in state.linears:
        constants = ~np.isnan(linear.result.constant)
        for unit in state.roots(linear.result.units[constants]).tolist():
            if unit in held:
                kept[held[unit]] = kept.get(held[unit], 0) + 1
    return kept
