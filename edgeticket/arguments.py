"""What public functions take: places as text, paths or results, one value or several, and arguments written once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from edgeticket.errors import InputError

P = ParamSpec("P")
Result = TypeVar("Result")
Value = TypeVar("Value", str, int, Path)
MOST_SECONDS = 31_536_000
MOST_THREADS = 1024  # the engine takes no more, and far more end a process


class HasFolder(Protocol):
    """A result that lies in a folder, as those of `find` and `export` do."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


Place: TypeAlias = str | Path | HasFolder


def path_of(place: Place) -> Path:
    """The path of a file or folder that was named, or the folder of a result.

    Raises:
        InputError: it is neither, or an empty text.
    """
    if place == "":
        raise InputError("'': an empty text is no path; give '.' for this folder")
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
    """One value or several as a tuple; a text is one value and not its letters.

    Raises:
        InputError: it is neither.
    """
    if isinstance(given, str | int | Path):
        return (given,)
    if not isinstance(given, Iterable):
        raise InputError(f"{given!r}: give one value, or a list of them")
    return tuple(given)


def require_share(name: str, value: float | None, *, measured: bool = False) -> None:
    """Refuse a limit that is no share; None is none. A measured figure is never held to 0, which could not pass.

    A whole number is refused too: 1 may be meant as 1 % and as 100 %.

    Raises:
        InputError: it is no number, negative, above 1, whole and not 0, or 0 for what is measured.
    """
    if value is not None and not isinstance(value, Real):
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


def require_points(name: str, value: float | None) -> None:
    """Refuse what is no drop of a metric, in its unit: a number from 0 on; None is no limit.

    Raises:
        InputError: it is none.
    """
    if value is not None and not (isinstance(value, Real) and 0 <= value < math.inf):
        shown = f"{value:g}" if isinstance(value, Real) else repr(value)
        raise InputError(f"{name} {shown}: give points from 0 on, or None for no limit")


def require_positive(name: str, value: float | None) -> None:
    """Refuse what is no number, not above 0, or not finite; None stands for nothing.

    Raises:
        InputError: it is so.
    """
    if value is None or (isinstance(value, Real) and 0 < value < math.inf):
        return
    if not isinstance(value, Real):
        raise InputError(f"{name} {value!r}: give a number above 0")
    raise InputError(f"{name} {value:g}: give a number above 0{' that is finite' if value == math.inf else ''}")


def require_seconds(name: str, value: float) -> None:
    """Refuse a time that is no number above 0, or that the system cannot wait for.

    Raises:
        InputError: it is so.
    """
    require_positive(name, value)
    if value is None or value > MOST_SECONDS:
        raise InputError(f"{name} {value}: give seconds, above 0 and up to {MOST_SECONDS:,}, a year")


def require_whole(name: str, value: int, least: int | None = None, most: int | None = None) -> None:
    """Refuse what is no whole number, or outside of `least` to `most`.

    Raises:
        InputError: it is so.
    """
    if not isinstance(value, Integral):
        raise InputError(f"{name} {value!r}: give a whole number")
    if (least is not None and value < least) or (most is not None and value > most):
        lower = "" if least is None else f"{least:,} "
        upper = "or more" if most is None else f"{'to' if lower else 'up to'} {most:,}"
        raise InputError(f"{name} {value}: give {lower}{upper}")


def require_shapes(shapes: Mapping[str, Sequence[int]] | None) -> None:
    """Refuse what are no shapes by the names of inputs, as {'x': (1, 3, 32, 32)}; None is none.

    Raises:
        InputError: they are none.
    """
    pairs = list(shapes.items()) if isinstance(shapes, Mapping) else []
    for name, shape in pairs:
        axes = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else [None]
        if not isinstance(name, str) or not all(isinstance(axis, Integral) and axis >= 0 for axis in axes):
            raise InputError(f"input_shapes {name!r}: {shape!r} is no shape; give whole numbers, as in (1, 3, 32, 32)")
    if shapes is not None and not isinstance(shapes, Mapping):
        raise InputError(f"input_shapes {shapes!r}: give shapes by the names of inputs, as in {{'x': (1, 3, 32, 32)}}")


def takes_arguments_of(
    request: Callable[P, object], *more: inspect.Parameter
) -> Callable[[Callable[..., Result]], Callable[P, Result]]:
    """A decorator for a function that passes its arguments on to a request, where they are written once.

    Type checkers see the request's arguments, and so do help(), editors and notebooks, with `more` of the function's
    own behind them. A keyword that neither has is a TypeError that names the nearest one.
    """
    given = inspect.signature(request)
    made = {
        field.name: field.default_factory()
        for field in (dataclasses.fields(request) if dataclasses.is_dataclass(request) else ())
        if field.default_factory is not dataclasses.MISSING
    }
    shown = [each.replace(default=made[name]) if name in made else each for name, each in given.parameters.items()]

    def decorate(function: Callable[..., Result]) -> Callable[P, Result]:
        own = inspect.signature(function)
        signature = given.replace(parameters=[*shown, *more], return_annotation=own.return_annotation)
        named = {*signature.parameters, *own.parameters}

        @functools.wraps(function)
        def checked(*places: Any, **asked: Any) -> Result:
            unknown = next((name for name in asked if name not in named), None)
            if unknown is not None:
                near = difflib.get_close_matches(unknown, named, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(signature.parameters)}"
                raise TypeError(f"{function.__name__}() has no argument {unknown!r}; {meant}")
            return function(*places, **asked)

        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

    return decorate


def keyword(name: str, default: object, annotation: str) -> inspect.Parameter:
    """A keyword of a function's own, for `takes_arguments_of`."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
