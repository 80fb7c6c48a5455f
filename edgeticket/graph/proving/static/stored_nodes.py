"""The check of stored nodes: the graph of the file is the planned one, node by node, up to names and order.

Outputs are followed back through both graphs side by side, bodies and functions included. Where the plan stores a
constant, the file may make it in any way: its nodes are evaluated, and the numbers count (stored_weights.py). All other
nodes have one counterpart each, of the same operator with the same attributes, and nothing is left over on either side.
So what no output shows on the inputs that the proof has (a slope that is slightly off behind an ArgMax) is found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import onnx

from edgeticket.errors import ProofError
from edgeticket.graph.protos import standard_version
from edgeticket.graph.proving.static.node_parts import (
    attributes_differ,
    bodies,
    kind,
    operator,
    outline_differs,
    trimmed,
    type_text,
)
from edgeticket.graph.proving.static.scopes import Array, Scope, equal

Wanted = Callable[[str, Array], Array]
Pair = tuple[Scope, str, Scope, str, str]  # a value of the plan, its counterpart in the file, and who reads them


def check_stored_nodes(
    file: onnx.ModelProto,
    planned: onnx.ModelProto,
    constants: Mapping[str, Array],
    unevaluated: Collection[str],
    wanted: Wanted,
) -> None:
    """Hold the graph of a file to the one that was planned and proved.

    Args:
        constants: what stored_weights.py evaluated of the file's main graph, by name; those that the plan stores under
            the same name are the planned ones.
        unevaluated: constants of the file that are too large to be evaluated.
        wanted: from a constant's name and numbers in the plan, the numbers that its encoding makes of them.

    Raises:
        ProofError: something differs; the sentence says which node, input or output, and how.
    """
    _require(outline_differs(file, planned))
    for numbers_first in (False, True):  # the second time costs the evaluation of the plan, and is seldom needed
        try:
            _Walk(file, planned, constants, unevaluated, wanted, numbers_first=numbers_first).run()
            return
        except _DifferError as error:
            found = error
    raise ProofError(str(found)) from found


class _DifferError(Exception):
    """What differs, in a sentence."""


def _require(difference: str) -> None:
    if difference:
        raise ProofError(difference)


class _Walk:
    """One walk through both graphs. With `numbers_first`, constants of the plan are compared as numbers throughout."""

    def __init__(
        self,
        file: onnx.ModelProto,
        planned: onnx.ModelProto,
        constants: Mapping[str, Array],
        unevaluated: Collection[str],
        wanted: Wanted,
        *,
        numbers_first: bool,
    ) -> None:
        self.file, self.planned = file, planned
        self.plan_main = Scope.of_graph(planned.graph, standard_version(planned))
        self.file_main = Scope.of_graph(file.graph, standard_version(file), constants=constants)
        self.unevaluated, self.wanted, self.numbers_first = unevaluated, wanted, numbers_first
        self.partners: dict[int, Scope] = {}  # by the id of a plan's scope: the file's
        self.scopes: list[tuple[Scope, Scope]] = []
        self.waiting: list[Pair] = []
        self.seen: set[tuple[int, str, int, str]] = set()
        self.matched: dict[tuple[int, int], tuple[int, int]] = {}  # node of the plan -> node of the file
        self.taken: dict[tuple[int, int], tuple[int, int]] = {}  # and back
        self.rebuilt: set[tuple[int, int]] = set()  # nodes of either side that make constants

    def run(self) -> None:
        """Raises: _DifferError."""
        self._open(self.plan_main, self.file_main)
        outputs = zip(self.planned.graph.output, self.file.graph.output, strict=True)
        self._pair(self.plan_main, self.file_main, ((p.name, f.name) for p, f in outputs), "the graph's output")
        for tensor in self.planned.graph.initializer:  # stored_weights.py asks for each of them by its name
            if self.file_main.home(tensor.name) is not None:
                self._pair(self.plan_main, self.file_main, [(tensor.name, tensor.name)], "the check of constants")
        self._functions()
        self._work()
        for plan, file in self.scopes:  # it grows while bodies are found
            self._unread(plan, file)

    def _functions(self) -> None:
        found = {(each.domain, each.name, each.overload): each for each in self.file.functions}
        for planned in self.planned.functions:
            stored = found[planned.domain, planned.name, planned.overload]
            version = standard_version(planned)
            plan, file = Scope(planned.node, planned.input, (), version), Scope(stored.node, stored.input, (), version)
            self._open(plan, file)
            self._pair(plan, file, zip(planned.output, stored.output, strict=True), f"the function {planned.name!r}")

    def _open(self, plan: Scope, file: Scope) -> None:
        self.partners[id(plan)] = file
        self.scopes.append((plan, file))

    def _pair(self, plan: Scope, file: Scope, names: Iterable[tuple[str, str]], reader: str) -> None:
        self.waiting += [(plan, p, file, f, reader) for p, f in names]

    def _work(self) -> None:
        while self.waiting:
            plan, p, file, f, reader = self.waiting.pop()
            if not p or not f:
                if p != f:
                    raise _DifferError(f"{reader} reads {f or 'nothing'!r}, planned was {p or 'nothing'!r}")
                continue
            at, there = plan.home(p), file.home(f)
            if at is None or there is None:
                raise _DifferError(f"{reader} reads {f!r}, which nothing computes")
            key = (id(at), p, id(there), f)
            if key not in self.seen:
                self.seen.add(key)
                self._value(at, p, there, f, reader)

    def _value(self, plan: Scope, p: str, file: Scope, f: str, reader: str) -> None:
        if p in plan.input_places:
            if self.partners[id(plan)] is not file or file.input_places.get(f) != plan.input_places[p]:
                raise _DifferError(f"{reader} reads {f!r} in the exported file, planned was the input {p!r}")
            return
        if plan.is_stored(p) or (self.numbers_first and plan.constant(p) is not None):
            self._constant(plan, p, file, f, reader)
            return
        if self.partners[id(plan)] is not file or f not in file.makers:
            raise _DifferError(f"{reader} reads {f!r} in the exported file, planned was {_made(plan, p)}")
        (index, place), (other, its_place) = plan.makers[p], file.makers[f]
        if place != its_place:
            raise _DifferError(
                f"{reader} reads output {its_place} of {operator(file.nodes[other])}, planned was output {place}"
            )
        self._node(plan, index, file, other)

    def _constant(self, plan: Scope, p: str, file: Scope, f: str, reader: str) -> None:
        """A constant of the plan, in whatever way the file makes it."""
        main = plan is self.plan_main and file is self.file_main
        if not (main and p == f and plan.is_stored(p)):  # else stored_weights.py has compared it
            found, numbers = file.constant(f), plan.constant(p)
            assert numbers is not None
            if found is None:
                why = "is too large to be evaluated" if f in self.unevaluated else "is no constant"
                raise _DifferError(f"{reader} reads {f!r}, which {why} in the exported file, planned was {p!r}")
            if not equal(found, self.wanted(p, numbers) if main else numbers):
                raise _DifferError(
                    f"{reader} reads the constant {f!r}, which has other numbers than {p!r}, planned here"
                )
        for scope, name in ((plan, p), (file, f)):
            scope.add_cone(name, self.rebuilt)

    def _node(self, plan: Scope, index: int, file: Scope, other: int) -> None:
        mine, its = (id(plan), index), (id(file), other)
        planned, stored = plan.nodes[index], file.nodes[other]
        if self.matched.get(mine) == its:
            return
        name = operator(planned)
        if kind(planned) != kind(stored):
            raise _DifferError(f"in the exported file {operator(stored)} stands where {name} was planned")
        if mine in self.matched or its in self.taken:
            raise _DifferError(f"the exported {operator(stored)} stands for two nodes of the plan, or two for one")
        self.matched[mine], self.taken[its] = its, mine
        if difference := attributes_differ(planned, stored):
            raise _DifferError(f"the exported {name}: {difference}")
        if [bool(each) for each in trimmed(planned.output)] != [bool(each) for each in trimmed(stored.output)]:
            raise _DifferError(f"the exported {name} has other outputs than were planned")
        reads, its_reads = trimmed(planned.input), trimmed(stored.input)
        if len(reads) != len(its_reads):
            raise _DifferError(f"the exported {name} has {len(its_reads)} inputs, planned were {len(reads)}")
        self._pair(plan, file, list(zip(reads, its_reads, strict=True)), name)
        for (where, body), (_, its_body) in zip(bodies(planned), bodies(stored), strict=True):
            self._body(plan, body, file, its_body, f"{where} of {name}")

    def _body(self, plan: Scope, body: onnx.GraphProto, file: Scope, its_body: onnx.GraphProto, where: str) -> None:
        for what in ("input", "output"):
            ports, its_ports = getattr(body, what), getattr(its_body, what)
            types, its_types = [type_text(port.type) for port in ports], [type_text(port.type) for port in its_ports]
            if types != its_types:
                raise _DifferError(f"{where} has the {what}s {', '.join(its_types)}, planned were {', '.join(types)}")
        inner, its_inner = Scope.of_graph(body, plan.version, plan), Scope.of_graph(its_body, file.version, file)
        self._open(inner, its_inner)
        names = [(p.name, f.name) for p, f in zip(body.output, its_body.output, strict=True)]
        self._pair(inner, its_inner, names, where)

    def _unread(self, plan: Scope, file: Scope) -> None:
        """Nodes that no output needs have counterparts too: paired from the end, where the last readers stand."""
        while True:
            left, its_left = self._left(plan), self._left(file)
            if not left and not its_left:
                return
            if not left or not its_left:
                scope, index = (plan, left[-1]) if left else (file, its_left[-1])
                what = "lacks" if left else "holds a node that was not planned,"
                raise _DifferError(f"the exported file {what} {operator(scope.nodes[index])}")
            self._node(plan, left[-1], file, its_left[-1])
            self._work()

    def _left(self, scope: Scope) -> list[int]:
        places = ((id(scope), index) for index in range(len(scope.nodes)))
        return [at[1] for at in places if not (at in self.rebuilt or at in self.matched or at in self.taken)]


def _made(scope: Scope, name: str) -> str:
    return f"what {operator(scope.nodes[scope.makers[name][0]])} computes" if name in scope.makers else repr(name)
