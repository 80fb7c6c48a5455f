"""Which numbers every host sees alike, and which some hosts take for zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NEGLIGIBLE = 1e-30  # some processors flush denormals to zero and others do not: below this, outputs are alike


def is_float(array: object) -> bool:
    """Is it a tensor of floats? The runtime returns lists and maps as well."""
    return isinstance(array, np.ndarray) and bool(np.issubdtype(array.dtype, np.floating))


def flushed(array: Array, *, half: bool = True) -> Array:
    """The array with zeros for denormals, which not every host sees as the same numbers.

    The runtime flushes them on the thread of a process's first session only, so that even two runs in one process may
    differ; and where a network asks for an order (ArgMax, Sign), by more than any tolerance. Those of float16 are
    numbers to the runtime, which computes them in float32: without `half` they stay.
    """
    if not is_float(array) or (array.dtype == np.float16 and not half):
        return array
    small = (array != 0) & (np.abs(array) < np.finfo(array.dtype).smallest_normal)
    return np.where(small, array.dtype.type(0), array) if small.any() else array
