"""Rules for operators that take parts of a value: Split, Slice, Gather."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeticket.graph.channels.grid import along
from edgeticket.graph.channels.linear import own_weight
from edgeticket.graph.channels.records import Channels, Cut, Fix, Floats, Grid, Keep, Units
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import attribute, constant, new_constant, shape_of

Indices = NDArray[np.int64]


def split(state: State, node: ir.Node) -> bool:
    """Parts of the channels, or all of them in parts of another axis."""
    value, outputs = node.inputs[0], list(node.outputs)
    source, dims = state.followed_input(value), None if value is None else shape_of(value)
    if source is None or dims is None or value is None:
        return False
    axis = attribute(node, "axis", 0) % len(dims)
    if axis not in source.axes:
        for output in outputs:
            state.write_like(output, source, source.constant)
        return True
    place = source.axes.index(axis)
    sizes = _sizes(node, source.units.shape[place])
    if sizes is None or sizes.min() < 1:
        return False
    _same_of_every_row(state, source, axis)
    ragged = source.ragged if source.ragged != axis else None
    parts: list[Units] = np.split(source.units, np.cumsum(sizes)[:-1], axis=place)
    numbers = np.split(source.constant, np.cumsum(sizes)[:-1], axis=place)
    for output, units, part in zip(outputs, parts, numbers, strict=True):
        state.write(output, source.axes, units, part, ragged)
    state.fixes.append(Fix(node, partial(_resplit, node, axis, place, parts, state.version < 13)))
    return True


def _same_of_every_row(state: State, source: Channels, axis: int) -> None:
    """Places along the ragged axis mean the same in every row only where the rows lose the same."""
    if len(source.axes) > 1 and source.ragged == axis:
        state.grids.append(Grid(source.units))


def _sizes(node: ir.Node, total: int) -> Indices | None:
    """The constant sizes of the parts."""
    count = len(node.outputs)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        listed = constant(node.inputs[1])
        sizes = None if listed is None else listed.astype(np.int64)
    elif attribute(node, "split", ()):
        sizes = np.array(attribute(node, "split", ()), np.int64)
    else:
        largest = -(-total // count)
        sizes = np.array([largest] * (count - 1) + [total - largest * (count - 1)], np.int64)
    return sizes if sizes is not None and len(sizes) == count and sizes.sum() == total and sizes.min() >= 0 else None


def _resplit(node: ir.Node, axis: int, place: int, parts: list[Units], by_attribute: bool, keep: Keep) -> None:
    """Sizes of what stays. An output of which nothing stays goes; if one is left, it is the input itself."""
    sizes = [int(along(keep(part), place).sum()) for part in parts]
    graph, source = node.graph, node.inputs[0]
    assert isinstance(graph, ir.Graph)
    assert source is not None
    if sizes == [part.shape[place] for part in parts]:
        return
    left = [(output, size) for output, size in zip(node.outputs, sizes, strict=True) if size]
    if len(left) == 1 and not left[0][0].is_graph_output():
        left[0][0].replace_all_uses_with(source)
        return
    numbers = np.array([size for _, size in left], np.int64)
    listed = [] if by_attribute else [new_constant(graph, f"{left[0][0].name}.sizes", numbers)]
    entries = [ir.AttrInt64("axis", axis)] + ([ir.AttrInt64s("split", numbers.tolist())] if by_attribute else [])
    fresh = ir.Node("", "Split", [source, *listed], entries, num_outputs=len(left), name=node.name)
    graph.insert_before(node, fresh)
    for (old, _), new in zip(left, fresh.outputs, strict=True):
        _stand_in(old, new)


def _stand_in(old: ir.Value, new: ir.Value) -> None:
    """`new` takes the readers and the name of a node's output."""
    name, new.type, new.shape = old.name, old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name = None
    new.name = name


def slice_(state: State, node: ir.Node) -> bool:
    """A range along the channels, or along other axes."""
    value = node.inputs[0]
    source, dims = state.followed_input(value), None if value is None else shape_of(value)
    if source is None or dims is None:
        return False
    ranges = _ranges(node, len(dims))
    if ranges is None:
        return False
    touched = [axis for axis in ranges if axis in source.axes and not _whole(ranges[axis], dims[axis])]
    if not touched:
        state.write_like(node.outputs[0], source, source.constant)
        return True
    bounds = ranges[touched[0]]
    if len(touched) != 1 or None in bounds or (len(ranges) > 1 and bounds[2] != 1):
        return False
    place = source.axes.index(touched[0])
    chosen = np.arange(source.units.shape[place])[slice(*bounds)]
    return _choose(state, node, source, touched[0], chosen, list(ranges).index(touched[0]))


def _whole(bounds: tuple[int | None, int | None, int | None], length: int | str | None) -> bool:
    """Is it everything, from the first to the last? It is then so of what stays as well."""
    start, end, step = bounds
    return start == 0 and step == 1 and end is not None and isinstance(length, int) and end >= length


def _ranges(node: ir.Node, rank: int) -> dict[int, tuple[int | None, int | None, int | None]] | None:
    """axis -> (start, end, step), with None where it is not constant; None where the axes are not known."""
    if len(node.inputs) < 2:
        starts, ends = (list(attribute(node, name, ())) for name in ("starts", "ends"))
        axes = list(attribute(node, "axes", range(len(starts))))
        return {axis % rank: (start, end, 1) for axis, start, end in zip(axes, starts, ends, strict=True)}
    parts = [constant(value) for value in node.inputs[1:]] + [None, None]
    given = [value is not None for value in node.inputs[1:]] + [False, False]
    if given[2] and parts[2] is None:
        return None
    counts = [part.size for part in parts if part is not None]
    axes = parts[2].tolist() if parts[2] is not None else list(range(counts[0])) if counts else []
    if not axes:
        return None

    def entry(which: int, place: int) -> int | None:
        part = parts[which]
        return int(part[place]) if part is not None else None if which < 3 or given[3] else 1

    return {axis % rank: (entry(0, k), entry(1, k), entry(3, k)) for k, axis in enumerate(axes)}


def gather(state: State, node: ir.Node) -> bool:
    """Constant indices along the channels, any indices along other axes, or rows of a constant table."""
    value, indices = node.inputs
    if constant(value) is not None:
        return _embedding(state, node)
    source, rank, width = state.followed_input(value), rank_of(value), rank_of(indices)
    if source is None or rank is None or width is None:
        return False
    axis = attribute(node, "axis", 0) % rank
    state.pin(indices)
    if axis not in source.axes:
        moved = [other + (width - 1 if other > axis else 0) for other in source.axes]
        ragged = None if source.ragged is None else moved[source.axes.index(source.ragged)]
        state.write(node.outputs[0], tuple(moved), source.units, source.constant, ragged)
        return True
    chosen = constant(indices)
    size = source.units.shape[source.axes.index(axis)]
    if chosen is None or chosen.ndim > 1 or chosen.size == 0 or np.abs(chosen + 0.5).max() > size:
        return False
    return _choose(state, node, source, axis, chosen.astype(np.int64) % size, 0)


def _embedding(state: State, node: ir.Node) -> bool:
    """Rows [V, E] of a table that indices choose: the channels are its columns."""
    stored, rank = node.inputs[0], rank_of(node.inputs[1])
    given = constant(stored)
    if stored is None or given is None or given.ndim != 2 or given.dtype.kind in "iub":
        return False
    if len(stored.uses()) != 1:
        return False
    table = own_weight(state, node, 0)
    if table is None or table.ndim != 2 or rank is None or attribute(node, "axis", 0) % 2 != 0:
        return False
    units = state.fresh(table.shape[1])
    state.cuts.append(Cut(node, 0, (1,), units))
    numbers = np.where((table == table[:1]).all(axis=0), table[0].astype(np.float64), np.nan)
    state.write(node.outputs[0], (rank,), units, numbers)
    return True


def _choose(state: State, node: ir.Node, source: Channels, axis: int, chosen: Indices, entry: int) -> bool:
    """Entries `chosen` along one of the channels' axes; a single index as a scalar removes that axis.

    In a Slice of several axes, `entry` is where this one stands.
    """
    place = source.axes.index(axis)
    scalar = chosen.ndim == 0
    picked = np.atleast_1d(chosen)
    if picked.size == 0:
        return False
    _same_of_every_row(state, source, axis)
    units: Units = np.take(source.units, picked, axis=place)
    numbers: Floats = np.take(source.constant, picked, axis=place)
    whole = source.units
    ragged = source.ragged if source.ragged != axis else None
    state.fixes.append(Fix(node, partial(_rechoose, node, axis, whole, place, chosen, entry)))
    if not scalar:
        state.write(node.outputs[0], source.axes, units, numbers, ragged)
        return True
    rest = tuple(other - (other > axis) for other in source.axes if other != axis)
    if not rest:
        state.pin_units(units)
        return True
    state.write(
        node.outputs[0],
        rest,
        np.take(units, 0, axis=place),
        np.take(numbers, 0, axis=place),
        None if ragged is None else ragged - (ragged > axis),
    )
    return True


def _rechoose(node: ir.Node, axis: int, whole: Units, place: int, chosen: Indices, entry: int, keep: Keep) -> None:
    """Say which entries are chosen among those that stay: a range where they lie side by side, else their indices."""
    mask = along(keep(whole), place)
    if mask.all():
        return
    listed = np.atleast_1d(chosen)
    left = (np.cumsum(mask) - 1)[listed[mask[listed]]]
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    if node.op_type == "Slice" and left.size and (np.diff(left) == 1).all():
        _narrow(graph, node, entry, int(left[0]), int(left[-1]) + 1)
        return
    indices = left.reshape(()) if chosen.ndim == 0 else left
    node.op_type = "Gather"
    node.resize_inputs(2)
    node.replace_input_with(1, new_constant(graph, f"{node.outputs[0].name}.indices", indices.astype(np.int64)))
    node.attributes.clear()
    node.attributes["axis"] = ir.AttrInt64("axis", axis)


def _narrow(graph: ir.Graph, node: ir.Node, entry: int, start: int, end: int) -> None:
    """Write one of a Slice's ranges, with the step 1."""
    for index, name, number in ((1, "starts", start), (2, "ends", end), (4, "steps", 1)):
        if len(node.inputs) < 2:
            if name in node.attributes:
                numbers = list(attribute(node, name, ()))
                numbers[entry] = number
                node.attributes[name] = ir.AttrInt64s(name, numbers)
            continue
        array = constant(node.inputs[index]) if len(node.inputs) > index else None
        if array is not None and array[entry] != number:
            changed = np.array(array)
            changed[entry] = number
            node.replace_input_with(index, new_constant(graph, f"{node.outputs[0].name}.{name}", changed))
