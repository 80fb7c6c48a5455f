"""storage.py on the stock runtime: same outputs, nothing left to rebuild, few bytes, always the same ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from storage_models import convnet, lenet, model, node, product, pruned

from edgeticket import runtime
from edgeticket.artifact.manifest import TensorInfo
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing import gaps, layout, runtime_folds, storage
from edgeticket.graph.storing.archives import Archives
from edgeticket.graph.storing.encoding import Weights
from edgeticket.graph.storing.storage import STORAGES, Stored, store
from edgeticket.graph.storing.tensors import TensorReader

Array = NDArray[Any]
RNG = np.random.default_rng(7)


def _outputs(proto: onnx.ModelProto, rows: int = 5) -> list[bytes]:
    running = runtime.cpu_session(serialize(proto))
    rng = np.random.default_rng(3)
    feed = {i.name: rng.normal(size=[d if isinstance(d, int) else rows for d in i.shape]) for i in running.get_inputs()}
    found = runtime.run(running, {name: array.astype(np.float32) for name, array in feed.items()})
    return [array.tobytes() for array in found.values()]


def _optimized(proto: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    runtime.cpu_session(serialize(proto), optimized_path=folder / "o.onnx")
    return onnx.load_model(folder / "o.onnx")


def _weights(proto: onnx.ModelProto, folder: Path) -> dict[str, Array]:
    """The weights as the runtime sees them after folding."""
    return {t.name: numpy_helper.to_array(t) for t in _optimized(proto, folder).graph.initializer}


def _only(stored: Stored) -> TensorInfo:
    (tensor,) = stored.tensors
    return tensor


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 17, 18, 20])
@pytest.mark.parametrize("kind", STORAGES)
def test_fp32_outputs_are_bit_identical(kind: storage.Storage, opset: int) -> None:
    for proto in (lenet(opset), convnet(opset)):
        stored = store(proto, storage=kind)
        assert _outputs(stored.model) == _outputs(proto)
        assert stored.model.opset_import == proto.opset_import
        assert stored.model.ir_version == proto.ir_version
        # onnx infers a sparse type where a sparse initializer stands, and refuses its own form to Gemm
        onnx.checker.check_model(stored.model, full_check=kind != "sparse-initializer")


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("proto", [lenet, convnet])
def test_the_standards_reference_rebuilds_the_same_weights(proto: Callable[[int], onnx.ModelProto], opset: int) -> None:
    """The chain is standard ONNX, not something that only one runtime understands so."""
    original = proto(opset)
    name = original.graph.input[0].name
    x = RNG.normal(size=(2, 784) if name == "input" else (2, 3, 16, 16)).astype(np.float32)
    before, after = (
        ReferenceEvaluator(p).run(None, {name: x})[0] for p in (original, store(original, storage="gaps").model)
    )
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_nothing_is_left_to_rebuild_at_inference(weights: Any, tmp_path: Path) -> None:
    for proto in (lenet(), convnet()):
        stored = store(proto, storage="gaps", weights=weights)
        assert len(stored.model.graph.node) > len(proto.graph.node)
        operators = [entry.op_type for entry in _optimized(stored.model, tmp_path).graph.node]
        assert operators == [entry.op_type for entry in _optimized(proto, tmp_path).graph.node]


def test_a_lenet_ticket_meets_its_byte_targets() -> None:
    proto = lenet()
    fp32, int8 = store(proto), store(proto, weights="int8")
    assert len(serialize(proto)) > 1_060_000
    assert len(fp32.serialized()) <= 49_000
    assert len(int8.serialized()) <= 20_000
    assert {tensor.storage for tensor in fp32.tensors if tensor.name.endswith("weight")} == {"gaps"}


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_sizes_of_tensors_add_up_to_the_file(kind: storage.Storage, weights: Any) -> None:
    proto = lenet()
    stored = store(proto, storage=kind, weights=weights)
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    kept = [tensor for tensor in bare.graph.initializer if tensor.name == "fc3.bias"]  # 10 elements: too small to count
    del bare.graph.initializer[:]
    bare.graph.initializer.extend(kept)
    expected = len(serialize(bare)) + sum(tensor.size_bytes for tensor in stored.tensors)
    assert abs(len(stored.serialized()) - expected) <= 3  # the length of the graph itself takes up to 3 bytes more


@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_auto_is_never_larger_than_what_can_be_asked_for(weights: Any) -> None:
    for proto in (lenet(), convnet(), convnet(density=0.6), product(pruned(RNG, (8, 8), 10))):
        auto = len(store(proto, weights=weights).serialized())
        assert auto <= len(store(proto, storage="dense", weights=weights).serialized())
        assert auto <= len(store(proto, storage="gaps", weights=weights).serialized())


@pytest.mark.parametrize("kind", STORAGES)
def test_fewer_bits_are_never_more_bytes(kind: storage.Storage) -> None:
    """A depthwise filter of 9 weights pays for a scale and a product of its own."""
    depthwise = model(
        [node("Conv", ["x", f"d{i}"], [f"d{i}.y"], group=64, pads=[1] * 4) for i in range(4)]
        + [node("Sum", [f"d{i}.y" for i in range(4)], ["y"])],
        {f"d{i}": pruned(RNG, (64, 1, 3, 3), 60 + i) for i in range(4)},
        {"x": ["n", 64, 5, 5]},
    )
    depthwise.graph.output[0].type.tensor_type.ClearField("shape")
    for proto in (depthwise, convnet(), convnet(density=0.6), product(pruned(RNG, (8, 8), 10)), lenet()):
        fp32, fp16, int8 = (len(store(proto, storage=kind, weights=w).serialized()) for w in ("fp32", "fp16", "int8"))
        assert int8 <= fp16 <= fp32
    if kind == "gaps":
        tensors = store(depthwise, storage=kind, weights="int8").tensors
        assert {(tensor.weights, "as int8 it would take more bytes" in tensor.note) for tensor in tensors} == {
            ("fp16", True)
        }


def test_each_tensor_takes_the_form_that_is_smallest_for_it() -> None:
    wide, deep = pruned(RNG, (64, 1200), 9000), pruned(RNG, (400, 1, 3, 1), 450)
    nodes = [node("MatMul", ["x", "wide"], ["a"]), node("Reshape", ["a", "s"], ["b"])]
    nodes += [node("Conv", ["b", "deep"], ["c"], group=400), node("Flatten", ["c"], ["y"])]
    proto = model(nodes, {"wide": wide, "deep": deep, "s": np.array([-1, 400, 3, 1])}, {"x": ["n", 64]})
    found = {tensor.name: tensor.weights for tensor in store(proto, storage="gaps", weights="int8").tensors}
    assert found["wide"] == "int8"
    assert found["deep"] == "fp16"


def test_same_model_and_options_same_bytes() -> None:
    for weights in ("fp32", "int8"):
        assert store(convnet(), weights=weights).serialized() == store(convnet(), weights=weights).serialized()


@pytest.mark.parametrize("weights", ["fp32", "int8"])
def test_same_bytes_in_another_process(weights: str, tmp_path: Path) -> None:
    """Sets of names iterate in another order there."""
    (tmp_path / "m.onnx").write_bytes(serialize(convnet()))
    code = (
        "import hashlib, onnx, sys; from edgeticket.graph.storing.storage import store\n"
        "print(hashlib.sha256(store(onnx.load(sys.argv[1]), weights=sys.argv[2]).serialized()).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "m.onnx"), weights],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    expected = store(convnet(), weights=weights).serialized()  # type: ignore[arg-type]
    assert hashes == {hashlib.sha256(expected).hexdigest() + "\n"}


def test_the_model_given_is_not_changed() -> None:
    proto = lenet()
    before = serialize(proto)
    store(proto, weights="int8")
    assert serialize(proto) == before


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(2, 40),
    columns=st.integers(2, 40),
    nonzeros=st.integers(0, 1600),
    kind=st.sampled_from(STORAGES),
    seed=st.integers(0, 99),
)
def test_any_matrix_comes_back(rows: int, columns: int, nonzeros: int, kind: storage.Storage, seed: int) -> None:
    weight = pruned(np.random.default_rng(seed), (rows, columns), min(nonzeros, rows * columns))
    proto = product(weight)
    assert _outputs(store(proto, storage=kind).model) == _outputs(proto)


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_nothing_but_zeros(kind: storage.Storage, weights: Any) -> None:
    proto = product(np.zeros((30, 40), np.float32))
    assert _outputs(store(proto, storage=kind, weights=weights).model) == _outputs(proto)


def test_no_zeros_rests_dense_and_says_so() -> None:
    proto = product(RNG.normal(size=(30, 40)).astype(np.float32))
    for kind in ("auto", "gaps", "sparse-initializer"):
        stored = store(proto, storage=kind)
        assert _only(stored).storage == "dense"
        assert any("all rest dense" in note for note in stored.notes)
        assert stored.serialized() == serialize(proto)


def test_nothing_is_said_of_tensors_where_there_are_none() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "none",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )
    plain = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert store(plain).notes == ()


def test_gaps_above_255_and_negative_zeros(tmp_path: Path) -> None:
    weight = np.full((100, 100), -0.0, np.float32)
    weight.reshape(-1)[[0, 255, 511, 9999]] = [1, 2, 3, 4]
    stored = store(product(weight), storage="gaps")
    assert "uint8" in _only(stored).note
    back = _weights(stored.model, tmp_path)["w"]
    assert back.tobytes() == (weight + 0).tobytes()


def test_nan_and_infinity_stay_in_fp32(tmp_path: Path) -> None:
    weight = pruned(RNG, (40, 40), 100)
    weight[0, :3] = np.nan, np.inf, -np.inf
    for weights in ("fp32", "fp16", "int8"):
        stored = store(product(weight), weights=weights)  # type: ignore[arg-type]
        assert _only(stored).weights == "fp32"
        assert _weights(stored.model, tmp_path)["w"].tobytes() == weight.tobytes()


def test_values_above_the_range_of_fp16_stay_in_fp32() -> None:
    weight = pruned(RNG, (40, 40), 100)
    weight[0, 0] = 1e6
    tensor = _only(store(product(weight), weights="fp16"))
    assert tensor.weights == "fp32"
    assert "above the largest fp16" in tensor.note


@pytest.mark.parametrize("kind", ["dense", "gaps", "sparse-initializer"])
def test_fp16_at_rest_is_the_nearest_fp16(kind: storage.Storage, tmp_path: Path) -> None:
    weight = pruned(RNG, (64, 64), 400)
    stored = store(product(weight), storage=kind, weights="fp16")
    expected = weight.astype(np.float16).astype(np.float32)
    assert _weights(stored.model, tmp_path)["w"].tobytes() == expected.tobytes()
    assert _only(stored).weights == "fp16"


@pytest.mark.parametrize("kind", ["dense", "gaps", "sparse-initializer"])
def test_int8_errs_by_half_a_step_of_its_own_output_channel(kind: storage.Storage, tmp_path: Path) -> None:
    proto = convnet(density=0.2)
    channel_size = 10.0 ** np.arange(-2, 2)
    for tensor, axis in zip(proto.graph.initializer, (0, 0, 0, 1), strict=True):
        weight = numpy_helper.to_array(tensor)
        scales = np.resize(channel_size, weight.shape[axis]).reshape(
            [-1 if i == axis else 1 for i in range(weight.ndim)]
        )
        tensor.CopyFrom(numpy_helper.from_array((weight * scales).astype(np.float32), tensor.name))
    stored = store(proto, storage=kind, weights="int8")
    at_rest = {tensor.name: tensor.weights for tensor in stored.tensors}
    assert at_rest["c2"] == at_rest["c3"] == "int8"
    assert {*at_rest.values()} <= {"int8", "fp16"}  # for 64 values, scales may cost more than they save
    back = _weights(stored.model, tmp_path)
    for tensor, axis in zip(proto.graph.initializer, (0, 0, 0, 1), strict=True):
        weight = np.moveaxis(numpy_helper.to_array(tensor), axis, 0).reshape(tensor.dims[axis], -1)
        found = np.moveaxis(back[tensor.name], axis, 0).reshape(weight.shape)
        step = np.max(np.abs(weight), axis=1, keepdims=True) / 127
        assert np.all(np.abs(found - weight) <= 0.51 * step)  # 0.5, and the rounding of the scale to fp16
        assert np.all(found[weight == 0] == 0)


def test_biases_rest_as_fp16_at_most() -> None:
    stored = {tensor.name: tensor for tensor in store(lenet(), weights="int8").tensors}
    assert stored["fc1.bias"].weights == "fp16"
    assert stored["fc1.weight"].weights == "int8"
    assert "fc3.bias" not in stored


def test_weights_that_are_inputs_too_are_left_alone() -> None:
    proto = lenet()
    proto.graph.input.append(helper.make_tensor_value_info("fc1.weight", TensorProto.FLOAT, [300, 784]))
    stored = store(proto)
    assert "fc1.weight" not in {tensor.name for tensor in stored.tensors}
    kept = {tensor.name: tensor for tensor in stored.model.graph.initializer}
    assert kept["fc1.weight"] == proto.graph.initializer[0]
    assert _outputs(stored.model) == _outputs(proto)


def test_a_weight_shared_by_two_layers_is_stored_once() -> None:
    weight = pruned(RNG, (50, 50), 200)
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Gemm", ["a", "w"], ["y"], transB=1)]
    proto = model(nodes, {"w": weight}, {"x": ["n", 50]})
    stored = store(proto)
    assert _only(stored).storage == "gaps"
    assert _outputs(stored.model) == _outputs(proto)


def test_a_weight_read_in_a_subgraph_and_names_already_taken() -> None:
    weight = pruned(RNG, (50, 50), 200)
    branches = {}
    for branch, value in (("then_branch", "a"), ("else_branch", "b")):  # names the writer would take first
        out = helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
        branches[branch] = helper.make_graph([node("MatMul", ["x", "w"], [value])], branch, [], [out])
    nodes = [
        node("ReduceMax", ["x"], ["c"], keepdims=0),
        node("Cast", ["c"], ["d"], to=TensorProto.BOOL),
        helper.make_node("If", ["d"], ["y"], **branches),
    ]
    proto = model(nodes, {"w": weight}, {"x": ["n", 50]})
    stored = store(proto)
    written = [value for entry in stored.model.graph.node[: -len(nodes)] for value in entry.output]
    assert not {"a", "b", "c", "d", "x", "y"} & {*written, *(t.name for t in stored.model.graph.initializer)}
    assert _only(stored).storage == "gaps"
    assert _outputs(stored.model) == _outputs(proto)


def test_weights_inside_subgraphs_stay_as_they_are() -> None:
    weight = numpy_helper.from_array(pruned(RNG, (50, 50), 200), "inner")
    branches = {}
    for branch in ("then_branch", "else_branch"):
        out = helper.make_tensor_value_info("o" + branch, TensorProto.FLOAT, None)
        inner = [node("MatMul", ["x", "inner"], ["o" + branch])]
        branches[branch] = helper.make_graph(inner, branch, [], [out], [weight])
    nodes = [
        node("ReduceMax", ["x"], ["c"], keepdims=0),
        node("Cast", ["c"], ["d"], to=TensorProto.BOOL),
        helper.make_node("If", ["d"], ["y"], **branches),
    ]
    proto = model(nodes, {}, {"x": ["n", 50]})
    assert store(proto).serialized() == serialize(proto)


def test_below_opset_11_weights_rest_as_sparse_initializers_where_these_are_smaller() -> None:
    wide, full = pruned(RNG, (50, 50), 200), pruned(RNG, (50, 40), 1500)
    nodes = [node("MatMul", ["x", "wide"], ["a"]), node("MatMul", ["a", "full"], ["y"])]
    proto = model(nodes, {"wide": wide, "full": full}, {"x": ["n", 50]}, opset=9, ir_version=4)
    stored = store(proto)
    assert [tensor.storage for tensor in stored.tensors] == ["sparse-initializer", "dense"]
    assert len(stored.serialized()) < len(serialize(proto)) - 7000
    assert stored.model.ir_version == 5  # the version that brought sparse initializers
    assert any("needs opset 11" in note and "--upgrade-opset" in note for note in stored.notes)
    assert _outputs(stored.model) == _outputs(proto)
    assert _only(store(product(wide, opset=9, ir_version=4), storage="gaps")).storage == "dense"


def test_an_ir_version_below_4_is_left_alone() -> None:
    proto = product(pruned(RNG, (50, 50), 200), opset=9, ir_version=3)
    for kind in ("gaps", "sparse-initializer"):
        stored = store(proto, storage=kind, weights="int8")  # type: ignore[arg-type]
        assert stored.serialized() == serialize(proto)
        assert any("IR version 3" in note for note in stored.notes)


def test_what_the_runtime_does_not_fold_rests_dense_with_a_sentence() -> None:
    proto = lenet()
    asked: list[frozenset[str]] = []

    def unfolded(_: onnx.ModelProto, names: Iterable[str]) -> frozenset[str]:
        asked.append(frozenset(names))
        return frozenset({"fc2.weight"}) & asked[-1]

    stored = store(proto, unfolded=unfolded)
    assert len(asked) == 2
    assert {"fc1.weight", "fc2.weight", "fc3.weight"} <= asked[0]
    by_name = {tensor.name: tensor for tensor in stored.tensors}
    assert by_name["fc2.weight"].storage == "dense"
    assert "does not fold" in by_name["fc2.weight"].note
    assert by_name["fc1.weight"].storage == by_name["fc3.weight"].storage == "gaps"
    assert _outputs(stored.model) == _outputs(proto)


def test_a_weight_that_is_an_output_is_not_folded_and_rests_dense() -> None:
    proto = product(pruned(RNG, (50, 50), 200))
    proto.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [50, 50]))
    stored = store(proto)
    assert not runtime_folds.unfolded(stored.model, ["w"])
    assert _outputs(stored.model) == _outputs(proto)


def test_folding_sees_what_is_left() -> None:
    weight = pruned(RNG, (50, 50), 200)
    codes, scale = np.clip(weight * 100, -127, 127).astype(np.int8), np.array(0.01, np.float32)
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), node("Sqrt", ["r"], ["v"]), node("MatMul", ["x", "w"], ["z"])]
    nodes += [node("Add", ["z", "v"], ["y"])]
    proto = model(nodes, {"q": codes, "s": scale, "r": np.ones(50, np.float32)}, {"x": ["n", 50]})
    assert runtime_folds.unfolded(proto, ["w", "v"]) == {"w"}


def test_an_unknown_operator_is_stored_but_not_verified() -> None:
    proto = product(pruned(RNG, (50, 50), 200))
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    stored = store(proto)
    assert _only(stored).storage == "gaps"
    assert any("was not verified" in note for note in stored.notes)


def test_large_chains_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "GROUP_ELEMENTS", 40_000)
    proto = lenet()
    stored = store(proto, storage="gaps")
    chains = [entry for entry in stored.model.graph.node if entry.op_type == "ScatterElements"]
    assert len(chains) == 2  # the first layer alone, the others together
    assert _outputs(stored.model) == _outputs(proto)


def test_a_sparse_initializer_is_the_standards_own_and_honest() -> None:
    stored = store(lenet(), storage="sparse-initializer")
    sparse = {tensor.values.name: tensor for tensor in stored.model.graph.sparse_initializer}
    assert set(sparse) == {"fc1.weight", "fc2.weight", "fc3.weight"}
    assert list(sparse["fc1.weight"].indices.dims) == [8275]
    assert any("66.7 %" in note for note in stored.notes)


def _sizes(proto: onnx.ModelProto) -> dict[str, int]:
    archives = Archives()
    storage.add_storages(archives, TensorReader(proto))
    return archives.sizes()


def test_sizes_for_the_report() -> None:
    proto = lenet()
    found = _sizes(proto)
    assert found["dense"] == len(serialize(proto))
    assert found["dense.gz"] == len(gzip.compress(serialize(proto), 9, mtime=0))
    assert found["gaps"] == len(store(proto, storage="gaps").serialized())
    assert found["gaps-int8"] < found["gaps-fp16"] < found["gaps"] < found["sparse-initializer"] < found["dense"]
    assert found == _sizes(proto)


@pytest.mark.parametrize("storage_asked", ["auto", "dense", "gaps", "sparse-initializer"])
def test_tensors_that_were_read_before_are_stored_the_same(storage_asked: storage.Storage) -> None:
    proto = lenet()
    read = TensorReader(proto)
    for weights in get_args(Weights):
        again, alone = (store(proto, storage=storage_asked, weights=weights, read=each) for each in (read, None))
        assert again.serialized() == alone.serialized()
        assert again.tensors == alone.tensors


def test_a_short_stream_is_counted_for_every_number_of_low_bits() -> None:
    rng = np.random.default_rng(4)
    for size in (0, 1, 7, 300, 100_000):
        positions = np.flatnonzero(rng.random(size) < 0.1)
        ones = np.ones(size, np.int8)
        streams = [len(gaps.to_packed(ones, k, positions).stream) for k in range(gaps.MOST_LOW_BITS + 1)]
        assert gaps.shortest(positions) == (streams.index(min(streams)), min(streams))
