"""Numbers as people read them."""

from __future__ import annotations

import pytest

from edgeticket import text


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (19_957, "20.0 kB"),
        (1_067_000, "1,067 kB"),
        (58_900_000, "58.9 MB"),
        (1_234_567_890, "1,234.6 MB"),
    ],
)
def test_size(size_bytes: float, shown: str) -> None:
    assert text.size(size_bytes) == shown


def test_plural() -> None:
    assert [text.plural(count, "thread") for count in (0, 1, 2000)] == ["0 threads", "1 thread", "2,000 threads"]


def test_percent() -> None:
    assert text.percent(0.2107) == "21.07 %"
    assert text.percent(1.0, 0) == "100 %"


@pytest.mark.parametrize(
    ("latency_ms", "shown"),
    [(0.0213, "21.3 µs"), (0.00213, "2.13 µs"), (3.4, "3.40 ms"), (34.5, "34.5 ms"), (1234.4, "1,234 ms")],
)
def test_latency(latency_ms: float, shown: str) -> None:
    assert text.latency(latency_ms) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (5, "5.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (83, "1 min 23 s"),
        (3599.7, "1 h 00 min"),
        (7_500, "2 h 05 min"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_one_line() -> None:
    assert text.one_line(ValueError("two\n  lines ")) == "two lines"
    assert text.one_line("x" * 80, 80) == "x" * 80
    assert text.one_line("x" * 81, 80) == "x" * 77 + "..."


def test_listing() -> None:
    assert text.listing([]) == ""
    assert text.listing(["a", "b"]) == "a, b"
    assert text.listing(list("abcdefgh"), limit=3) == "a, b, c and 5 more"
