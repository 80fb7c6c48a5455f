"""What no made-up input reaches is compared as numbers: a pass that changed it is refuted, and a right one is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from proofs import prove_feeds

from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.proving.static.unchanged import HeldNumbers, hold_to_original
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify

Array = NDArray[Any]
Change = Callable[[Array], Array]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(op_type: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; `inputs` and `outputs` are names with spaces between, `-` for none."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op_type, names, outputs.split(), **attributes)


def sparse(seed: int, *shape: int) -> Array:
    """Normal numbers of which 30 % stay: some rows and columns are dead."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 0.5, shape) * (rng.random(shape) < 0.3)).astype(np.float32)


def two_layers(x: str, y: str, prefix: str) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """[n, 16] to [n, 10] by 32 hidden units, of which four are dead and constant."""
    first, second = sparse(1, 16, 32), sparse(2, 32, 10)
    first[:, 8:10], second[10:12] = 0, 0
    weights = {f"{prefix}1": first, f"{prefix}b": sparse(3, 32) + np.float32(0.1), f"{prefix}2": second}
    nodes = [
        node("MatMul", f"{x} {prefix}1", f"{prefix}h"),
        node("Add", f"{prefix}h {prefix}b", f"{prefix}s"),
        node("Relu", f"{prefix}s", f"{prefix}r"),
        node("MatMul", f"{prefix}r {prefix}2", y),
    ]
    return nodes, weights


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    weights: dict[str, Array],
    opset: int = 17,
    output: int = FLOAT,
) -> onnx.ModelProto:
    """A model with one output, `y`."""
    graph = helper.make_graph(
        nodes,
        "unreached",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


ROWS: dict[str, tuple[int, list[int | str]]] = {"x": (FLOAT, ["n", 16])}


def table() -> onnx.ModelProto:
    """Rows of a large table, looked up by an input."""
    nodes, weights = two_layers("e", "y", "A")
    table = np.random.default_rng(5).normal(0, 1, (3000, 16)).astype(np.float32)
    return model([node("Gather", "E i", "e"), *nodes], {"i": (INT64, ["n"])}, {**weights, "E": table})


def lengths() -> onnx.ModelProto:
    """An LSTM that may be told to stop before it reads its state."""
    weights = {"W": sparse(1, 1, 32, 4) + np.float32(0.1), "R": sparse(2, 1, 32, 8) + np.float32(0.1)}
    inputs: dict[str, tuple[int, list[int | str]]] = {
        "x": (FLOAT, ["t", "n", 4]),
        "l": (TensorProto.INT32, ["n"]),
    }
    return model([node("LSTM", "x W R - l", "y", hidden_size=8)], inputs, weights)


def positions() -> onnx.ModelProto:
    """A table of positions, cut to the input's length."""
    nodes, weights = two_layers("p", "y", "A")
    ends = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    begin = [
        node("Shape", "x", "s"),
        node("Slice", "s one two", "l"),
        node("Slice", "P zero l zero", "c"),
        node("Add", "x c", "p"),
    ]
    positions = np.random.default_rng(5).normal(0, 1, (512, 16)).astype(np.float32)
    return model([*begin, *nodes], {"x": (FLOAT, ["n", "t", 16])}, {**weights, **ends, "P": positions})


def experts() -> onnx.ModelProto:
    """64 matrices, of which a router takes one; it hardly ever takes number 40."""
    router = np.random.default_rng(6).normal(0, 1, (16, 64)) * np.where(np.arange(64) == 40, 1e-3, 1)
    nodes = [
        node("MatMul", "x Q", "scores"),
        node("ArgMax", "scores", "k", axis=1, keepdims=0),
        node("Gather", "W k", "w"),
        node("Unsqueeze", "x one", "u"),
        node("MatMul", "u w", "z"),
        node("Squeeze", "z one", "y"),
    ]
    weights = {"Q": router.astype(np.float32), "W": sparse(7, 64, 16, 10), "one": np.array([1])}
    return model(nodes, ROWS, weights)


def joined(*how: onnx.NodeProto, **weights: Array) -> onnx.ModelProto:
    """Two networks A and B of the same rows, `a` and `b`, joined so that A does not show."""
    nodes, first = two_layers("x", "a", "A")
    others, second = two_layers("x", "b", "B")
    return model([*nodes, *others, *how], ROWS, {**first, **second, **weights})


def where() -> onnx.ModelProto:
    """Where(mean > 1e9, A, B)."""
    mean = node("ReduceMean", "x", "m", axes=[1], keepdims=1)
    return joined(mean, node("Greater", "m big", "c"), node("Where", "c a b", "y"), big=np.float32(1e9))


def least() -> onnx.ModelProto:
    """Min(A + 1e6, B)."""
    return joined(node("Add", "a big", "c"), node("Min", "c b", "y"), big=np.float32(1e6))


def gate() -> onnx.ModelProto:
    """A times a gate that is closed, and B."""
    nodes = [
        node("ReduceMean", "x", "m", axes=[1], keepdims=1),
        node("Sub", "m big", "c"),
        node("HardSigmoid", "c", "g"),
        node("Mul", "a g", "d"),
        node("Add", "d b", "y"),
    ]
    return joined(*nodes, big=np.float32(1e9))


def rare() -> onnx.ModelProto:
    """Units behind a bias of -1e6."""
    nodes, weights = two_layers("x", "y", "A")
    weights["Ab"][:4] = -1e6
    weights["A1"][:, :4] = weights["A2"][:4] = 1
    return model(nodes, ROWS, weights)


def bound(opset: int = 17) -> onnx.ModelProto:
    """A Clip at 1e7: an input, or an attribute before opset 11."""
    nodes, weights = two_layers("x", "a", "A")
    if opset < 11:
        return model([*nodes, node("Clip", "a", "y", min=-10.0, max=1e7)], ROWS, weights, opset)
    bounds = {"low": np.array(-10, np.float32), "high": np.array(1e7, np.float32)}
    return model([*nodes, node("Clip", "a low high", "y")], ROWS, {**weights, **bounds}, opset)


def slope() -> onnx.ModelProto:
    """A LeakyRelu that never sees a negative number."""
    nodes, weights = two_layers("x", "a", "A")
    nodes += [node("Add", "a big", "c"), node("LeakyRelu", "c", "y", alpha=0.1)]
    return model(nodes, ROWS, {**weights, "big": np.array(1e6, np.float32)})


def labels() -> onnx.ModelProto:
    """Names of 16 classes, of which the eighth is hardly ever the one."""
    weight = np.random.default_rng(8).normal(0, 1, (8, 16)).astype(np.float32)
    weight[:, 7] *= np.float32(1e-3)
    names = {"keys_int64s": list(range(16)), "values_strings": [f"class {index}" for index in range(16)]}
    nodes = [
        node("MatMul", "x A", "h"),
        node("ArgMax", "h", "k", axis=1, keepdims=0),
        node("LabelEncoder", "k", "y", domain="ai.onnx.ml", **names),
    ]
    return model(nodes, {"x": (FLOAT, ["n", 8])}, {"A": weight}, output=TensorProto.STRING)


def nested() -> onnx.ModelProto:
    """An If within an If, whose inner branch no input takes; two bodies use one name for other weights."""

    def body(nodes: list[onnx.NodeProto], output: str, **weights: Array) -> onnx.GraphProto:
        stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        return helper.make_graph(nodes, "body", [], [helper.make_tensor_value_info(output, FLOAT, None)], stored)

    inner = node(
        "If",
        "d",
        "z",
        then_branch=body([node("MatMul", "x K", "t")], "t", K=sparse(1, 16, 16)),
        else_branch=body([node("MatMul", "x K", "f")], "f", K=sparse(2, 16, 16)),
    )
    nodes = [
        node("ReduceMean", "x", "m", keepdims=0),
        node("Greater", "m big", "c"),
        node("Greater", "m huge", "d"),
        node("If", "c", "y", then_branch=body([inner], "z"), else_branch=body([node("Neg", "x", "n")], "n")),
    ]
    return model(nodes, ROWS, {"big": np.array(1e9, np.float32), "huge": np.array(2e9, np.float32)})


def folded() -> onnx.ModelProto:
    """A weight that a product of constants makes, behind a closed Where."""
    mean = node("ReduceMean", "x", "m", axes=[1], keepdims=1)
    nodes = [mean, node("Greater", "m big", "c"), node("Mul", "V s", "w"), node("MatMul", "x w", "v")]
    weights = {"V": sparse(9, 16, 10), "s": np.float32(1.7), "big": np.float32(1e9)}
    return joined(*nodes, node("Where", "c v b", "y"), **weights)


def quantised() -> onnx.ModelProto:
    """A Gemm of codes with an int32 bias, behind a closed Where."""
    rng = np.random.default_rng(10)
    weights = {
        "W": rng.integers(-90, 90, (16, 10)).astype(np.int8),
        "bias": rng.integers(-900, 900, 10).astype(np.int32),
        "step": np.float32(0.02),
        "unit": np.float32(0.01),
        "both": np.float32(0.0002),
        "zero": np.array(0, np.int8),
        "big": np.float32(1e9),
    }
    nodes = [
        node("QuantizeLinear", "x step zero", "q"),
        node("DequantizeLinear", "q step zero", "r"),
        node("DequantizeLinear", "W unit", "w"),
        node("DequantizeLinear", "bias both", "wb"),
        node("Gemm", "r w wb", "v"),
        node("ReduceMean", "x", "m", axes=[1], keepdims=1),
        node("Greater", "m big", "c"),
    ]
    return joined(*nodes, node("Where", "c v b", "y"), **weights)


@dataclass(frozen=True)
class Fault:
    """A network, one of its constants, and what a wrong pass makes of that. `shown`: a run finds it too."""

    make: Callable[[], onnx.ModelProto]
    name: str
    change: Change
    shown: bool = False

    def applied(self, plan: Simplified) -> Simplified:
        """The plan with that fault."""
        changed = onnx.ModelProto()
        changed.CopyFrom(plan.model)
        name = plan.shortened.get(self.name, self.name)
        [tensor, *_] = [each for each in _stored(changed.graph) if each.name == name]
        before = numpy_helper.to_array(tensor)
        after = self.change(before.copy()).astype(before.dtype)
        assert not np.array_equal(before, after)
        tensor.CopyFrom(numpy_helper.from_array(after, name))
        unrounded = {each: numbers for each, numbers in plan.unrounded.items() if each != name}
        return replace(plan, model=changed, unrounded=unrounded)


def _stored(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    bodies = [attribute.g for each in graph.node for attribute in each.attribute if attribute.HasField("g")]
    return [*graph.initializer, *(tensor for body in bodies for tensor in _stored(body))]


def at(*place: int | slice, add: float = 1) -> Change:
    """Adds to some entries."""

    def change(array: Array) -> Array:
        array[place] += array.dtype.type(add)
        return array

    return change


def swapped(one: int, other: int) -> Change:
    """Exchanges two rows."""

    def change(array: Array) -> Array:
        array[[one, other]] = array[[other, one]]
        return array

    return change


def times(factor: float) -> Change:
    """Multiplies all entries."""
    return lambda array: array * factor


FAULTS = {
    "a row of a table": Fault(table, "E", at(1777)),
    "the last row of a table": Fault(table, "E", at(-1)),
    "a number of a table": Fault(table, "E", at(1234, 3, add=1e-4)),
    "rows of a table exchanged": Fault(table, "E", swapped(100, 2000)),
    "a recurrent matrix": Fault(lengths, "R", times(1.5), shown=True),
    "late positions": Fault(positions, "P", at(slice(300, None))),
    "an expert": Fault(experts, "W", at(40)),
    "an operand of Where": Fault(where, "A2", times(1.5)),
    "rows of what was kept exchanged": Fault(where, "A2", swapped(0, 5)),
    "an operand of Min": Fault(least, "A2", times(1.5)),
    "a closed gate": Fault(gate, "A2", times(1.5)),
    "rare units": Fault(rare, "A2", at(slice(0, 4), add=0.5)),
    "a far bound": Fault(bound, "high", times(2)),
    "a branch within a branch": Fault(nested, "K", times(1.5), shown=True),
    "a folded weight": Fault(folded, "w", times(1.0001)),
    "an integer bias": Fault(quantised, "bias", at(3, add=40)),
    "a scale": Fault(quantised, "unit", times(1.01)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_constant_is_refuted_though_no_output_shows_it(fault: str) -> None:
    found = FAULTS[fault]
    original = found.make()
    plan = found.applied(with_short_names(simplify(original)))
    feeds = [probe.feed for probe in probes(original)][:3]
    by_runs = prove_feeds(original, serialize(plan.model), feeds, simplified=replace(plan, origins=None))
    assert by_runs.proved != found.shown
    info = prove_feeds(original, serialize(plan.model), feeds, simplified=plan)
    assert info.verdict == "refuted"
    assert "is not the original's" in info.reason
    assert repr(found.name) in info.reason


@pytest.mark.parametrize(
    ("make", "op_type", "attribute", "value"),
    [
        (labels, "LabelEncoder", "values_strings", [b"other" if k == 7 else b"class %d" % k for k in range(16)]),
        (labels, "LabelEncoder", "keys_int64s", [17 if k == 7 else k for k in range(16)]),
        (slope, "LeakyRelu", "alpha", 0.11),
    ],
)
def test_a_changed_attribute_is_refuted_though_no_output_shows_it(
    make: Callable[[], onnx.ModelProto], op_type: str, attribute: str, value: Any
) -> None:
    original = make()
    plan = with_short_names(simplify(original))
    [changed] = [each for each in plan.model.graph.node if each.op_type == op_type]
    kept = [each for each in changed.attribute if each.name != attribute]
    del changed.attribute[:]
    changed.attribute.extend([*kept, helper.make_attribute(attribute, value)])
    feeds = [probe.feed for probe in probes(original)][:1]
    assert prove_feeds(original, serialize(plan.model), feeds, simplified=replace(plan, origins=None)).proved
    info = prove_feeds(original, serialize(plan.model), feeds, simplified=plan)
    assert info.verdict == "refuted"
    assert f"its attribute {attribute!r} is" in info.reason


def test_a_bound_that_was_an_attribute_is_held_to_it() -> None:
    original = bound(opset=9)
    plan = with_short_names(simplify(original))
    assert hold_to_original(original, plan) == HeldNumbers()
    [tensor] = [each for each in plan.model.graph.initializer if numpy_helper.to_array(each).max() == 1e7]
    tensor.CopyFrom(numpy_helper.from_array(np.array(2e7, np.float32), tensor.name))
    assert "it is 20000000.0, and was 10000000.0" in hold_to_original(original, plan).against


@pytest.mark.parametrize(
    "make",
    [table, lengths, positions, experts, where, least, gate, rare, bound, slope, labels, nested, folded, quantised],
)
def test_what_is_right_is_held_without_a_word(make: Callable[[], onnx.ModelProto]) -> None:
    original = make()
    assert hold_to_original(original, simplify(original)) == HeldNumbers()
    assert hold_to_original(original, with_short_names(simplify(original))) == HeldNumbers()


def test_what_was_not_computed_may_not_be_new() -> None:
    """A constant without a counterpart is said."""
    original = where()
    plan = simplify(original)
    assert plan.origins is not None
    plan.model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "stranger"))
    assert hold_to_original(original, plan).unseen == (
        "the constants stranger: what they were in the original is not known",
    )


def test_a_name_that_is_given_out_anew_is_not_the_old_one() -> None:
    """The constant `b` is shared with its equal, and another one is called `b` then."""
    nodes = [
        node("Gather", "x one_of_a_long_name", "p", axis=1),
        node("Gather", "x b", "q", axis=1),
        node("Gather", "x another_long_name", "r", axis=1),
        node("Concat", "p q r", "y", axis=1),
    ]
    places = {"one_of_a_long_name": np.array([2]), "b": np.array([2]), "another_long_name": np.array([1])}
    original = model(nodes, ROWS, places)
    assert hold_to_original(original, with_short_names(simplify(original))) == HeldNumbers()
