"""Bytes of files as they are and in gzip -9: each different file is compressed once, and several at a time."""

from __future__ import annotations

import gzip
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from edgeticket.artifact import checks
from edgeticket.files import sha256


class Archives:
    """Files by the names under which a report has them, `NAME` and, in gzip -9, `NAME.gz`.

    Compressing 100 MB of weights takes a core ten seconds, more than the rest of an export. Whoever adds a file waits
    while as many are being compressed as there are cores, so that few are held in memory.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(checks.cores())
        self._length: dict[str, int] = {}
        self._key: dict[str, str] = {}
        self._zipped: dict[str, Future[int]] = {}

    def add(self, name: str, data: bytes) -> None:
        """One more file."""
        self._length[name], self._key[name] = len(data), sha256(data)
        if self._key[name] not in self._zipped:
            running = [each for each in self._zipped.values() if not each.done()]
            if len(running) >= checks.cores():
                wait(running, return_when=FIRST_COMPLETED)
            self._zipped[self._key[name]] = self._pool.submit(_zipped_bytes, data)

    def sizes(self) -> dict[str, int]:
        """All of them, in the order in which they were added."""
        found: dict[str, int] = {}
        for name, length in self._length.items():
            found |= {name: length, f"{name}.gz": self._zipped[self._key[name]].result()}
        self._pool.shutdown()
        return found


def _zipped_bytes(data: bytes) -> int:
    return len(gzip.compress(data, 9, mtime=0))
