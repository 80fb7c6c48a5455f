"""Files in gzip: what the library says of each, in their order, and equal ones are compressed once."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from edgeticket.graph.storing import archives
from edgeticket.graph.storing.archives import Archives


def test_each_file_has_its_bytes_and_those_in_gzip_in_the_order_of_adding() -> None:
    rng = np.random.default_rng(0)
    files = {f"file {number}": rng.integers(0, 4, 1000 * number).astype(np.uint8).tobytes() for number in range(9)}
    made = Archives()
    for name, data in files.items():
        made.add(name, data)
    expected: dict[str, int] = {}
    for name, data in files.items():
        expected |= {name: len(data), f"{name}.gz": len(gzip.compress(data, 9, mtime=0))}
    assert list(made.sizes().items()) == list(expected.items())


def test_equal_files_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    zipped: list[bytes] = []
    monkeypatch.setattr(archives, "_zipped_bytes", lambda data: zipped.append(data) or len(data) // 2)
    made = Archives()
    for name, data in (("a", b"same"), ("b", b"other!"), ("c", b"same")):
        made.add(name, data)
    assert made.sizes() == {"a": 4, "a.gz": 2, "b": 6, "b.gz": 3, "c": 4, "c.gz": 2}
    assert sorted(zipped) == [b"other!", b"same"]
