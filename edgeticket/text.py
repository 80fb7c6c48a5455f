"""Numbers and messages as people read them. Tables and progress bars are rich's; only values are formatted here."""

from __future__ import annotations


def size(size_bytes: float) -> str:
    """Decimal units, as disks and data sheets use them: 1067000 -> '1,067 kB', 58900000 -> '58.9 MB'."""
    if abs(size_bytes) < 1_000:
        return f"{size_bytes:.0f} B"
    if abs(size_bytes) < 10_000:
        return f"{size_bytes / 1e3:.2f} kB"
    if abs(size_bytes) < 100_000:
        return f"{size_bytes / 1e3:.1f} kB"
    if abs(size_bytes) < 10_000_000:
        return f"{size_bytes / 1e3:,.0f} kB"
    return f"{size_bytes / 1e6:,.1f} MB"


def percent(share: float, digits: int = 2) -> str:
    """0.2107 -> '21.07 %'."""
    return f"{100 * share:.{digits}f} %"


def latency(latency_ms: float) -> str:
    """Three significant digits in the unit that reads best: 0.0213 -> '21.3 µs', 3.4 -> '3.40 ms'."""
    value, unit = (latency_ms * 1e3, "µs") if latency_ms < 1 else (latency_ms, "ms")
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} {unit}"


def duration(seconds: float) -> str:
    """83 -> '1 min 23 s', 5 -> '5.0 s', 7500 -> '2 h 05 min'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def plural(count: int, noun: str) -> str:
    """1 -> '1 thread', 2000 -> '2,000 threads'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def one_line(message: object, longest: int = 200) -> str:
    """What somebody else's message or value says, on one line and not without end."""
    line = " ".join(str(message).split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def listing(names: list[str], limit: int = 6) -> str:
    """'a, b, c and 4 more': a sentence never grows with its input."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"
