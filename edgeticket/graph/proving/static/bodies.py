"""The bodies of a model, and which of them compute the same in two models, node for node: such a body needs no run.

A body that no input runs may be for inputs of other ranks, and then it cannot be run by force either: exporters write
`squeeze` as an If of which one branch never fits. It is proved all the same where it has the same nodes as before, with
the same attributes, and reads the same numbers and values; names, order and how constants are made do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.order import ordered
from edgeticket.graph.protos import standard_version
from edgeticket.graph.proving.static.node_parts import kind, plain_bytes, trimmed
from edgeticket.graph.proving.static.scopes import Scope, texts_as_unicode

Body = tuple[str, str]  # the first output of an If, a Loop or a Scan, and the attribute that holds the body
NAMES = {"then_branch": "then-branch", "else_branch": "else-branch", "body": "body"}
_PASSES_ON = ("", "Identity", "")
_UNKNOWN = count()


@dataclass(frozen=True)
class Place:
    """Where a body stands: its node, and the Ifs around it that must take the branch it is in, the outermost first."""

    node: onnx.NodeProto
    branches: tuple[Body, ...] = ()


def bodies_of(graph: onnx.GraphProto, around: tuple[Body, ...] = ()) -> Iterator[tuple[Body, Place]]:
    """All bodies of a graph, each before those inside of it."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                body = node.output[0], attribute.name
                inside = (*around, body) if node.op_type == "If" else around
                if attribute.name in NAMES:
                    yield body, Place(node, inside)
                yield from bodies_of(attribute.g, inside)


def digests(model: onnx.ModelProto, names: Mapping[str, str]) -> dict[Body, bytes]:
    """By body, what it computes of what. `names` are what values of this model are called in the other one."""
    reader = _Reader(names)
    main = Scope.of_graph(model.graph, standard_version(model))
    for node in model.graph.node:
        reader.read_bodies(node, main)
    return reader.found


@dataclass
class _Reader:
    """The digests of bodies, and of the values in them by their graph and name."""

    names: Mapping[str, str]
    found: dict[Body, bytes] = field(default_factory=dict)
    _values: dict[tuple[int, str], bytes] = field(default_factory=dict)
    _scopes: list[Scope] = field(default_factory=list)  # each is kept, so that no other one gets its id

    def read_bodies(self, node: onnx.NodeProto, scope: Scope) -> list[bytes]:
        """The digests of a node's bodies, and of all inside of them."""
        made = []
        for attribute in sorted(node.attribute, key=lambda each: each.name):
            if attribute.HasField("g"):
                made.append(self._body(attribute.g, scope))
                body = node.output[0], attribute.name
                self.found[body] = _digest(self.found[body], made[-1]) if body in self.found else made[-1]
        return made

    def _body(self, body: onnx.GraphProto, outer: Scope) -> bytes:
        scope = Scope.of_graph(body, outer.version, outer)
        self._scopes.append(scope)
        for node in ordered(body):
            reads = [self._value(scope, name) for name in trimmed(node.input)]
            if kind(node) == _PASSES_ON:
                self._values[id(scope), node.output[0]] = reads[0]
                continue
            plain = sorted(plain_bytes(each) for each in node.attribute if not each.HasField("g"))
            operator = [part.encode() for part in kind(node)]
            digest = _digest(b"node", *operator, *plain, b"reads", *reads, b"holds", *self.read_bodies(node, scope))
            for place, name in enumerate(node.output):
                self._values[id(scope), name] = _digest(b"output", digest, b"%d" % place)
        return _digest(b"body", *(self._value(scope, output.name) for output in body.output))

    def _value(self, scope: Scope, name: str) -> bytes:
        """Numbers count as they are, a body's own values by what they are made of, and others by their name."""
        home = scope.home(name) if name else None
        while home is not None and home is not scope and (before := _passed_on(home, name)):
            home, name = home.home(before), before
        if home is None:
            return _unlike_any() if name else _digest(b"nothing")
        numbers = home.constant(name)
        if numbers is not None:
            return _of_numbers(numbers)
        if name in home.input_places and home.depth:
            return _digest(b"formal", b"%d %d" % (home.depth, home.input_places[name]))
        if home is scope:
            return self._values.get((id(home), name)) or _unlike_any()
        return _digest(b"named", self.names.get(name, name).encode())


def _passed_on(home: Scope, name: str) -> str:
    """What an Identity repeats under this name; '' where none does."""
    node = home.nodes[home.makers[name][0]] if name in home.makers else None
    return node.input[0] if node is not None and kind(node) == _PASSES_ON else ""


def _of_numbers(array: NDArray[Any]) -> bytes:
    array = np.ascontiguousarray(texts_as_unicode(array))
    return _digest(b"constant", str(array.dtype).encode(), str(array.shape).encode(), array.tobytes())


def _unlike_any() -> bytes:
    """The digest of what is not known: no two of them are the same."""
    return _digest(b"unknown", b"%d" % next(_UNKNOWN))


def _digest(*parts: bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.digest()
