"""Requests and answers as JSON: one object on a worker's standard input, one on its standard output.

A request is {"kind": name, ...its fields}, an answer is its fields; where a model cannot be loaded or run it is
{"error": sentence, "arm": name}. Both ends are of one version of edgeticket, so a field that is missing or unknown is
a mistake and not a default. Standard library only: a device has no msgspec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from edgeticket.measure import protocol
from edgeticket.measure.protocol import Answer, Failure, Request

ANSWERS: Mapping[type[Request[Any]], type] = {
    protocol.BlocksRequest: protocol.BlocksAnswer,
    protocol.LoadRequest: protocol.LoadAnswer,
    protocol.PortsRequest: protocol.PortsAnswer,
    protocol.TryRequest: protocol.TryAnswer,
    protocol.OutputsRequest: protocol.OutputsAnswer,
}
REQUESTS: Mapping[str, type[Request[Any]]] = {each.kind: each for each in ANSWERS}


def request_to_json(request: Request[Any]) -> str:
    """Write a request as the worker reads it."""
    return json.dumps({"kind": request.kind, **vars(request)}, default=vars)


def request_from_json(data: str | bytes) -> Request[Any]:
    """Read what request_to_json wrote.

    Raises:
        ValueError: it is something else.
    """
    given = json.loads(data)
    kind = str(given.pop("kind", None)) if isinstance(given, dict) else "no object"
    if kind not in REQUESTS:
        raise ValueError(f"no request: {kind!r} is none of {', '.join(REQUESTS)}")
    request: Request[Any] = _read(REQUESTS[kind], given)
    return request


def answer_to_json(answer: Any) -> str:
    """Write an answer, or a Failure, as whoever asked reads it."""
    return json.dumps(answer, default=vars)


def answer_from_json(data: str | bytes, request: Request[Answer]) -> Answer | Failure:
    """Read what answer_to_json wrote in reply to this request.

    Raises:
        ValueError: it is something else.
    """
    given = json.loads(data)
    kind: type = Failure if isinstance(given, dict) and "error" in given else ANSWERS[type(request)]
    answer: Answer | Failure = _read(kind, given)
    return answer


def _read(kind: Any, value: Any) -> Any:
    """Make of a value of JSON what its type says: a dataclass, tuple, mapping, an optional one, or what JSON has."""
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict) or value.keys() != {each.name for each in fields(kind)}:
            found = ", ".join(value) if isinstance(value, dict) else repr(value)[:80]
            raise ValueError(f"no {kind.__name__}: its fields are not {found}")
        hints = get_type_hints(kind)
        return kind(**{name: _read(hints[name], each) for name, each in value.items()})
    inner = [each for each in get_args(kind) if each not in (NoneType, Ellipsis)]
    if value is None or not inner:
        return value
    if get_origin(kind) is tuple:
        return tuple(_read(inner[0], each) for each in value)
    if get_origin(kind) is Mapping:
        return {key: _read(inner[1], each) for key, each in value.items()}
    return _read(inner[0], value)  # int | None and the like
