"""Groups of channels that nobody reads are cut out of every constant that takes part in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.grid import Left, compact, kept_shape
from edgeticket.graph.channels.liveness import Liveness
from edgeticket.graph.channels.records import Bools, Cut
from edgeticket.graph.channels.state import State
from edgeticket.graph.values import Array, change_constant, owned, shape_of

_LEFT = "edgeticket.left"  # of a value's `meta`: what each cut left of it, the first cut first


@dataclass(frozen=True)
class CutChannels:
    """Whether the graph changed, how many output channels each weight lost, by its name, and how many dead ones stay.

    They stay so that convolutions keep a multiple of channels: see liveness.py.
    """

    changed: bool
    lost: dict[str, int]
    aligned: int


def cut_dead_channels(state: State, lanes: int = 1) -> CutChannels:
    """Remove every group of channels that is not needed, or as many as leave convolutions a multiple of `lanes`."""
    liveness = Liveness(state, lanes=lanes)
    lost = {}
    made = [(linear.weight, linear.result.units) for linear in state.linears]
    for weight, units in (*made, *state.hidden):
        dead = int(np.count_nonzero(~liveness.keep(units)))
        if dead and weight.name:
            lost[weight.name] = dead
    dropped = {node for node in state.followed if node.outputs and liveness.dropped(node)}
    changed = bool(lost)
    masks = [(cut, liveness.keep(cut.units)) for cut in state.cuts if cut.node not in dropped]
    changed = (
        changed
        or any(not kept.all() for _, kept in masks)
        or any(not liveness.keep(cut.units).all() for cut in state.cuts if cut.node in dropped)
    )
    _apply(masks, dropped)
    if changed:
        _note_lengths(state, liveness)
        for fix in state.fixes:
            if fix.node not in dropped:
                fix.change(liveness.keep)
    return CutChannels(changed, lost, liveness.aligned)


def left_of(value: ir.Value) -> tuple[Left, ...]:
    """What each cut left of a value, the first one first; () where nothing was cut from it."""
    found: tuple[Left, ...] = value.meta.get(_LEFT, ())
    return found


def _note_lengths(state: State, liveness: Liveness) -> None:
    """Write what is left into the values' shapes, which need no inference then, and note it for the proof."""
    for value, channels in state.channels.items():
        kept = liveness.keep(channels.units)
        if not kept.all():
            value.meta[_LEFT] = (*left_of(value), Left(channels.axes, kept, channels.ragged_index))
        dims = shape_of(value)
        if dims is not None and not kept.all():
            lengths = dict(zip(channels.axes, kept_shape(kept, channels.ragged_index), strict=True))
            value.shape = ir.Shape([lengths.get(axis, dim) for axis, dim in enumerate(dims)])


def _apply(masks: list[tuple[Cut, Bools]], dropped: set[ir.Node]) -> None:
    """Cut each constant; one that several nodes read stays one where all of them lose the same."""
    by_value: dict[ir.Value, dict[tuple[ir.Node, int], list[tuple[Cut, Bools]]]] = {}
    for cut, kept in masks:
        value = cut.node.inputs[cut.index]
        assert value is not None
        by_value.setdefault(value, {}).setdefault((cut.node, cut.index), []).append((cut, kept))
    for value, readers in by_value.items():
        # Of what is emptied nothing is cut: the operand, or the node, goes as a whole.
        readers = {place: [c for c in cuts if c[1].any()] for place, cuts in readers.items()}
        if all(kept.all() for cuts in readers.values() for _, kept in cuts):
            continue
        uses = {(use.node, use.idx) for use in value.uses() if use.node not in dropped}
        first = next(iter(readers.values()))
        if uses == readers.keys() and not value.is_graph_output() and all(_same(first, c) for c in readers.values()):
            _cut(value, first)
            continue
        for (node, index), cuts in readers.items():
            if any(not kept.all() for _, kept in cuts):
                _cut(owned(node, index), cuts)


def _same(left: list[tuple[Cut, Bools]], right: list[tuple[Cut, Bools]]) -> bool:
    return len(left) == len(right) and all(
        a.axes == b.axes and a.ragged == b.ragged and np.array_equal(mine, theirs)
        for (a, mine), (b, theirs) in zip(left, right, strict=True)
    )


def _cut(value: ir.Value, cuts: list[tuple[Cut, Bools]]) -> None:
    change_constant(value, partial(_left, [(cut.axes, kept, cut.ragged) for cut, kept in cuts]))


def _left(cuts: Sequence[tuple[tuple[int, ...], Bools, int | None]], array: Array) -> Array:
    """What is kept along the axes of each cut."""
    for axes, kept, ragged in cuts:
        array = compact(array, axes, kept, ragged)
    return array
