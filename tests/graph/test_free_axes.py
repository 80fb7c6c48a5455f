"""free_axes.py: sizes and sample rates with which models run and say something."""

from __future__ import annotations

import numpy as np
import onnx
from nets import Net
from onnx import TensorProto, helper

from edgeticket.graph.proving.feeds.free_axes import Guess, batches, named, says_something, search
from edgeticket.graph.proving.feeds.probes import Probe, probes


def _shapes(made: tuple[Probe, ...]) -> set[tuple[tuple[int, ...], ...]]:
    return {tuple(array.shape for array in probe.feed.values()) for probe in made}


def test_a_model_for_one_sample_at_a_time_gets_one() -> None:
    net = Net(("n", 6))
    made = probes(net.model(net.op("Reshape", "x", net.const(np.array([6])))))
    assert _shapes(made) == {((1, 6),)}


def test_axes_of_one_name_have_one_size() -> None:
    net = Net(("batch", 4, "time"))
    net.inputs["other"] = ("batch", 4, "time")
    net.inputs["state"] = (2, "batch", 3)
    state = net.op("ReduceMean", "state", net.const(np.array([0, 2])), keepdims=0)
    spread = net.op("Unsqueeze", state, net.const(np.array([1, 2])))
    made = probes(net.model(net.op("Mul", net.op("Add", "x", "other"), spread)))
    sizes = ((1, 32), (2, 32), (7, 32), (2, 33))  # the last one is odd, once
    assert _shapes(made) == {((n, 4, time), (n, 4, time), (2, n, 3)) for n, time in sizes}


def test_states_without_names_carry_the_batch() -> None:
    net = Net(("", 3, ""))
    net.inputs["h"] = (1, "", 5)
    rows = net.op("Transpose", "x", perm=[2, 0, 1])
    weights = [net.const(net.normal(1, 15, 3)), net.const(net.normal(1, 15, 5)), net.const(net.normal(1, 30))]
    made = probes(net.model(net.op("GRU", rows, *weights, "", "h", hidden_size=5)))
    assert ((2, 3, 32), (1, 2, 5)) in _shapes(made)


def test_two_axes_of_their_own_sizes() -> None:
    """A step for each two pixels of a square image: no one size that is tried serves both axes."""
    net = Net(("n", 1, "side", "side"))
    net.inputs["mask"] = ("n", "steps", 1)
    flat = net.op("Reshape", "x", net.const(np.array([0, -1, 2])))
    made = probes(net.model(net.op("Mul", flat, "mask")))
    assert made
    assert all(2 * steps[1] == side[2] * side[3] for side, steps in _shapes(made))


def test_sample_rates_are_tried_and_every_branch_is() -> None:
    """Below 16 kHz nothing runs; at 16 kHz one branch does."""
    net = Net(("n", 8))
    branches = {}
    for name, kind in (("then_branch", "Relu"), ("else_branch", "Neg")):
        value = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        branches[name] = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], name, [], [value])
    yes = net.op("Equal", "sr", net.const(np.array(16000)))
    model = net.model(net.op("If", yes, **branches))
    model.graph.input.append(helper.make_tensor_value_info("sr", TensorProto.INT64, []))
    made = probes(model)
    assert {int(probe.feed["sr"]) for probe in made if probe.usual} >= {16000, 8000}


def test_a_guess_at_which_nothing_varies_is_passed_over() -> None:
    """Of 32 pixels nothing is left but zeros."""
    net = Net(("n", 3, "height", "width"))
    beyond = net.op("Slice", "x", *[net.const(np.array([each])) for each in (40, 1000, 2)])
    first = net.op("Slice", "x", *[net.const(np.array([each])) for each in (0, 1, 2)])
    padded = net.op("Concat", beyond, net.op("Mul", first, net.const(np.array(0.0))), axis=2)
    made = probes(net.model(padded))
    assert made[0].feed["x"].shape == (2, 3, 224, 224)


def test_names_say_what_is_a_batch() -> None:
    assert batches([("batch", 3), ("time", "batch")]) == {"batch"}
    assert batches([("p", 3), (2, "q")]) == {"p"}
    assert named("h", ["", 2, "", "n"]) == ("batch", 2, "h/2", "n")


def test_the_best_of_what_runs_is_taken() -> None:
    tried: list[Guess] = []

    def score(guess: Guess) -> float | None:
        tried.append(guess)
        return None if guess.sizes["t"] == 32 else 0.5 if guess.sizes["t"] == 28 else 0.2

    found = search([("batch", "t", 1 << 18)], scalars=False, small_enough=lambda _: True, score=score)
    assert found is not None
    assert found.sizes == {"batch": 2, "t": 28}
    assert len(tried) < 10
    assert search([("batch", "t")], scalars=False, small_enough=lambda _: True, score=lambda _: None) is None


def test_what_says_something() -> None:
    wide, flat = np.linspace(0, 1, 5), np.full(5, 0.25)
    assert says_something({"y": wide, "k": np.zeros(3, np.int64)}) == 1
    assert says_something({"y": wide, "z": flat}) == 0.5
    assert says_something({"y": np.full(5, np.nan)}) == 0
    assert says_something({"k": np.zeros(3, np.int64)}) == 1


def test_lengths_are_those_of_the_sequences() -> None:
    net = Net(("batch", "time", 3))
    model = net.model(net.op("Mul", "x", net.op("Cast", "lengths", to=TensorProto.FLOAT)))
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, [1]))
    normal = probes(onnx.shape_inference.infer_shapes(model))[0]
    assert normal.feed["lengths"].tolist() == [32]


def test_free_axes_are_seen_at_an_odd_size_and_unlike_each_other() -> None:
    net = Net(("n", 3, "height", "width"))
    made = {probe.name: probe.feed["x"].shape for probe in probes(net.model(net.op("Relu", "x")))}
    assert made["normal, batch 2"] == (2, 3, 32, 32)
    assert made["normal, other sizes"] == (2, 3, 33, 35)


def test_another_size_is_one_that_runs() -> None:
    """Two halvings, and the sum of what went through them with what did not: sides are multiples of 4."""
    net = Net(("n", 1, "height", "width"))
    small = net.op("MaxPool", net.op("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]), kernel_shape=[2, 2],
                   strides=[2, 2])  # fmt: skip
    scales = net.const(np.array([1, 1, 4, 4], np.float32), kept=True)
    made = {
        p.name: p.feed["x"].shape for p in probes(net.model(net.op("Add", "x", net.op("Resize", small, "", scales))))
    }
    assert made["normal, other sizes"] == (2, 1, 64, 96)


def test_fixed_axes_have_no_other_size() -> None:
    net = Net(("n", 3, 8, 8))
    assert "normal, other sizes" not in {probe.name for probe in probes(net.model(net.op("Relu", "x")))}


def test_small_guesses_go_on_until_the_outputs_say_something() -> None:
    """A network for sound wants 1,000 samples, and gives NaN for the shorter pieces that run too."""
    net = Net(("n", "length"))
    frames = net.op("AveragePool", net.op("Unsqueeze", "x", net.const(np.array([1]))), kernel_shape=[1000],
                    strides=[1000], ceil_mode=1, count_include_pad=0)  # fmt: skip
    long = net.op("Shape", "x", start=1)
    enough = net.op("Cast", net.op("GreaterOrEqual", long, net.const(np.array([1000]))), to=TensorProto.FLOAT)
    made = probes(net.model(net.op("Div", net.op("Mul", frames, enough), enough)))
    assert made[0].feed["x"].shape == (2, 1536)


def test_sound_is_as_long_as_sound() -> None:
    net = Net(("n", "samples"))
    assert probes(net.model(net.op("Tanh", "x")))[0].feed["x"].shape == (2, 4096)
    exact = net.op("Reshape", "x", net.const(np.array([-1, 576])))
    fixed = net.op("Add", "x", net.op("ReduceMean", exact, net.const(np.array([1]))))
    assert probes(net.model(net.op("Concat", "x", exact, axis=0), fixed))[0].feed["x"].shape == (2, 576)
