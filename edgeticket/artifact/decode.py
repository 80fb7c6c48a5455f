"""Values of JSON as the frozen dataclasses that they were written from."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Noun = TypeVar("Noun")


def decode(noun: type[Noun], body: object) -> Noun:
    """A dataclass from the JSON object that `dataclasses.asdict` gave; an absent field has its default.

    Fields may be numbers, texts, flags, None, literals, tuples and lists of one type, mappings from text, dataclasses
    and unions of these. A union of dataclasses is told apart by their fields.

    Raises:
        ValueError: a field is missing, unknown or of the wrong kind; the sentence names it.
    """
    return cast(Noun, _decoded(noun, body, ""))


def _decoded(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(inside, value, where)
    if origin is Literal:
        if value in inside:
            return value
    elif dataclasses.is_dataclass(kind):
        if isinstance(value, Mapping):
            return _dataclass(kind, value, where)
    elif origin in (tuple, list):
        if isinstance(value, list | tuple):
            return origin(_decoded(inside[0], each, f"{where}[{place}]") for place, each in enumerate(value))
    elif origin is Mapping:
        if isinstance(value, Mapping):
            return {key: _decoded(inside[1], each, f"{where}[{key!r}]") for key, each in value.items()}
    elif isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{where or 'the document'} is of the wrong kind: {_shown(value)}")


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The value as the first of `kinds` that takes it; with none, the refusal of the last that is no None."""
    if value is None and type(None) in kinds:
        return None
    refusals = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _decoded(kind, value, where)
            except ValueError as error:
                refusals.append(error)
    raise refusals[-1]


def _dataclass(kind: Any, body: Mapping[str, Any], where: str) -> Any:
    known = {each.name: each for each in dataclasses.fields(kind)}
    needed = {
        name
        for name, each in known.items()
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    }
    odd = sorted((needed - body.keys()) | (body.keys() - known.keys()))
    if odd:
        raise ValueError(f"fields missing or unknown: {', '.join(_inside(where, name) for name in odd)}")
    hints = get_type_hints(kind)
    return kind(**{name: _decoded(hints[name], value, _inside(where, name)) for name, value in body.items()})


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
