"""What public functions take: places as text, paths or results, one value or several, and arguments written once."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

from edgeticket.errors import InputError

P = ParamSpec("P")
Result = TypeVar("Result")
Value = TypeVar("Value", str, int, Path)


class HasFolder(Protocol):
    """A result that lies in a folder, as those of `find` and `export` do."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


Place: TypeAlias = str | Path | HasFolder


def path_of(place: Place) -> Path:
    """The path of a file or folder that was named, or the folder of a result.

    Raises:
        InputError: it is neither.
    """
    if isinstance(place, str | Path):
        return Path(place)
    folder = getattr(place, "folder", None)
    if not isinstance(folder, Path):
        raise InputError(f"{place!r}: give a path, as text or as a Path, or a result that lies in a folder")
    return folder


def paths_of(places: Place | Iterable[Place]) -> tuple[Path, ...]:
    """The paths of one place or of several."""
    if isinstance(places, str | Path) or not isinstance(places, Iterable):
        return (path_of(places),)
    return tuple(path_of(place) for place in places)


def several(given: Value | Iterable[Value]) -> tuple[Value, ...]:
    """One value or several as a tuple; a text is one value and not its letters."""
    return (given,) if isinstance(given, str | int | Path) else tuple(given)


def require_share(name: str, value: float | None, *, measured: bool = False) -> None:
    """Refuse a limit that is no share; None is none. A measured figure is never held to 0, which could not pass.

    A whole number is refused too: 1 may be meant as 1 % and as 100 %.

    Raises:
        InputError: it is no number, negative, above 1, whole and not 0, or 0 for what is measured.
    """
    if value is not None and not isinstance(value, (int, float)):
        raise InputError(f"{name} {value!r}: give a share as a number (0.05 is 5 %), or None for no limit")
    if value is None or (0 < value < 1) or (value == 1 and isinstance(value, float)):
        return
    if value == 0:
        if measured:
            raise InputError(f"{name} 0: this can never pass, as what is measured scatters; give 0.05 for 5 %, or None")
        return
    if value < 0:
        raise InputError(f"{name} {value:g}: give a number from 0 on, or None for no limit")
    percent = f" ({value / 100:g} is {value:g} %)" if 1 <= value <= 100 else ""
    raise InputError(f"{name} {value:g}: give a share, from 0 up to 1.0{percent}, or None for no limit")


def require_positive(name: str, value: float | None) -> None:
    """Refuse what is not above 0, or not finite; None stands for nothing.

    Raises:
        InputError: it is so.
    """
    if value is not None and not 0 < value < math.inf:
        finite = " that is finite" if value == math.inf else ""
        raise InputError(f"{name} {value:g}: give a number above 0{finite}")


def takes_arguments_of(
    request: Callable[P, object], *more: inspect.Parameter
) -> Callable[[Callable[..., Result]], Callable[P, Result]]:
    """A decorator for a function that passes its arguments on to a request, where they are written once.

    Type checkers see the request's arguments, and so do help(), editors and notebooks, with `more` of the function's
    own behind them.
    """
    given = inspect.signature(request)
    made = {
        field.name: field.default_factory()
        for field in (dataclasses.fields(request) if dataclasses.is_dataclass(request) else ())
        if field.default_factory is not dataclasses.MISSING
    }
    shown = [each.replace(default=made[name]) if name in made else each for name, each in given.parameters.items()]

    def decorate(function: Callable[..., Result]) -> Callable[P, Result]:
        returns = inspect.signature(function).return_annotation
        signature = given.replace(parameters=[*shown, *more], return_annotation=returns)
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return decorate


def keyword(name: str, default: object, annotation: str) -> inspect.Parameter:
    """A keyword of a function's own, for `takes_arguments_of`."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
