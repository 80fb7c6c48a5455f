"""Every text of a model is UTF-8, as the standard has it: protobuf hands out others as bytes, or fails."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx

from edgeticket.errors import ModelError


def require_texts(model: onnx.ModelProto, where: str) -> None:
    """Refuse a model with a name, operator or note that is no text; `where` names it in the message.

    Raises:
        ModelError: there is one. The sentence says in which node, by its place, where it is in one.
    """
    fault = _fault(model, "the model")
    if fault:
        raise ModelError(f"{where}: {fault} is no UTF-8 text: the file is damaged. Export or copy it again.")


def _fault(message: Any, place: str) -> str:
    """The first text that is none, and where it stands; '' where all are."""
    texts, parts = _fields(message.DESCRIPTOR)
    for name, repeated in texts:
        try:
            found = getattr(message, name)
            broken = any(isinstance(each, bytes) for each in (found if repeated else (found,)))
        except UnicodeDecodeError:
            broken = True
        if broken:
            return f"{name} of {place}"
    for name, repeated in parts:
        if not repeated and not message.HasField(name):
            continue
        children = getattr(message, name) if repeated else (getattr(message, name),)
        for number, child in enumerate(children):
            inside = f"{_KINDS[name]} {number} of {place}" if name in _KINDS else place
            if said := _fault(child, inside):
                return said
    return ""


_KINDS = {
    "node": "node", "initializer": "initializer", "input": "input", "output": "output", "functions": "function",
    "value_info": "annotation", "attribute": "attribute",
}  # fmt: skip


@cache
def _fields(descriptor: Any) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]:
    """The names of a message's fields of text and of messages, and whether each is repeated."""
    texts, parts = [], []
    for field in descriptor.fields:
        repeated = bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)
        if field.type == field.TYPE_STRING:
            texts.append((field.name, repeated))
        elif field.type == field.TYPE_MESSAGE:
            parts.append((field.name, repeated))
    return tuple(texts), tuple(parts)
