"""Groups of channels that must stay together, with the entries of the constants that belong to each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.state import State


@dataclass(frozen=True, eq=False)
class Member:
    """The entries of one constant that belong to a group: it is cut along `axis` at `indices` if the group is removed.

    The constant is read by `node` at the input `place`. `reads` says that these weights read the group's channels, as
    the columns of the next layer do; else they compute them or act on them, as filters, biases and statistics do.
    """

    node: ir.Node
    place: int
    axis: int
    indices: tuple[int, ...]
    reads: bool

    @property
    def tensor(self) -> str:
        """The constant's name; one that several nodes read is in the groups of each of them."""
        value = self.node.inputs[self.place]
        return (value.name if value is not None else None) or "?"


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """One class of channels that are kept or removed as one.

    The channels of a residual sum and of both its branches share a group, as do a channel of an image and the elements
    that flatten makes of it, and the input and outputs of a depthwise filter. `removable` is False where the graph
    needs the group: it holds a channel of a graph input or output, or one that an operator without a rule touches. It
    is also False where a group cannot go alone: one channel of several in a grouped convolution, or one dimension of
    one of several heads.
    """

    unit: int  # the group's number in its analysis
    members: tuple[Member, ...]
    removable: bool


def groups_of(state: State) -> list[ChannelGroup]:
    """Every group of an analysed model that a constant of the main graph takes part in, in the order of the graph.

    The model should be as passes/canonicalise.py leaves it: a Reshape that is not known to keep the channels is an
    operator without a rule.
    """
    members: dict[int, list[Member]] = {}
    for cut in state.cuts:
        if len(cut.axes) > 1:
            continue
        roots = state.roots(cut.units)
        order = np.argsort(roots, kind="stable")
        distinct, starts = np.unique(roots[order], return_index=True)
        for root, indices in zip(distinct.tolist(), np.split(order, starts[1:]), strict=True):
            member = Member(cut.node, cut.index, cut.axes[0], tuple(indices.tolist()), cut.reads)
            members.setdefault(root, []).append(member)
    pinned = {state.find(unit) for unit in state.pinned} | _bound(state)
    return [ChannelGroup(root, tuple(found), root not in pinned) for root, found in sorted(members.items())]


def _bound(state: State) -> set[int]:
    """The groups that leave no box if they go alone: those of grids that differ along several axes."""
    bound: set[int] = set()
    for grid in state.grids:
        roots = state.roots(grid.units)
        beside = any(units.size > 1 for units in grid.sides.values())
        varied = sum(bool((roots != roots.take([0], axis=axis)).any()) for axis in range(roots.ndim))
        if varied > 1 or (beside and roots.ndim > 1):
            bound.update(roots.reshape(-1).tolist())
            bound.update(state.find(unit) for units in grid.sides.values() for unit in units.tolist())
    return bound
