"""Functions say what an option's text means: click's own class of types is generic in new versions only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

DENSITY = "write 3.6% or 0.036"
TOLERANCE = "write 5%, 0.05 or off"


def _share(value: str, noun: str, way_out: str) -> float:
    """Read '5%' or '0.05'. A bare number from 1 on is refused: 5 may be meant as 5 % and as 500 %."""
    text = value.strip()
    try:
        found = float(text.removesuffix("%").rstrip())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a {noun}; {way_out}") from error
    if text.endswith("%"):
        return found / 100
    if found == 1:
        raise click.BadParameter(f"{value!r} may be meant as 1 % and as 100 %; {way_out}")
    if 1 < found <= 100:
        rest = ", or off" if way_out.endswith("off") else ""
        raise click.BadParameter(f"{value!r} is not between 0 and 100 %: write {found:g}% for percent{rest}")
    return found


def density(value: str) -> float:
    """Read a share of the weights: '3.6%' or '0.036'."""
    share = _share(value, "density", DENSITY)
    if not 0 < share <= 1:
        raise click.BadParameter(f"{value!r} is not between 0 and 100 %; {DENSITY}")
    return share


def input_shape(value: str) -> tuple[str, tuple[int, ...]]:
    """Read an input's name and its shape: 'x=1x3x32x32'."""
    name, _, axes = value.rpartition("=")
    parts = axes.lower().split("x")
    if not name or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not an input's shape; write NAME=1x3x32x32")
    return name, tuple(int(part) for part in parts)


def share(value: str) -> float | None:
    """Read by what share a count may grow, '5%' or '0.05', or '0' for not at all; 'off' is None."""
    if value.strip().lower() == "off":
        return None
    found = _share(value, "tolerance", TOLERANCE)
    if not 0 <= found <= 1:
        raise click.BadParameter(f"{value!r} is not between 0 and 100 %; {TOLERANCE}")
    return found


def tolerance(value: str) -> float | None:
    """Read a share that a measured figure is held to; 0 is refused, as no measurement proves that nothing grew."""
    found = share(value)
    if found == 0:
        raise click.BadParameter(f"{value!r} can never pass: what is measured scatters; {TOLERANCE}")
    return found


def points(value: str) -> float | None:
    """Read a drop in the metric's unit, '0.5' or '0.5 points'; 'off' is None."""
    text = value.strip().lower()
    if text == "off":
        return None
    if text.endswith("%"):
        raise click.BadParameter(
            f"{value!r}: this is in points of the metric, and no share of it: 0.5 is from 97.5 % to 97.0 %; "
            "write 0.5 or off"
        )
    try:
        found = float(text.removesuffix("points").removesuffix("point"))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a number of points; write 0.5 or off") from error
    if not 0 <= found < float("inf"):
        raise click.BadParameter(f"{value!r} is not 0 or more; write 0.5 or off")
    return found


def numbers(value: str) -> tuple[int, ...]:
    """Read numbers of rounds: '3,7,9'."""
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: write round numbers, as in 3,7,9") from error


def counts(value: str) -> tuple[int, ...]:
    """Read numbers of threads: '1,2'."""
    parts = value.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} are no numbers of threads; write 1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def names(value: str) -> tuple[str, ...]:
    """Read names with commas between them: 'cpu,sparse'."""
    found = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if not found:
        raise click.BadParameter("give one name at least, as in cpu,sparse")
    return found


def paths(_: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Read a path, or several: as a callback, which is told of an empty text, because as a path it is this folder."""
    if isinstance(value, tuple):
        return tuple(paths(_, parameter, each) for each in value)
    if value == "":
        raise click.BadParameter("an empty text is no path; write . for this folder")
    return None if value is None else Path(value)
