"""Work that is begun before its result is asked for, on a thread of its own.

ONNX Runtime makes a session without holding Python's lock: where there is a second core, that one makes it while the
caller goes on. How long that takes grows with the nodes of a graph, and an export needs half a dozen sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Result = TypeVar("Result")


class Ahead:
    """Runs functions one after another, in the order in which they were begun; those that wait at its end never run."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, work: Callable[[], Result], *, now: bool = True) -> Callable[[], Result]:
        """What gives the result of `work`, or raises what it raised. Unless `now`, it runs when that is called."""
        return self._pool.submit(work).result if now else work
