"""The stored file against the plan: every way in which a weight may differ is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from nets import Net, zero_rows
from proofs import check_stored_weights

from edgeticket.errors import ModelError, ProofError
from edgeticket.graph import evaluate
from edgeticket.graph.passes import fold_constants
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing.encoding import WEIGHTS, Weights
from edgeticket.graph.storing.storage import store


def _simplified() -> Simplified:
    net = Net(("n", 64))
    weight = zero_rows(net.normal(50, 64), 1, 2)
    weight[np.abs(weight) < 1.5] = 0
    hidden = net.op("Relu", net.gemm("x", weight, None, "a"))
    return simplify(net.model(net.gemm(hidden, net.normal(4, 50), None, "b")))


@pytest.mark.parametrize("storage", ["dense", "gaps", "sparse-initializer", "auto"])
@pytest.mark.parametrize("weights", ["fp32", "int8"])
def test_what_storage_writes_is_as_planned(storage: str, weights: str) -> None:
    plan = _simplified()
    data = store(plan.model, storage=storage, weights=weights).model.SerializeToString()  # type: ignore[arg-type]
    check_stored_weights(data, plan.layers, lossy=weights != "fp32")


def test_an_exported_file_is_a_source_again() -> None:
    plan = _simplified()
    stored = store(plan.model, storage="gaps", weights="fp32").model
    again = simplify(stored)
    assert [layer.name for layer in again.layers] == ["a", "b"]
    assert [layer.shape_after for layer in again.layers] == [layer.shape_after for layer in plan.layers]
    assert [layer.nonzeros_before for layer in again.layers] == [layer.nonzeros_after for layer in plan.layers]


def test_every_difference_is_named() -> None:
    plan = _simplified()
    data = plan.model.SerializeToString()
    first, second = plan.layers
    for wrong in (
        replace(first, shape_after=(47, 64)),
        replace(first, nonzeros_after=first.nonzeros_after + 1),
        replace(first, nonzeros_after=first.nonzeros_after - 1),
        replace(first, shape_after=(), nonzeros_after=0),
        replace(first, name="absent"),
    ):
        with pytest.raises(ProofError, match=f"{wrong.name!r}"):
            check_stored_weights(data, (wrong, second))
    check_stored_weights(data, (replace(first, nonzeros_after=first.nonzeros_after + 1),), lossy=True)
    with pytest.raises(ProofError):
        check_stored_weights(data, (replace(first, nonzeros_after=first.nonzeros_after - 1),), lossy=True)
    with pytest.raises(ModelError):
        check_stored_weights(data[:100], plan.layers)


def test_a_weight_that_depends_on_the_input_is_no_constant() -> None:
    plan = _simplified()
    model = onnx.ModelProto.FromString(plan.model.SerializeToString())
    for tensor in model.graph.initializer:
        if tensor.name == "a":
            tensor.name = "hidden"
    total = onnx.helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0)
    model.graph.node.insert(0, onnx.helper.make_node("Mul", ["hidden", "sum"], ["a"]))
    model.graph.node.insert(0, total)
    with pytest.raises(ProofError, match="not as a constant"):
        check_stored_weights(model.SerializeToString(), plan.layers)


def test_what_is_too_large_to_rebuild_is_named_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _simplified()
    data = store(plan.model, storage="gaps", weights="fp32").serialized()
    assert check_stored_weights(data, plan.layers) == ()
    monkeypatch.setattr(evaluate, "MAX_ELEMENTS", 1000)  # the first weight has 3,008 elements, the second 188
    first, second = plan.layers
    assert first.name in check_stored_weights(data, plan.layers)
    with pytest.raises(ProofError, match="should be gone"):
        check_stored_weights(data, (replace(first, shape_after=(), nonzeros_after=0), second))
    with pytest.raises(ProofError, match="'absent'"):
        check_stored_weights(data, (replace(first, name="absent"),))


def test_what_is_not_too_large_must_be_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _simplified()
    data = store(plan.model, storage="gaps", weights="fp32").serialized()
    monkeypatch.setattr(fold_constants, "evaluate", lambda *_: None)
    with pytest.raises(ProofError, match="not as a constant"):
        check_stored_weights(data, plan.layers)


@pytest.mark.parametrize("storage", ["dense", "gaps"])
def test_one_altered_number_is_named_with_its_place(storage: str) -> None:
    """1e-4 more in one weight: as many nonzeros and the same shape as planned."""
    plan = _simplified()
    altered = onnx.ModelProto.FromString(plan.model.SerializeToString())
    [tensor] = [tensor for tensor in altered.graph.initializer if tensor.name == "a"]
    weight = onnx.numpy_helper.to_array(tensor).copy()
    place = tuple(int(axis[5]) for axis in np.nonzero(weight))
    weight[place] *= 1 + 1e-4
    tensor.CopyFrom(onnx.numpy_helper.from_array(weight, "a"))
    data = store(altered, storage=storage, weights="fp32").serialized()  # type: ignore[arg-type]
    check_stored_weights(data, plan.layers)  # what 0.1.0 looked at does not tell
    with pytest.raises(ProofError, match=rf"'a' differs from the planned one in 1 of \d+ numbers: at \[{place[0]}, "):
        check_stored_weights(data, plan.layers, planned=plan.model)


@pytest.mark.parametrize("weights", ["fp16", "int8"])
def test_rounded_weights_are_what_their_encoding_gives(weights: Weights) -> None:
    plan = _simplified()
    stored = store(plan.model, storage="gaps", weights=weights)
    encoded: dict[str, Weights] = {
        tensor.name: kind for tensor in stored.tensors for kind in WEIGHTS if kind == tensor.weights
    }
    assert weights in encoded.values()
    check_stored_weights(stored.serialized(), plan.layers, planned=plan.model, encoded=encoded, lossy=True)
    with pytest.raises(ProofError, match="differs from the planned one"):
        check_stored_weights(stored.serialized(), plan.layers, planned=plan.model, lossy=True)


def test_a_constant_that_no_layer_owns_is_checked_too() -> None:
    """A dropped bias has no line in the plan of the layers."""
    net = Net(("n", 6))
    plan = simplify(net.model(net.gemm("x", net.normal(5, 6), net.normal(5), "a")))
    [bias] = [tensor.name for tensor in plan.model.graph.initializer if len(tensor.dims) == 1]
    altered = onnx.ModelProto.FromString(plan.model.SerializeToString())
    kept = [tensor for tensor in altered.graph.initializer if tensor.name != bias]
    del altered.graph.initializer[:], altered.graph.node[0].input[2:]
    altered.graph.initializer.extend(kept)
    with pytest.raises(ProofError, match=f"does not hold the constant '{bias}'"):
        check_stored_weights(altered.SerializeToString(), plan.layers, planned=plan.model)


def test_texts_are_held_to_the_plan_too() -> None:
    """A vocabulary, as tokenizers hold it: onnx and onnx-ir give texts different types."""
    words = onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [2], [b"red", "grün".encode()])
    gather = onnx.helper.make_node("Gather", ["words", "x"], ["y"])
    ends = [("x", onnx.TensorProto.INT64), ("y", onnx.TensorProto.STRING)]
    x, y = (onnx.helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in ends)
    imports = [onnx.helper.make_opsetid("", 18)]
    graph = onnx.helper.make_graph([gather], "g", [x], [y], [words])
    plan = simplify(onnx.helper.make_model(graph, opset_imports=imports, ir_version=10))
    check_stored_weights(plan.model.SerializeToString(), plan.layers, planned=plan.model)
    other = onnx.ModelProto()
    other.CopyFrom(plan.model)
    other.graph.initializer[0].string_data[1] = b"blau"
    with pytest.raises(ProofError, match="'words' differs from the planned one in 1 of 2"):
        check_stored_weights(other.SerializeToString(), plan.layers, planned=plan.model)


def _choice(*, nonzeros: int) -> onnx.ModelProto:
    """A choice between two layers, whose weights have one name in two bodies, of different shapes."""

    def body(name: str, width: int) -> onnx.GraphProto:
        weight = np.ones((8, width), np.float32)
        weight.reshape(-1)[nonzeros:] = 0
        tensors = [onnx.numpy_helper.from_array(weight, "w")]
        ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)]
        return onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], [name])], name, [], ends, tensors)

    branches = {"then_branch": body("yes", 4), "else_branch": body("no", 5)}
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 8])
    flag = onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([onnx.helper.make_node("If", ["flag"], ["y"], **branches)], "g", [x, flag], [y])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def test_dense_weights_in_bodies_are_found_there() -> None:
    plan = simplify(_choice(nonzeros=40))
    assert {layer.name for layer in plan.layers} == {"w"}
    check_stored_weights(store(plan.model).serialized(), plan.layers, planned=plan.model)


def test_a_weight_in_a_body_is_held_to_the_plan() -> None:
    plan, other = simplify(_choice(nonzeros=40)), _choice(nonzeros=31)
    with pytest.raises(ProofError, match="'w' has 31 nonzeros, planned were 40"):
        check_stored_weights(other.SerializeToString(), plan.layers)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_number_of_a_constant_of_any_rank_is_named(shape: tuple[int, ...]) -> None:
    net = Net(("n", 3))
    net.nodes.append(onnx.helper.make_node("Mul", ["x", net.const(np.full(shape, 0.5), "k")], ["y"]))
    planned = net.model("y")
    altered = onnx.ModelProto.FromString(planned.SerializeToString())
    [tensor] = altered.graph.initializer
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(shape, 0.25, np.float32), "k"))
    said = (
        rf"'k' differs from the planned one in {int(np.prod(shape))} of {int(np.prod(shape))} numbers: "
        rf"at {[0] * len(shape)} it is 0.25, planned was 0.5".replace("[", r"\[").replace("]", r"\]")
    )
    with pytest.raises(ProofError, match=said):
        check_stored_weights(altered.SerializeToString(), [], planned=planned)


@pytest.mark.parametrize(("reader", "told"), [("Reciprocal", True), ("Relu", False)])
def test_the_sign_of_a_zero_is_held_where_its_readers_tell_it(reader: str, told: bool) -> None:
    net = Net(("n", 3))
    scaled = net.op("Mul", "x", net.const(np.array([1, -0.0, 2]), "k"))
    planned = net.model(net.op(reader, scaled))
    altered = onnx.ModelProto.FromString(planned.SerializeToString())
    altered.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array([1, 0, 2], np.float32), "k"))
    if not told:
        check_stored_weights(altered.SerializeToString(), [], planned=planned)
        return
    with pytest.raises(ProofError, match=r"at \[1\] it is 0.0, planned was -0.0"):
        check_stored_weights(altered.SerializeToString(), [], planned=planned)
