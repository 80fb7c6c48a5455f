"""proof.py: rounding passes, a moved output does not, and what cannot be compared is not called proved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from proofs import prove, prove_feeds
from storage_models import convnet, lenet, model, node, product, pruned

from edgeticket.graph.proving import proof, reference
from edgeticket.graph.proving.comparison import Run, lost_infinities
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing.storage import store

Array = NDArray[Any]
RNG = np.random.default_rng(5)


def _images(n: int = 500) -> dict[str, Array]:
    return {"input": RNG.normal(size=(n, 784)).astype(np.float32)}


def _changed(proto: onnx.ModelProto, name: str, change: Array) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for tensor in copy.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(change, name))
    return copy


def _weight(proto: onnx.ModelProto, name: str) -> Array:
    return next(numpy_helper.to_array(tensor) for tensor in proto.graph.initializer if tensor.name == name)


def test_stored_weights_are_proved_bit_by_bit() -> None:
    found = prove(lenet(), store(lenet()).serialized(), _images())
    assert found.proved
    assert (found.max_abs_delta, found.top1_agreement, found.samples) == (0.0, 1.0, 500)
    assert found.float64_error is not None
    assert found.tolerance is not None
    assert 0 < found.float64_error < found.tolerance < 1e-4


def test_another_order_of_summation_is_proved() -> None:
    """Hidden units in another order: the same function, other roundings."""
    proto = lenet()
    order = RNG.permutation(300)
    other = _changed(proto, "fc1.weight", _weight(proto, "fc1.weight")[order])
    other = _changed(other, "fc1.bias", _weight(proto, "fc1.bias")[order])
    other = _changed(other, "fc2.weight", _weight(proto, "fc2.weight")[:, order])
    found = prove(proto, serialize(other), _images())
    assert found.proved
    assert found.max_abs_delta is not None
    assert found.tolerance is not None
    assert 0 < found.max_abs_delta <= found.tolerance


@pytest.mark.parametrize("share", [1e-3, 1e-4])
def test_a_weight_that_moved_is_refuted(share: float) -> None:
    proto = lenet()
    weight = _weight(proto, "fc3.weight").copy()
    weight[np.nonzero(weight)[0][0]] *= 1 + share
    found = prove(proto, serialize(_changed(proto, "fc3.weight", weight)), _images())
    assert found.verdict == "refuted"
    assert "more than rounding explains" in found.reason


def test_a_dropped_weight_is_refuted_in_a_convolution() -> None:
    proto = convnet()
    weight = _weight(proto, "c2").copy()
    weight[tuple(axis[0] for axis in np.nonzero(weight))] = 0
    images = {"x": RNG.normal(size=(20, 3, 16, 16)).astype(np.float32)}
    assert prove(proto, store(proto).serialized(), images).proved
    assert prove(proto, serialize(_changed(proto, "c2", weight)), images).verdict == "refuted"


def test_int8_is_measured_and_not_judged() -> None:
    found = prove(lenet(), store(lenet(), weights="int8").serialized(), _images(), exact=False)
    assert (found.verdict, found.tolerance, found.float64_error) == ("measured", None, None)
    assert found.max_abs_delta is not None
    assert found.max_abs_delta > 1e-4
    assert found.top1_agreement is not None
    assert found.top1_agreement > 0.9


def test_a_fixed_batch_is_filled_up() -> None:
    proto = lenet()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    found = prove(proto, store(proto).serialized(), _images(21))
    assert found.proved
    assert found.samples == 21


def test_several_inputs_and_outputs() -> None:
    weight = pruned(RNG, (30, 40), 100)
    nodes = [
        node("MatMul", ["a", "w"], ["y"]),
        node("Mul", ["y", "b"], ["z"]),
        node("ArgMax", ["z"], ["k"], axis=1),
    ]
    proto = model(nodes, {"w": weight}, {"a": ["n", 30], "b": ["n", 40]}, ["y", "z"])
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, None))
    inputs = {"a": RNG.normal(size=(50, 30)).astype(np.float32), "b": RNG.normal(size=(50, 40)).astype(np.float32)}
    assert prove(proto, store(proto).serialized(), inputs).proved
    moved = prove(proto, serialize(_changed(proto, "w", -weight)), inputs)
    assert moved.verdict == "refuted"


def test_nan_and_infinite_outputs_agree_with_themselves() -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Log", ["a"], ["y"])]
    proto = model(nodes, {"w": pruned(RNG, (30, 40), 300)}, {"x": ["n", 30]})
    found = prove(proto, store(proto).serialized(), {"x": RNG.normal(size=(50, 30)).astype(np.float32)})
    assert found.proved
    assert found.nonfinite > 0
    assert found.nonfinite_differ == 0


def test_a_finite_output_that_became_nan_is_refuted() -> None:
    weight = pruned(RNG, (30, 40), 300)
    broken = weight.copy()
    broken[3, 4] = np.nan
    found = prove(product(weight), serialize(product(broken)), {"x": np.ones((4, 30), np.float32)})
    assert found.verdict == "refuted"
    assert "became NaN or infinite in 4 entries" in found.reason


def test_a_removed_zero_no_longer_passes_on_an_infinity() -> None:
    """0 * inf is NaN in the original; counted, and told, but not held against the exported model."""
    with_zero = model([node("MatMul", ["x", "w"], ["y"])], {"w": np.array([[0], [1]], np.float32)}, {"x": ["n", 2]})
    without = model(
        [node("Slice", ["x", "s", "e", "d"], ["y"])],
        {"s": np.array([1]), "e": np.array([2]), "d": np.array([1])},
        {"x": ["n", 2]},
    )
    found = prove(with_zero, serialize(without), {"x": np.array([[1, 2], [np.inf, 3]], np.float32)})
    assert found.proved
    assert (found.nonfinite, found.nonfinite_differ) == (1, 1)
    assert "1 of 1 NaN or infinite outputs became others" in found.reason


def _inverse(numbers: Array) -> onnx.ModelProto:
    """y = 1 / (numbers * x) for x [n, 4]."""
    nodes = [node("Mul", ["x", "w"], ["a"]), node("Reciprocal", ["a"], ["y"])]
    return model(nodes, {"w": numbers.astype(np.float32)}, {"x": ["n", 4]})


@pytest.mark.parametrize(
    ("other", "entries"), [([1, 2, 0.0, 0.0], 50), ([1, 2, -0.0, 1e-30], 50), ([1, 2, 0.0, 3], 100)]
)
def test_an_infinity_that_became_another_number_is_refuted(other: list[float], entries: int) -> None:
    proto = _inverse(np.array([1, 2, -0.0, 0.0]))
    x = {"x": RNG.uniform(1, 2, size=(50, 4)).astype(np.float32)}
    assert prove(proto, serialize(_inverse(np.array([1, 2, -0.0, 0.0]))), x).proved
    found = prove(proto, serialize(_inverse(np.array(other))), x)
    assert found.verdict == "refuted"
    assert f"output 'y' was infinite in {entries} entries that are other numbers now" in found.reason


def test_where_float64_did_not_run_only_the_sign_of_an_infinity_is_held() -> None:
    before = np.array([np.inf, -np.inf, np.inf, np.nan, 1], np.float32)
    after = np.array([-np.inf, -np.inf, 1, np.inf, 2], np.float32)
    run = Run({}, True, {"y": before})
    assert lost_infinities(run, "y", after).tolist() == [True, False, False, False, False]
    run.double = {"y": np.array([np.inf, -np.inf, np.inf, np.nan, 1])}
    assert lost_infinities(run, "y", after).tolist() == [True, False, True, False, False]


def test_a_graph_whose_infinities_have_the_other_sign_is_refuted() -> None:
    proto = _inverse(np.array([1, 2, -0.0, 0.0]))
    made = simplify(proto)
    feeds = [{"x": RNG.uniform(1, 2, size=(5, 4)).astype(np.float32)} for _ in range(2)]
    assert prove_feeds(proto, serialize(made.model), feeds, simplified=made).proved
    wrong = replace(made, model=_changed(made.model, "w", np.array([1, 2, 0.0, 0.0], np.float32)))
    found = prove_feeds(proto, serialize(made.model), feeds, simplified=wrong)
    assert found.verdict == "refuted"
    assert "output 'y' has 5 infinities of the other sign in float64" in found.reason


def test_an_infinity_where_an_input_is_zero_may_have_either_sign() -> None:
    """The smallest change of the input, up or down, makes the original's sign either."""
    x = {"x": RNG.uniform(1, 2, size=(50, 4)).astype(np.float32)}
    x["x"][7] = -0.0
    nodes = [node("Add", ["x", "zero"], ["p"]), node("Mul", ["p", "w"], ["a"]), node("Reciprocal", ["a"], ["y"])]
    constants = {"w": np.array([1, 2, 3, 4], np.float32), "zero": np.zeros(1, np.float32)}
    other = model(nodes, constants, {"x": ["n", 4]})
    found = prove(_inverse(constants["w"]), serialize(other), x)
    assert found.proved
    assert (found.nonfinite, found.nonfinite_differ) == (4, 4)


def test_an_overflow_of_float32_that_the_file_avoids_is_told() -> None:
    factors = [np.array([1e25, 1, 1, 1]), np.array([1e25, 1, 1, 1]), np.array([1e-25, 1, 1, 1])]
    steps = [node("Mul", ["x", "f0"], ["a"]), node("Mul", ["a", "f1"], ["b"]), node("Mul", ["b", "f2"], ["y"])]
    inits = {f"f{index}": factor.astype(np.float32) for index, factor in enumerate(factors)}
    at_once = model([node("Mul", ["x", "f0"], ["y"])], {"f0": inits["f0"]}, {"x": ["n", 4]})
    x = {"x": RNG.normal(size=(50, 4)).astype(np.float32)}
    found = prove(model(steps, inits, {"x": ["n", 4]}), serialize(at_once), x)
    assert found.proved
    assert (found.nonfinite, found.nonfinite_differ) == (50, 50)


def test_another_shape_is_refuted() -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Transpose", ["a"], ["y"])]
    other = model(nodes, {"w": np.ones((30, 40), np.float32)}, {"x": ["n", 30]})
    found = prove(product(np.ones((30, 40), np.float32)), serialize(other), {"x": np.ones((4, 30), np.float32)})
    assert found.verdict == "refuted"
    assert "float32(40, 4), not float32(4, 40)" in found.reason


def test_an_unknown_operator_is_not_proved() -> None:
    proto = product(np.ones((30, 40), np.float32))
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    found = prove(proto, serialize(proto), {"x": np.ones((4, 30), np.float32)})
    assert (found.verdict, found.max_abs_delta) == ("not proved", None)
    assert "com.example" in found.reason


def test_an_exported_file_that_does_not_run_is_refuted() -> None:
    proto = product(np.ones((30, 40), np.float32))
    found = prove(proto, b"no model", {"x": np.ones((4, 30), np.float32)})
    assert found.verdict == "refuted"
    assert "the original runs, the exported model does not" in found.reason


def test_inputs_that_do_not_fit_are_not_proved() -> None:
    proto = product(np.ones((30, 40), np.float32))
    found = prove(proto, serialize(proto), {"x": np.ones((4, 31), np.float32)})
    assert found.verdict == "not proved"
    assert "float32[4, 31]" in found.reason
    assert prove_feeds(proto, serialize(proto), [], samples=[]).verdict == "not proved"


def test_random_operators_are_not_proved() -> None:
    nodes = [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])]
    proto = model(nodes, {}, {"x": ["n", 30]})
    found = prove(proto, serialize(proto), {"x": np.ones((4, 30), np.float32)})
    assert found.verdict == "not proved"
    assert "random" in found.reason


def test_too_large_for_float64_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_MACS", 1000)
    found = prove(lenet(), store(lenet()).serialized(), _images(20))
    assert found.proved
    assert "too large for a float64 reference" in found.reason


def test_without_a_float64_reference_the_tolerance_is_wider_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        reference, "evaluate", lambda *_, **__: reference.Reference(None, "Frobnicate is unknown to it")
    )
    found = prove(lenet(), store(lenet()).serialized(), _images())
    assert found.proved
    assert found.float64_error is None
    assert "1024 units in the last place, as Frobnicate is unknown to it" in found.reason


def _with_class(proto: onnx.ModelProto) -> onnx.ModelProto:
    proto.graph.node.append(node("ArgMax", ["y"], ["k"], axis=1))
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, None))
    return proto


def test_a_class_that_changed_is_refuted_unless_values_rest_rounded() -> None:
    weight = pruned(RNG, (30, 40), 600)
    moved = weight * RNG.uniform(0.9, 1.1, weight.shape).astype(np.float32)
    proto, other = _with_class(product(weight)), serialize(_with_class(product(moved)))
    inputs = {"x": RNG.normal(size=(500, 30)).astype(np.float32)}
    found = prove(proto, other, inputs, exact=False)
    assert found.verdict == "measured"
    assert found.discrete == 500
    assert 0 < found.discrete_differ < 500
    assert f"{found.discrete_differ} of 500 outputs that are no floats" in found.reason
    assert prove(proto, other, inputs).verdict == "refuted"


@pytest.mark.parametrize("change", ["shape", "type", "nan"])
def test_rounding_at_rest_excuses_no_other_shape_type_or_nan(change: str) -> None:
    weight = pruned(RNG, (30, 40), 600)
    proto, other = _with_class(product(weight)), _with_class(product(weight))
    last = other.graph.node[-1]
    if change == "shape":
        last.attribute.append(helper.make_attribute("keepdims", 0))
    elif change == "type":
        last.output[0] = "wide"
        other.graph.node.append(node("Cast", ["wide"], ["k"], to=TensorProto.INT32))
        other.graph.output[-1].type.tensor_type.elem_type = TensorProto.INT32
    else:
        other = _changed(other, "w", np.where(weight == weight.max(), np.float32(np.nan), weight))
    inputs = {"x": RNG.normal(size=(50, 30)).astype(np.float32)}
    assert prove(proto, serialize(other), inputs, exact=False).verdict == "refuted"


def test_sequences_are_compared_by_their_tensors() -> None:
    def split(weight: Array) -> onnx.ModelProto:
        nodes = [node("MatMul", ["x", "w"], ["a"]), node("SplitToSequence", ["a"], ["y"], axis=1)]
        proto = model(nodes, {"w": weight}, {"x": ["n", 30]})
        kind = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
        proto.graph.output[0].CopyFrom(kind)
        return proto

    weight = pruned(RNG, (30, 4), 60)
    inputs = {"x": RNG.normal(size=(9, 30)).astype(np.float32)}
    found = prove(split(weight), serialize(split(weight)), inputs)
    assert found.proved
    assert "different values seen" not in found.reason, "how it nests is no output of the network's"
    other = serialize(split(-weight))
    assert prove(split(weight), other, inputs).verdict == "refuted"
    moved = prove(split(weight), other, inputs, exact=False)
    assert (moved.max_abs_delta or 0) > 0.1
    assert moved.discrete_differ == 0, "they nest alike"


@pytest.mark.parametrize("exact", [True, False])
def test_nothing_finite_to_compare_is_not_proved(exact: bool) -> None:
    weight = np.full((30, 40), np.nan, np.float32)
    found = prove(product(weight), serialize(product(weight)), {"x": np.ones((4, 30), np.float32)}, exact=exact)
    assert (found.verdict, found.max_abs_delta, found.samples) == ("not proved", None, 4)
    assert "all 160 of them are NaN or infinite" in found.reason


def test_an_output_that_is_never_finite_is_named() -> None:
    proto = model([node("MatMul", ["x", "w"], ["y"]), node("MatMul", ["x", "v"], ["z"])],
                  {"w": pruned(RNG, (30, 40), 300), "v": np.full((30, 4), np.inf, np.float32)}, {"x": ["n", 30]},
                  ["y", "z"])  # fmt: skip
    found = prove(proto, serialize(proto), {"x": np.ones((4, 30), np.float32)})
    assert found.proved
    assert "no finite number was seen at 'z'" in found.reason


def test_one_output_without_a_number_and_another_without_a_change_prove_nothing() -> None:
    proto = model([node("MatMul", ["x", "w"], ["y"]), node("MatMul", ["x", "v"], ["z"])],
                  {"w": np.zeros((30, 40), np.float32), "v": np.full((30, 4), np.inf, np.float32)}, {"x": ["n", 30]},
                  ["y", "z"])  # fmt: skip
    found = prove(proto, serialize(proto), {"x": RNG.random((4, 30)).astype(np.float32)})
    assert found.verdict == "not proved"
    assert "no finite number was seen at 'z'" in found.reason
    assert "--input-shape" in found.reason


def test_a_rounded_file_carries_the_proof_of_its_graph() -> None:
    images = _images(100)
    graph = prove(lenet(), serialize(lenet()), images)
    rounded = prove(lenet(), store(lenet(), weights="int8").serialized(), images, exact=False)
    found = proof.of_rounded(graph, rounded)
    assert found.verdict == "measured"
    assert found.graph == graph
    assert found.max_abs_delta == rounded.max_abs_delta
    assert f"more than rounding explains ({graph.tolerance:.3g})" in found.reason
    assert f"moved by up to {rounded.max_abs_delta:.3g}" in found.reason
    broken = prove(lenet(), b"no model", images, exact=False)
    assert proof.of_rounded(graph, broken).verdict == "refuted"


def _boxes(scale: float, threshold: float) -> onnx.ModelProto:
    """[n, 8] -> the places of scores above a threshold: as many as there are."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["score"]),
            helper.make_node("Greater", ["score", "threshold"], ["above"]),
            helper.make_node("NonZero", ["above"], ["places"]),
        ],
        "boxes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 8]),
            helper.make_tensor_value_info("places", TensorProto.INT64, [2, "k"]),
        ],
        [
            numpy_helper.from_array(np.array(scale, np.float32), "scale"),
            numpy_helper.from_array(np.array(threshold, np.float32), "threshold"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_how_many_are_found_may_change_at_a_threshold_only() -> None:
    """Scores that lie at the threshold are above it or not by rounding; those elsewhere are not."""
    scores = RNG.uniform(0, 1, (4, 8)).astype(np.float32)
    scores[1] = 0.5
    close = float(np.nextafter(np.float32(1), np.float32(2)))
    assert prove_feeds(_boxes(1.0, 0.5), serialize(_boxes(close, 0.5)), [{"x": scores}]).proved
    found = prove_feeds(_boxes(1.0, 0.5), serialize(_boxes(1.0, 0.9)), [{"x": scores}])
    assert found.verdict == "refuted"
    assert "'places'" in found.reason


@pytest.mark.parametrize(
    ("kind", "attributes", "gone"),
    [
        ("InstanceNormalization", {}, 1),
        ("GroupNormalization", {"num_groups": 4}, 1),
        ("GroupNormalization", {"num_groups": 2}, 2),
        ("GroupNormalization", {"num_groups": 2}, 1),
    ],
)
def test_a_constant_channel_in_front_of_a_normalisation_is_proved(
    kind: str, attributes: dict[str, Any], gone: int
) -> None:
    """(x - mean) / sqrt(epsilon) is 0 in float64; in float32 it is 300 times the rounding of the mean."""
    net = Net((1, 3, 8, 8), seed=7)
    weight, bias = net.normal(4, 3, 3, 3), np.array([-0.7, 0.1, 0.3, 0.2])
    weight[:gone] = 0
    maps = net.conv("x", weight, bias)
    scale, shift = net.const(net.rng.uniform(0.5, 2, 4)), net.const(net.normal(4))
    y = net.conv(net.op(kind, maps, scale, shift, **attributes), net.normal(2, 4, 1, 1))
    proto = net.model(y, opset=21)
    made = simplify(proto)
    feeds = [{"x": RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(3)]
    found = prove_feeds(proto, serialize(made.model), feeds, simplified=made)
    assert found.in_float64 is not None
    assert (found.verdict, found.in_float64.verdict) == ("proved", "proved"), found.reason
    assert found.in_float64.tolerance is not None
    assert found.in_float64.tolerance < 1e-10
