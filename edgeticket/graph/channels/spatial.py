"""Rules for operators that move, add or interpolate positions: Resize, Pad, Expand, DepthToSpace, SpaceToDepth."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from edgeticket.graph.channels.lengths import length_known, set_lengths
from edgeticket.graph.channels.records import Channels, Fix, Floats
from edgeticket.graph.channels.state import State, rank_of
from edgeticket.graph.values import attribute, constant, shape_of
from edgeticket.graph.vectors import Vector, vector


def only_zero(constants: Floats) -> Floats:
    """The constant 0 stays, another does not."""
    return np.where(constants == 0, 0.0, np.nan)


def resize(state: State, node: ir.Node) -> bool:
    """Resize and Upsample with the scale 1 along the channels: each channel is interpolated by itself.

    A constant stays what it is, since the weights of two neighbours sum to 1; not where something else is put outside
    the image, and only 0 where more neighbours take part, whose weights sum to 1 but for rounding.
    """
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    if source is None or rank is None:
        return False
    axes = attribute(node, "axes", tuple(range(rank)))
    places = {axis % rank: place for place, axis in enumerate(axes)}
    touched = [axis for axis in source.axes if axis in places]
    if touched and not _keeps(state, node, source, {axis: places[axis] for axis in touched}):
        return False
    kept = source.constant
    if attribute(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        outside = float(np.float32(attribute(node, "extrapolation_value", 0.0)))
        kept = np.where(kept == outside, kept, np.nan)
    if attribute(node, "mode", "nearest") == "cubic" or attribute(node, "antialias", 0):
        kept = only_zero(kept)
    state.write_like(node.outputs[0], source, kept)
    return True


def _keeps(state: State, node: ir.Node, source: Channels, places: dict[int, int]) -> bool:
    """Does the node say, by scales or sizes, that the channels' axes keep their lengths? Sizes follow what is cut."""
    if node.op_type == "Upsample" or state.version < 11:
        scales = constant(node.inputs[1]) if len(node.inputs) > 1 else np.array(attribute(node, "scales", ()))
        return scales is not None and all(place < scales.size and scales[place] == 1 for place in places.values())
    sizes = node.inputs[3] if len(node.inputs) > 3 else None
    if sizes is None:
        scales = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        return scales is not None and all(place < scales.size and scales[place] == 1 for place in places.values())
    listed = vector(sizes)
    if listed is None or len(source.axes) != 1 or not length_known(sizes):
        return False
    [(axis, place)] = places.items()
    if listed[place] != source.units.shape[source.axes.index(axis)]:
        return False
    if attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    state.fixes.append(Fix(node, partial(set_lengths, node, 3, {place: source.units})))
    return True


def pad(state: State, node: ir.Node) -> bool:
    """Padding of positions, or of channels with constant ones.

    A constant channel stays constant where the border repeats it, or where the padding has the same value.
    """
    value = node.inputs[0]
    source, dims = state.followed_input(value), None if value is None else shape_of(value)
    amounts, filling = _padding(node)
    if source is None or dims is None or amounts is None:
        return False
    rank = len(dims)
    axes: list[int] | None = list(range(rank))
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        listed = constant(node.inputs[3])
        axes = None if listed is None else [int(axis) % rank for axis in listed]
    if axes is None or len(amounts) != 2 * len(axes):
        return False
    begins, ends = (dict(zip(axes, part, strict=True)) for part in (amounts[: len(axes)], amounts[len(axes) :]))
    padded = [axis for axis in source.axes if begins.get(axis) or ends.get(axis)]
    kept = source.constant
    if attribute(node, "mode", "constant") == "constant":
        moved = [axis for axis in axes if axis not in source.axes and (begins[axis] > 0 or ends[axis] > 0)]
        if moved:
            kept = np.where(kept == filling, kept, np.nan) if filling is not None else np.full(kept.shape, np.nan)
    if not padded:
        state.write_like(node.outputs[0], source, kept)
        return True
    return _pad_channels(state, node, source, begins[padded[0]], ends[padded[0]], filling, kept, axes)


def _pad_channels(
    state: State,
    node: ir.Node,
    source: Channels,
    before: int,
    after: int,
    filling: float | None,
    kept: Floats,
    axes: list[int],
) -> bool:
    if len(source.axes) != 1 or min(before, after) < 0 or attribute(node, "mode", "constant") != "constant":
        return False
    if filling is None or len(node.inputs) < 2:
        return False
    first, last = state.fresh(before), state.fresh(after)
    units = np.concatenate([first, source.units, last])
    numbers = np.concatenate([np.full(before, filling), kept, np.full(after, filling)])
    place = axes.index(source.axes[0])
    state.fixes.append(Fix(node, partial(set_lengths, node, 1, {place: first, len(axes) + place: last})))
    state.write(node.outputs[0], source.axes, units, numbers)
    return True


def _padding(node: ir.Node) -> tuple[list[int] | None, float | None]:
    """The constant amounts, all begins before all ends, and the value that is put in; None where not known."""
    if len(node.inputs) < 2:
        return list(attribute(node, "pads", ())) or None, float(np.float32(attribute(node, "value", 0.0)))
    listed: Vector | None = vector(node.inputs[1])
    amounts = [entry for entry in listed or () if isinstance(entry, int)]
    if listed is None or len(amounts) != len(listed) or constant(node.inputs[1]) is None:
        return None, None
    given = node.inputs[2] if len(node.inputs) > 2 else None
    if given is None:
        return amounts, 0.0
    array = constant(given)
    return amounts, None if array is None or array.size != 1 else float(array.reshape(-1)[0])


def expand(state: State, node: ir.Node) -> bool:
    """Repeat along axes of length 1. The target says how many channels there are, or 1, which leaves them."""
    source, rank = state.followed_input(node.inputs[0]), rank_of(node.inputs[0])
    target = vector(node.inputs[1]) if len(node.inputs) > 1 else None
    if source is None or rank is None or target is None or len(source.axes) != 1 or not length_known(node.inputs[1]):
        return False
    place = source.axes[0] - rank + len(target)
    if place >= 0 and target[place] not in (1, source.count):
        return False
    if place >= 0 and target[place] == source.count > 1:
        state.fixes.append(Fix(node, partial(set_lengths, node, 1, {place: source.units})))
    shift = max(rank, len(target)) - rank
    state.write(node.outputs[0], (source.axes[0] + shift,), source.units, source.constant)
    return True


def depth_to_space(state: State, node: ir.Node) -> bool:
    """[N, C·b·b, H, W] -> [N, C, H·b, W·b]: the b·b channels that make one live together."""
    source = state.followed_input(node.inputs[0])
    size = attribute(node, "blocksize", 1) ** 2
    if source is None or source.axes != (1,) or size < 1 or source.count % size:
        return False
    column = attribute(node, "mode", "DCR") == "CRD"
    shape, axis = ((-1, size), 1) if column else ((size, -1), 0)
    made = state.narrowed(Channels((0, 1), source.units.reshape(shape), source.constant.reshape(shape)), (1 - axis,))
    state.write(node.outputs[0], (1,), made.units, made.constant)
    return True


def space_to_depth(state: State, node: ir.Node) -> bool:
    """[N, C, H·b, W·b] -> [N, b·b·C, H, W]: each channel becomes b·b that share its fate."""
    source = state.followed_input(node.inputs[0])
    if source is None or source.axes != (1,):
        return False
    size = attribute(node, "blocksize", 1) ** 2
    state.write(node.outputs[0], (1,), np.tile(source.units, size), np.tile(source.constant, size))
    return True
