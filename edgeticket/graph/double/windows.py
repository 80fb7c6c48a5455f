"""Convolutions and pools in numpy, of any number of spatial axes: windows are multiplied by BLAS, or taken tap by tap.

onnx.reference has them too, but loops in Python. The formulas are those of the operators' specifications.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.graph.double.operation import NotHereError, Operation, RuntimeDecidesError, Values

Array = NDArray[Any]
_CHUNK = 1 << 22  # elements of the windows that are laid out at once


@dataclass(frozen=True)
class Windows:
    """Kernel, strides, dilations, padding [(before, after)] and number of positions on each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Every place in the kernel, and what it reads of the padded input."""
        for place in itertools.product(*map(range, self.kernel)):
            starts = [at * step for at, step in zip(place, self.dilations, strict=True)]
            yield (
                place,
                tuple(
                    slice(start, start + (count - 1) * stride + 1, stride)
                    for start, count, stride in zip(starts, self.counts, self.strides, strict=True)
                ),
            )


def windows_of(operation: Operation, sizes: Sequence[int], kernel: Sequence[int]) -> Windows:
    """The windows of a convolution or pool over spatial `sizes`. With ceil_mode the padding behind grows as needed."""
    rank = len(kernel)
    strides = operation.attribute("strides") or [1] * rank
    dilations = operation.attribute("dilations") or [1] * rank
    given = operation.attribute("pads") or [0] * 2 * rank
    mode = operation.attribute("auto_pad", "NOTSET")
    pads, counts = [], []
    for axis, (size, width, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        extent = (width - 1) * dilation + 1
        before, after = (given[axis], given[rank + axis]) if mode == "NOTSET" else (0, 0)
        if mode.startswith("SAME"):
            count = -(-size // stride)
            total = max((count - 1) * stride + extent - size, 0)
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            after = total - before
        elif operation.attribute("ceil_mode", 0):
            count = -(-(size + before + after - extent) // stride) + 1
            count -= (count - 1) * stride >= size + before  # the last window starts inside
        else:
            count = (size + before + after - extent) // stride + 1
        if count < 1 or before < 0 or after < 0:
            raise RuntimeDecidesError("negative padding, or a window larger than its input")
        pads.append((before, max(after, (count - 1) * stride + extent - size - before)))
        counts.append(count)
    return Windows(tuple(kernel), tuple(strides), tuple(dilations), tuple(pads), tuple(counts))


def padded(x: Array, windows: Windows, value: float = 0.0) -> Array:
    """x [N, C, ...] with its padding."""
    if not any(before or after for before, after in windows.pads):
        return x
    return np.pad(x, ((0, 0), (0, 0), *windows.pads), constant_values=value)


def conv(operation: Operation, inputs: Values) -> list[Array]:
    """Conv: x [N, C, ...], weight [M, C / group, ...], bias [M]."""
    x, weight = inputs[0], inputs[1]
    bias = inputs[2] if len(inputs) > 2 else None
    groups = operation.attribute("group", 1)
    windows = windows_of(operation, x.shape[2:], weight.shape[2:])
    x = padded(x, windows)
    outputs, reads = weight.shape[:2]
    y = np.zeros((len(x), outputs, *windows.counts))
    if reads == 1 and groups > 1:
        spread = np.repeat(x, outputs // groups, axis=1) if outputs != groups else x
        for place, cut in windows.taps():
            factors = weight[(slice(None), 0, *place)].reshape(-1, *[1] * len(cut))
            y += spread[(slice(None), slice(None), *cut)] * factors
    else:
        each = outputs // groups
        for group in range(groups):
            part = x[:, group * reads : (group + 1) * reads]
            rows = slice(group * each, (group + 1) * each)
            _multiply(part, weight[rows].reshape(each, -1), windows, y[:, rows])
    return [y if bias is None else y + bias.reshape(-1, *[1] * len(windows.kernel))]


def _multiply(x: Array, matrix: Array, windows: Windows, y: Array) -> None:
    """y = matrix [M, C K] times the windows of x, laid out for some of the first spatial axis at a time."""
    rank = len(windows.kernel)
    spatial = x.strides[2:]
    steps = tuple(stride * step for stride, step in zip(windows.strides, spatial, strict=True))
    inside = tuple(dilation * step for dilation, step in zip(windows.dilations, spatial, strict=True))
    for sample, out in zip(x, y, strict=True):
        view = np.lib.stride_tricks.as_strided(
            sample,
            (sample.shape[0], *windows.kernel, *windows.counts),
            (sample.strides[0], *inside, *steps),
            writeable=False,
        )
        rows = max(1, _CHUNK // max(1, matrix.shape[1] * math.prod(windows.counts[1:])))
        for start in range(0, windows.counts[0], rows):
            part = view[(slice(None),) * (1 + rank) + (slice(start, start + rows),)]
            shape = part.shape[1 + rank :]
            out[:, start : start + rows] = (matrix @ part.reshape(matrix.shape[1], -1)).reshape(-1, *shape)


def conv_transpose(operation: Operation, inputs: Values) -> list[Array]:
    """ConvTranspose: x [N, C, ...], weight [C, M / group, ...], bias [M]; each tap adds its product where it lands."""
    x, weight = inputs[0], inputs[1]
    bias = inputs[2] if len(inputs) > 2 else None
    groups, rank = operation.attribute("group", 1), x.ndim - 2
    strides = operation.attribute("strides") or [1] * rank
    dilations = operation.attribute("dilations") or [1] * rank
    extra = operation.attribute("output_padding") or [0] * rank
    given = operation.attribute("pads") or [0] * 2 * rank
    wanted = operation.attribute("output_shape")
    mode = operation.attribute("auto_pad", "NOTSET")
    full, before, sizes = [], [], []
    for axis, size in enumerate(x.shape[2:]):
        extent = (weight.shape[2 + axis] - 1) * dilations[axis] + 1
        whole = (size - 1) * strides[axis] + extent + extra[axis]
        target = wanted[axis - rank] if wanted else size * strides[axis] if mode.startswith("SAME") else None
        if target is not None:
            total = max(whole - target, 0)
            before.append(total // 2 if mode != "SAME_LOWER" else total - total // 2)
            if not mode.startswith("SAME"):
                before[-1] = total - total // 2
            sizes.append(target)
        else:
            start, end = (given[axis], given[rank + axis]) if mode == "NOTSET" else (0, 0)
            before.append(start)
            sizes.append(whole - start - end)
        full.append(max(whole, before[-1] + sizes[-1]))
    inputs_each, outputs_each = weight.shape[0] // groups, weight.shape[1]
    y = np.zeros((len(x), outputs_each * groups, *full))
    counts = x.shape[2:]
    for place in itertools.product(*map(range, weight.shape[2:])):
        cut = tuple(
            slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
            for at, dilation, count, stride in zip(place, dilations, counts, strides, strict=True)
        )
        for group in range(groups):
            matrix = weight[(slice(group * inputs_each, (group + 1) * inputs_each), slice(None), *place)].T
            part = x[:, group * inputs_each : (group + 1) * inputs_each].reshape(len(x), inputs_each, -1)
            rows = slice(group * outputs_each, (group + 1) * outputs_each)
            y[(slice(None), rows, *cut)] += (matrix @ part).reshape(len(x), outputs_each, *counts)
    y = y[(slice(None), slice(None), *(slice(b, b + size) for b, size in zip(before, sizes, strict=True)))]
    return [y if bias is None else y + bias.reshape(-1, *[1] * rank)]


def max_pool(operation: Operation, inputs: Values) -> list[Array]:
    """MaxPool of floats, without the places of the largest."""
    x = inputs[0]
    if len(operation.node.output) > 1 or x.dtype.kind != "f":
        raise NotHereError("places of the largest")
    windows = windows_of(operation, x.shape[2:], operation.attribute("kernel_shape"))
    x = padded(x, windows, -np.inf)
    y = np.full((*x.shape[:2], *windows.counts), -np.inf)
    for _, cut in windows.taps():
        np.maximum(y, x[(slice(None), slice(None), *cut)], out=y)
    return [y]


def average_pool(operation: Operation, inputs: Values) -> list[Array]:
    """AveragePool: what lies beyond the padding that was asked for is never counted."""
    x = inputs[0]
    kernel = operation.attribute("kernel_shape")
    windows = windows_of(operation, x.shape[2:], kernel)
    whole = padded(x, windows)
    counted = np.ones(x.shape[2:])
    if operation.attribute("count_include_pad", 0):
        given = operation.attribute("pads") or [0] * 2 * len(kernel)
        asked = [(given[axis], given[len(kernel) + axis]) for axis in range(len(kernel))]
        asked = asked if operation.attribute("auto_pad", "NOTSET") == "NOTSET" else list(windows.pads)
        counted = np.pad(counted, asked, constant_values=1.0)
        rest = [(0, total - size) for total, size in zip(whole.shape[2:], counted.shape, strict=True)]
        counted = np.pad(counted, [(0, max(after, 0)) for _, after in rest])
    else:
        counted = np.pad(counted, windows.pads)
    y, number = np.zeros((*x.shape[:2], *windows.counts)), np.zeros(windows.counts)
    for _, cut in windows.taps():
        y += whole[(slice(None), slice(None), *cut)]
        number += counted[cut]
    return [y / number]
