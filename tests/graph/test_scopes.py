"""The values of a graph: which nodes a value is made by."""

from __future__ import annotations

import pytest
from onnx import helper

from edgeticket.graph.proving.static.scopes import Scope


def _chain() -> Scope:
    """a = f(x), b = f(a), c = f(b, a)."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["b", "a"], ["c"]),
    ]
    return Scope(nodes, ["x"], (), 18)


def test_the_cone_of_a_value_is_every_node_that_it_is_made_by() -> None:
    scope, known = _chain(), set[tuple[int, int]]()
    scope.add_cone("b", known)
    assert known == {(id(scope), 0), (id(scope), 1)}
    scope.add_cone("c", known)
    assert known == {(id(scope), 0), (id(scope), 1), (id(scope), 2)}


def test_what_a_known_node_is_made_by_is_not_walked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = Scope(_chain().nodes[1:], ["a"], (), 18)
    known = {(id(scope), 0)}
    walked: list[str] = []
    home = scope.home

    def watched(name: str) -> Scope | None:
        walked.append(name)
        return home(name)

    monkeypatch.setattr(scope, "home", watched)
    scope.add_cone("c", known)
    assert known == {(id(scope), 0), (id(scope), 1)}
    assert sorted(walked) == ["a", "b", "c"], "a is what c reads itself; b's own reading of it is known"


def test_a_body_is_made_by_nodes_of_the_graph_around_it() -> None:
    outer = _chain()
    inner = Scope([helper.make_node("Neg", ["b"], ["d"])], (), (), 18, outer=outer)
    known: set[tuple[int, int]] = set()
    inner.add_cone("d", known)
    assert known == {(id(inner), 0), (id(outer), 0), (id(outer), 1)}
