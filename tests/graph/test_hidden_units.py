"""Hidden units of recurrent layers that are 0, or that nobody reads, go: the same numbers in float64 are left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nets import Array, Net, feed, sentences
from onnx import numpy_helper
from proofs import prove_feeds

from edgeticket import runtime
from edgeticket.graph.double import kernels
from edgeticket.graph.double.network import Network
from edgeticket.graph.simplify import UNCHANGED, Simplified, simplify

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, BATCH, INPUTS, SIZE = 5, 2, 3, 6
Dead = list[set[int]]


def layer(net: Net, kind: str, dead: Dead, *, bias: bool, state: bool, unread: Dead, **attributes: Any) -> str:
    """A recurrent layer over x [steps, batch, inputs] whose `dead` units are 0, and whose `unread` no other unit reads.

    Both are listed for each direction.
    """
    directions, gates = len(dead), GATES[kind]
    weight = net.normal(directions, gates, SIZE, INPUTS)
    matrix = net.normal(directions, gates, SIZE, SIZE)
    both = net.normal(directions, 2, gates, SIZE)
    states = net.normal(2, directions, BATCH, SIZE)
    for direction in range(directions):
        gone = list(dead[direction])
        weight[direction, -1, gone], matrix[direction, -1, gone], both[direction, :, -1, gone] = 0, 0, 0
        states[:, direction, :, gone] = 0
        matrix[direction][..., list(unread[direction])] = 0
    parts = {
        "W": weight.reshape(directions, -1, INPUTS),
        "R": matrix.reshape(directions, -1, SIZE),
        "B": both.reshape(directions, -1),
        "h": states[0],
        "c": states[1],
    }
    inputs = [net.const(parts["W"], "W"), net.const(parts["R"], "R"), net.const(parts["B"], "B") if bias else ""]
    if state:
        inputs += ["", net.const(parts["h"], "h"), *([net.const(parts["c"], "c")] if kind == "LSTM" else [])]
    direction = {"direction": "bidirectional"} if directions == 2 else {}
    outputs = 3 if kind == "LSTM" else 2
    return net.op(kind, "x", *inputs, outputs=outputs, hidden_size=SIZE, **direction, **attributes)


def read(net: Net, y: str, what: str, directions: int, unread: Dead) -> str:
    """A layer that reads Y, Y_h or Y_c, but not the `unread` units."""
    reader = net.normal(directions, SIZE, 4)
    for direction in range(directions):
        reader[direction, list(unread[direction])] = 0
    weight = net.const(reader.reshape(-1, 4), f"reader.{what}")
    value, perm, shape = (
        (y, [0, 2, 1, 3], [STEPS, BATCH, -1])
        if what == "Y"
        else (f"{y}_{1 + 'hc'.index(what)}", [1, 0, 2], [BATCH, -1])
    )
    rows = net.op("Reshape", net.op("Transpose", value, perm=perm), net.const(np.array(shape)))
    return net.op("MatMul", rows, weight)


def check(model: onnx.ModelProto) -> Simplified:
    """Simplify a float32 network; it is the same in float64, and the runtime takes it."""
    result = simplify(model)
    assert UNCHANGED not in sentences(result)
    feeds = feed(model)
    wide = {name: array.astype(np.float64) for name, array in feeds.items()}
    before = Network(model).run(wide).outputs
    after = Network(result.model, result.unrounded).run(wide).outputs
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, rtol=0, atol=1e-9)
    for name, array in runtime.run(runtime.cpu_session(result.model.SerializeToString()), feeds).items():
        np.testing.assert_allclose(array, before[name], rtol=0, atol=1e-4)
    return result


def parts(result: Simplified) -> dict[str, Array]:
    """The constants that are left."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}


@pytest.mark.parametrize("what", ["Y", "h"])
@pytest.mark.parametrize("kind", GATES)
def test_units_that_are_zero_go(kind: str, what: str) -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, kind, [{1, 4}], bias=True, state=True, unread=[set()])
    result = check(net.model(read(net, y, what, 1, [set()])))
    left, gates = parts(result), GATES[kind]
    assert (left["W"].shape, left["R"].shape) == ((1, 4 * gates, INPUTS), (1, 4 * gates, 4))
    assert (left["B"].shape, left["h"].shape) == ((1, 8 * gates), (1, BATCH, 4))
    assert left[f"reader.{what}"].shape == (4, 4)
    assert "W (2)" in sentences(result)


@pytest.mark.parametrize("kind", GATES)
def test_both_directions_lose_as_many(kind: str) -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, kind, [{1, 4, 5}, {0, 2}], bias=True, state=False, unread=[set()] * 2)
    left = parts(check(net.model(read(net, y, "Y", 2, [set()] * 2))))
    assert left["R"].shape == (2, 4 * GATES[kind], 4)
    assert left["reader.Y"].shape == (8, 4)


def test_units_of_coupled_gates_go() -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, "LSTM", [{1, 4}], bias=True, state=True, unread=[set()], input_forget=1)
    assert parts(check(net.model(read(net, y, "Y", 1, [set()]))))["R"].shape == (1, 16, 4)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("LSTM", {"input_forget": 1}), ("LSTM", {"clip": 0.3}), ("GRU", {"linear_before_reset": 1}), ("RNN", {})],
)
def test_a_cut_layer_that_float64_gets_wrong_is_left_to_the_runtime(
    kind: str, attributes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong about the original is so about what is left of it, whose attributes are others."""
    right = kernels.OWN[kind]
    monkeypatch.setitem(kernels.OWN, kind, lambda *given: [0.7 * each for each in right(*given)])
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, kind, [{1, 4}], bias=True, state=False, unread=[set()], **attributes)
    model = net.model(read(net, y, "Y", 1, [set()]))
    made = simplify(model)
    assert parts(made)["R"].shape[2] == 4
    feeds = [{"x": net.normal(STEPS, BATCH, INPUTS).astype(np.float32)} for _ in range(3)]
    found = prove_feeds(model, made.model.SerializeToString(), feeds, simplified=made)
    assert found.in_float64 is not None
    assert (found.verdict, found.in_float64.verdict) == ("proved", "proved"), found.reason
    wrong = onnx.ModelProto.FromString(made.model.SerializeToString())
    for tensor in wrong.graph.initializer:
        if tensor.name == "R":
            tensor.CopyFrom(numpy_helper.from_array(1.01 * numpy_helper.to_array(tensor), "R"))
    found = prove_feeds(model, wrong.SerializeToString(), feeds, simplified=replace(made, model=wrong, unrounded={}))
    assert found.verdict == "refuted"


@pytest.mark.parametrize("kind", GATES)
def test_units_that_nobody_reads_go(kind: str) -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, kind, [set()], bias=True, state=True, unread=[{0, 3}])
    assert parts(check(net.model(read(net, y, "Y", 1, [{0}]))))["R"].shape[2] == 5


def test_a_unit_that_starts_from_another_number_stays() -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, "LSTM", [{1, 4}], bias=True, state=True, unread=[set()])
    net.weights["c"][:, :, 4] = 1
    assert parts(check(net.model(read(net, y, "Y", 1, [set()]))))["R"].shape[2] == 5


def test_a_unit_of_which_the_candidate_reads_a_live_one_stays() -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, "GRU", [{1, 4}], bias=False, state=False, unread=[set()])
    net.weights["R"][0, 2 * SIZE + 4, 1] = 1  # reads another that is zero
    net.weights["R"][0, 2 * SIZE + 1, 0] = 1  # reads a live one
    assert "R" in parts(check(net.model(read(net, y, "Y", 1, [set()]))))
    assert parts(check(net.model(read(net, y, "Y", 1, [set()]))))["R"].shape[2] == 6


@pytest.mark.parametrize("attributes", [{"activations": ["Sigmoid", "HardSigmoid", "Tanh"]}, {"layout": 1}])
def test_other_activations_and_layouts_are_left_alone(attributes: dict[str, Any]) -> None:
    net = Net((STEPS, BATCH, INPUTS))
    y = layer(net, "LSTM", [{1}], bias=True, state=False, unread=[set()], **attributes)
    result = simplify(net.model(y))
    assert parts(result)["R"].shape[2] == SIZE


units = st.sets(st.integers(0, SIZE - 1), max_size=SIZE)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    kind=st.sampled_from(list(GATES)),
    dead=st.lists(units, min_size=2, max_size=2),
    unread=st.lists(units, min_size=2, max_size=2),
    both=st.booleans(),
    bias=st.booleans(),
    state=st.booleans(),
    reset=st.booleans(),
    what=st.sampled_from(["Y", "h", "c"]),
    also=st.booleans(),
)
def test_any_units(
    kind: str, dead: Dead, unread: Dead, both: bool, bias: bool, state: bool, reset: bool, what: str, also: bool
) -> None:
    net = Net((STEPS, BATCH, INPUTS))
    directions = 2 if both else 1
    dead, unread = dead[:directions], unread[:directions]
    attributes: dict[str, Any] = {"linear_before_reset": int(reset)} if kind == "GRU" else {}
    y = layer(net, kind, dead, bias=bias, state=state, unread=unread, **attributes)
    what = "h" if what == "c" and kind != "LSTM" else what
    outputs = [read(net, y, what, directions, unread)]
    check(net.model(*outputs, *([f"{y}_1"] if also else [])))
