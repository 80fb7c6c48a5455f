"""Python's garbage collector while graphs are worked on: they are hundreds of thousands of small objects that stay.

The collector counts what is made and walks over all of it again and again. That took a fifth of the export of 5,000
nodes and found hardly anything to free. It is not turned off, because graphs of onnx-ir are cycles: it runs rarely, and
once where graphs are no longer held.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY_BYTES = 1 << 24  # of a model
_MADE = 200_000  # objects between two looks at the youngest; CPython's own number is 700, or 2,000


@contextmanager
def rarely_collected() -> Iterator[None]:
    """The collector runs rarely inside; how often it ran before is restored. A number that is larger already stays."""
    before = gc.get_threshold()
    if before[0]:  # 0 says that somebody has turned it off
        gc.set_threshold(max(before[0], _MADE), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def collect(model_bytes: int) -> None:
    """Free graphs that nothing holds any more, with the weights in them, where those of one model are many.

    To walk over the objects of 5,000 nodes takes a twentieth of an export, and what it frees is no part of the peak.
    """
    if model_bytes >= MANY_BYTES:
        gc.collect()
