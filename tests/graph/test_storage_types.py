"""Weights of every type come back bit by bit, around whatever stands for zero, and integer kernels stay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from proofs import check_stored_weights, rebuilt
from quantized_models import qdq_network, qoperator_network
from storage_models import model, node, product, pruned

from edgeticket import runtime
from edgeticket.artifact.manifest import LayerInfo
from edgeticket.graph.evaluate import ScatterElements
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing import runtime_folds
from edgeticket.graph.storing.storage import STORAGES, Stored, store
from edgeticket.graph.storing.zeros import signed_zeros

Array = NDArray[Any]
BFLOAT16 = np.dtype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
TYPES = [
    np.float32, np.float16, BFLOAT16, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.bool_,
]  # fmt: skip


def _reader(array: Array, opset: int = 18) -> onnx.ModelProto:
    """y = x @ float(w): the weight's only reader casts, and Reciprocal tells negative zeros from zeros."""
    nodes = [node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT), node("MatMul", ["x", "wide"], ["y"])]
    nodes += [node("Reciprocal", ["w"], ["inverse"])] if array.dtype.kind == "f" and array.dtype != BFLOAT16 else []
    return model(nodes, {"w": array}, {"x": ["n", array.shape[0]]}, opset=opset)


def _stored(proto: onnx.ModelProto, storage: Any = "gaps") -> Stored:
    def nothing(_: onnx.ModelProto, __: Iterable[str]) -> frozenset[str]:
        return frozenset()

    return store(proto, storage=storage, unfolded=nothing, alike=lambda *_: True)


def _by_reference(proto: onnx.ModelProto, name: str = "w") -> Array:
    """The weight as onnx's own evaluator rebuilds it, from the nodes that stand before its reader."""
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    del cut.graph.output[:], cut.graph.input[:]
    kept, late = [], {"x", name}
    for entry in cut.graph.node:
        if late.isdisjoint(entry.input):
            kept.append(entry)
        else:
            late.update(entry.output)
    del cut.graph.node[:]
    cut.graph.node.extend(kept)
    cut.graph.output.append(onnx.ValueInfoProto(name=name))
    found = ReferenceEvaluator(cut, new_ops=[ScatterElements]).run(None, {})[0]
    return np.asarray(found)


def _by_runtime(proto: onnx.ModelProto, array: Array) -> Array:
    """The weight as ONNX Runtime rebuilds it, taken out as an output."""
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    cut.graph.initializer.append(numpy_helper.from_array(np.array(array.shape), "its shape"))
    cut.graph.node.append(node("Reshape", ["w", "its shape"], ["again"]))  # a sparse initializer comes out as one
    cut.graph.output.append(helper.make_tensor_value_info("again", kind, array.shape))
    x = np.zeros((1, array.shape[0]), np.float32)
    return runtime.run(runtime.cpu_session(serialize(cut)), {"x": x}, ["again"])["again"]


def _optimized(proto: onnx.ModelProto, folder: Path) -> list[str]:
    runtime.cpu_session(serialize(proto), optimized_path=folder / "o.onnx", whole=True)
    return sorted(f"{entry.domain} {entry.op_type}" for entry in onnx.load_model(folder / "o.onnx").graph.node)


@st.composite
def _weights(draw: st.DrawFn) -> Array:
    """A matrix of any type in which any share of the elements has the same value, the others any bits."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 60)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    if dtype == np.bool_:
        array = rng.random(shape) < 0.5
    else:
        array = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype).reshape(shape)
    fill = draw(st.sampled_from([0, 0, 0, 1, 3, -0.0 if dtype.kind not in "iub" else 0]))
    array[rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))] = fill
    return array


@settings(max_examples=120, deadline=None)
@given(array=_weights(), storage=st.sampled_from(STORAGES), opset=st.sampled_from([13, 18, 21]))
def test_any_weight_of_any_type_comes_back_bit_by_bit(array: Array, storage: Any, opset: int) -> None:
    """NaN payloads, denormals and infinities among them, and negative zeros where a reader may tell them apart."""
    proto = _reader(array, opset)
    stored = _stored(proto, storage)
    expected = array
    if array.dtype == BFLOAT16:  # nothing that reads it tells negative zeros apart from zeros
        with np.errstate(invalid="ignore"):
            expected = np.where(array == 0, np.zeros((), array.dtype), array)
    back = {tensor.name: tensor for tensor in stored.model.graph.initializer}
    if "w" in back:
        assert back["w"] == proto.graph.initializer[0]
        return
    if storage != "sparse-initializer":  # onnx's evaluator does not read these
        assert _by_reference(stored.model).tobytes() == expected.tobytes()
    if array.dtype != BFLOAT16:  # ONNX Runtime hands it to nobody
        assert _by_runtime(stored.model, array).tobytes() == expected.tobytes()


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_weights_of_every_type_are_packed_and_folded(dtype: Any, opset: int, tmp_path: Path) -> None:
    weight = (pruned(np.random.default_rng(0), (60, 50), 300) * 100).astype(dtype)
    proto = _reader(weight, opset)
    stored = store(proto)
    [tensor] = stored.tensors
    assert (tensor.storage, tensor.dtype, tensor.rounded) == ("gaps", np.dtype(dtype).name, False)
    assert tensor.nonzeros == np.count_nonzero(weight)
    assert len(stored.serialized()) < 300 * weight.itemsize + 1000
    assert _optimized(stored.model, tmp_path) == _optimized(proto, tmp_path)
    onnx.checker.check_model(stored.model, full_check=True)


def test_a_type_that_nothing_rebuilds_rests_as_given_and_says_so() -> None:
    """bfloat16 has no ScatterElements below opset 13, and four bits have none at all."""
    proto = _reader(np.zeros((40, 40), BFLOAT16), 12)
    stored = _stored(proto)
    assert stored.serialized() == serialize(proto)
    assert any("w: as given" in note and "bfloat16" in note for note in stored.notes)
    four = helper.make_tensor("q", TensorProto.INT4, [20, 20], bytes(200), raw=True)
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), node("MatMul", ["x", "w"], ["y"])]
    proto = model(nodes, {"s": np.ones((), np.float32)}, {"x": ["n", 20]}, opset=21)
    proto.graph.initializer.append(four)
    stored = store(proto)
    assert stored.serialized() == serialize(proto)
    assert any("q: as given" in note and "int4" in note for note in stored.notes)


def test_weights_option_is_about_float32() -> None:
    weight = pruned(np.random.default_rng(0), (60, 50), 300)
    nodes = [node("Cast", ["h"], ["f"], to=TensorProto.FLOAT), node("MatMul", ["x", "f"], ["a"])]
    nodes += [node("MatMul", ["a", "w"], ["y"])]
    proto = model(nodes, {"h": weight.astype(np.float16), "w": weight.T.copy()}, {"x": ["n", 60]})
    stored = store(proto, weights="int8")
    at_rest = {tensor.name: (tensor.weights, tensor.rounded) for tensor in stored.tensors}
    assert at_rest == {"h": ("fp16", False), "w": ("int8", True)}
    assert any(note.startswith("h: as precise as given") for note in stored.notes)


@pytest.mark.parametrize(("dtype", "label"), [(np.float16, "fp16"), (BFLOAT16, "bf16")], ids=["fp16", "bf16"])
def test_numbers_that_a_narrower_type_holds_rest_in_it_exactly(dtype: Any, label: str, tmp_path: Path) -> None:
    """What was trained in half precision is often given as float32."""
    rng = np.random.default_rng(0)
    sparse, full = pruned(rng, (60, 50), 300), rng.normal(size=(50, 60)).astype(np.float32)
    weights = {"s": sparse.astype(dtype).astype(np.float32), "f": full.astype(dtype).astype(np.float32)}
    nodes = [node("MatMul", ["x", "s"], ["a"]), node("MatMul", ["a", "f"], ["y"])]
    proto = model(nodes, weights, {"x": ["n", 60]})
    stored = store(proto)
    found = [(tensor.storage, tensor.weights, tensor.lossless, tensor.rounded) for tensor in stored.tensors]
    assert found == [("gaps", label, True, False), ("dense", label, True, False)]
    assert len(stored.serialized()) < 2 * (300 + 3000) + 1000
    assert _optimized(stored.model, tmp_path) == _optimized(proto, tmp_path)
    back = _stored(proto).model
    assert _by_reference(back, "s").tobytes() == weights["s"].tobytes()
    assert _by_reference(back, "f").tobytes() == weights["f"].tobytes()
    assert store(proto, storage="dense").serialized() == serialize(proto)
    weights["s"][3, 4] = np.float32(1.0001)
    weights["f"][3, 4] = 1e-30 if dtype == np.float16 else 1e-39  # would be denormal, or nothing
    assert {tensor.weights for tensor in store(model(nodes, weights, {"x": ["n", 60]})).tensors} == {"fp32"}


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from([np.int32, np.int64]),
    limits=st.sampled_from([(-128, 127), (0, 255), (-30000, 30000), (0, 65535), (-(2**31), 2**31 - 1)]),
    rows=st.lists(st.integers(17, 90), min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
def test_integers_of_few_bytes_rest_in_them(dtype: Any, limits: tuple[int, int], rows: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"w{index}" for index in range(len(rows))]
    arrays = [rng.integers(*limits, size, dtype=np.int64, endpoint=True).astype(dtype) for size in rows]
    for array in arrays:
        array[:2] = limits
    nodes = [node("Cast", [name], [f"{name}_wide"], to=TensorProto.FLOAT) for name in names]
    nodes += [node("ReduceSum", [f"{name}_wide"], [f"{name}_sum"]) for name in names]
    nodes.append(node("Sum", ["x", *(f"{name}_sum" for name in names)], ["y"]))
    proto = model(nodes, dict(zip(names, arrays, strict=True)), {"x": [1]}, opset=18)
    stored = _stored(proto, "auto")
    constants = rebuilt(stored.serialized())
    for name, array in zip(names, arrays, strict=True):
        assert constants[name].dtype == array.dtype
        assert constants[name].tobytes() == array.tobytes()
    assert len(stored.serialized()) <= len(serialize(proto))
    narrow = 1 if limits in ((-128, 127), (0, 255)) else 2 if limits[1] < 2**16 else 4
    saved = sum(rows) * (np.dtype(dtype).itemsize - narrow)
    # Cast, Split, its sizes, their outputs and the constant's own entry
    assert len(serialize(proto)) - len(stored.serialized()) >= saved - 100 - 10 * len(rows)
    if saved > 100 + 60 * len(rows):
        assert {(t.storage, t.weights == t.dtype, t.lossless) for t in stored.tensors} == {("dense", False, True)}


def test_biases_of_quantised_layers_rest_in_two_bytes_and_kernels_stay(tmp_path: Path) -> None:
    proto = qdq_network(np.int8, True)
    stored = store(proto)
    biases = [tensor for tensor in stored.tensors if tensor.name in ("c1.b", "c2.b")]
    assert [(tensor.storage, tensor.weights, tensor.lossless) for tensor in biases] == [("dense", "int16", True)] * 2
    assert _optimized(stored.model, tmp_path) == _optimized(proto, tmp_path)


def test_negative_zeros_are_zeros_where_weights_are_multiplied_and_kept_elsewhere() -> None:
    weight = pruned(np.random.default_rng(0), (60, 50), 300)
    weight[weight == 0] = -0.0
    [tensor] = store(product(weight)).tensors
    assert (tensor.storage, tensor.nonzeros) == ("gaps", 300)
    nodes = [node("Reciprocal", ["w"], ["r"]), node("MatMul", ["x", "r"], ["y"])]
    proto = model(nodes, {"w": weight}, {"x": ["n", 60]})
    assert _by_runtime(_stored(proto).model, weight).tobytes() == weight.tobytes()


def test_negative_zeros_of_an_output_stay_and_are_told() -> None:
    """A caller may look at the sign of a zero of an output: it stays, and what it costs is said with the way out."""
    weight = pruned(np.random.default_rng(0), (60, 50), 300)
    weight[weight == 0] = -0.0
    shown = product(weight)
    shown.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, weight.shape))
    stored = store(shown)
    assert _by_reference(stored.model).tobytes() == weight.tobytes()
    assert [note for note in stored.notes if "2,700 negative zeros" in note and note.startswith("w: ")]
    assert not any("negative zeros" in note for note in store(product(weight)).notes)
    few = product(np.where(np.arange(50) == 7, weight, np.abs(weight)))
    few.graph.output.append(shown.graph.output[-1])
    assert not any("negative zeros" in note for note in store(few).notes), "a few of them are not worth a sentence"


@pytest.mark.parametrize(
    ("op", "place", "domain"),
    [("Div", 0, ""), ("PRelu", 1, ""), ("GatherElements", 0, ""), ("GatherND", 0, ""), ("RMSNormalization", 1, ""),
     ("BiasGelu", 1, "com.microsoft"), ("MatMulNBits", 2, "com.microsoft"),
     ("MultiHeadAttention", 3, "com.microsoft"), ("Div", 0, "com.example")],
)  # fmt: skip
def test_readers_that_multiply_add_or_look_up_take_either_zero(op: str, place: int, domain: str) -> None:
    names = [f"i{index}" for index in range(place)] + ["w"]
    graph = helper.make_graph([helper.make_node(op, names, ["y"], domain=domain)], "one", [], [])
    assert ("w" in signed_zeros(graph)) == (domain == "com.example")


@pytest.mark.parametrize("value", [1.0, -np.inf, 0.25])
def test_a_constant_made_of_one_value_rests_as_that_value(value: float) -> None:
    mask = np.full((200, 100), value, np.float32)
    nodes = [node("Add", ["x", "mask"], ["y"])]
    proto = model(nodes, {"mask": mask}, {"x": [200, 100]})
    stored = store(proto)
    assert len(stored.serialized()) < 250
    mask[5, 7] = 3
    proto = model(nodes, {"mask": mask}, {"x": [200, 100]})
    stored = _stored(proto)
    assert len(stored.serialized()) < 600
    x = {"x": np.ones((200, 100), np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(m)), x)["y"] for m in (proto, stored.model))
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8, np.uint8, np.int32, np.bool_])
def test_equal_tensors_rest_once_under_both_names(dtype: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, dense = pruned(rng, (50, 50), 200), 3 + rng.normal(size=(50, 50)).astype(np.float32)
    arrays = {"a": weight, "b": weight, "c": dense, "d": dense}
    weights = {name: (10 * array).astype(dtype) for name, array in arrays.items()}
    nodes = [node("Cast", [name], [f"{name}.f"], to=TensorProto.FLOAT) for name in weights]
    nodes += [node("Sum", ["x", *(f"{name}.f" for name in weights)], ["y"])]
    proto = model(nodes, weights, {"x": [50, 50]})
    stored = store(proto)
    first = "gaps" if dtype == np.bool_ else "dense"  # of booleans all but a few are the same
    assert {tensor.name: tensor.storage for tensor in stored.tensors} == {
        "a": "gaps", "b": "computed", "c": first, "d": "computed",
    }  # fmt: skip
    assert _by_reference(stored.model, "d").tobytes() == weights["d"].tobytes()
    assert _optimized(stored.model, tmp_path) == _optimized(proto, tmp_path)
    x = {"x": rng.normal(size=(50, 50)).astype(np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(m)), x)["y"] for m in (proto, stored.model))
    assert before.tobytes() == after.tobytes()


def test_layers_with_equal_weights_pass_the_check_of_stored_weights() -> None:
    weight = pruned(np.random.default_rng(0), (50, 50), 200)
    nodes = [node("MatMul", ["x", "a"], ["h"]), node("MatMul", ["h", "b"], ["y"])]
    proto = model(nodes, {"a": weight, "b": weight}, {"x": ["n", 50]})
    stored = store(proto)
    assert [tensor.storage for tensor in stored.tensors] == ["gaps", "computed"]
    layers = [LayerInfo(name, "MatMul", (50, 50), (50, 50), 200, 200) for name in "ab"]
    assert check_stored_weights(stored.serialized(), layers) == ()


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8], ids=["int8", "uint8"])
@pytest.mark.parametrize("network", [qdq_network, qoperator_network])
def test_quantised_weights_are_packed_around_their_zero_points_and_kernels_stay(
    network: Any, dtype: Any, per_channel: bool, tmp_path: Path
) -> None:
    """A zero of these weights is their zero point, which is no 0 here."""
    proto = network(dtype, per_channel)
    stored = store(proto)
    by_name = {tensor.name: tensor for tensor in stored.tensors}
    for name in ("c1.q", "c2.q", "fc.q"):
        assert by_name[name].storage == "gaps"
        assert by_name[name].nonzeros < 0.12 * np.prod(by_name[name].shape)
    saved = len(serialize(proto)) - len(stored.serialized())
    assert saved > 0.6 * sum(int(np.prod(by_name[name].shape)) for name in ("c1.q", "c2.q", "fc.q"))
    before, after = _optimized(proto, tmp_path), _optimized(stored.model, tmp_path)
    assert before == after
    assert any("QLinearConv" in operator for operator in after)  # integer kernels, not floats behind DequantizeLinear
    x = {"x": np.random.default_rng(1).normal(size=(2, 3, 12, 12)).astype(np.float32)}
    dense, packed = (runtime.run(runtime.cpu_session(serialize(m)), x)["y"] for m in (proto, stored.model))
    assert dense.tobytes() == packed.tobytes()
    onnx.checker.check_model(stored.model)


def test_scales_of_biases_are_computed_from_their_factors_where_these_give_the_same_bits() -> None:
    proto = qdq_network(np.int8, True)
    found = {tensor.name: (tensor.storage, tensor.note) for tensor in store(proto).tensors}
    assert found["c2.b.scale"] == ("computed", "c2.scale times c1.y.scale")
    [scale] = [tensor for tensor in proto.graph.initializer if tensor.name == "c2.b.scale"]
    array = numpy_helper.to_array(scale).copy()
    array[3] = np.nextafter(array[3], np.float32(1))
    scale.CopyFrom(numpy_helper.from_array(array, "c2.b.scale"))
    found = {tensor.name: (tensor.storage, tensor.note) for tensor in store(proto).tensors}
    assert found["c2.b.scale"][0] == "dense"


def test_where_the_runtime_would_fuse_otherwise_quantised_weights_rest_dense_and_say_so() -> None:
    proto = qdq_network(np.int8, False)
    asked: list[bool] = []

    def alike(_: onnx.ModelProto, __: onnx.ModelProto) -> bool:
        asked.append(len(asked) > 0)
        return asked[-1]

    stored = store(proto, alike=alike)
    dense = {tensor.name for tensor in stored.tensors if "fuse other operators" in tensor.note}
    assert {"c1.q", "c2.q", "fc.q"} <= dense
    assert any("dense, because ONNX Runtime would fuse other operators" in note for note in stored.notes)


def test_operators_that_are_fused_otherwise_are_seen() -> None:
    proto = qdq_network(np.int8, False)
    assert runtime_folds.same_operators(proto, store(proto).model)
    floats = product(pruned(np.random.default_rng(0), (50, 50), 200))
    assert not runtime_folds.same_operators(proto, floats)


def test_a_copy_of_a_weight_rests_once_where_the_runtime_then_computes_less() -> None:
    """Two products of one input by equal weights become one product: nothing that was fused is lost by that."""
    weight = pruned(np.random.default_rng(0), (50, 50), 400)
    nodes = [node("MatMul", ["x", "a"], ["h"]), node("Relu", ["h"], ["y"]), node("MatMul", ["x", "b"], ["z"])]
    proto = model(nodes, {"a": weight, "b": weight.copy()}, {"x": ["n", 50]}, ["y", "z"])
    stored = store(proto)
    assert {tensor.name: tensor.storage for tensor in stored.tensors} == {"a": "gaps", "b": "computed"}
    assert not runtime_folds.same_operators(proto, stored.model)
    assert runtime_folds.as_well_fused(proto, stored.model)
    assert not runtime_folds.as_well_fused(stored.model, proto)
    x = {"x": np.random.default_rng(1).normal(size=(3, 50)).astype(np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(m)), x) for m in (proto, stored.model))
    assert [before[name].tobytes() for name in "yz"] == [after[name].tobytes() for name in "yz"]


def test_integer_kernels_that_are_lost_are_seen_although_others_run_less_often() -> None:
    proto = qdq_network(np.int8, False)
    lost = onnx.ModelProto()
    lost.CopyFrom(proto)
    for entry in lost.graph.node:  # an activation that is rounded differently is no longer fused around
        if entry.op_type == "QuantizeLinear" and entry.input[0] == "c1.y.f":
            entry.op_type, entry.output[0] = "Identity", "c1.y.d"
            del entry.input[1:]
    kept = [entry for entry in lost.graph.node if entry.input[0] != "c1.y.u"]
    del lost.graph.node[:]
    lost.graph.node.extend(kept)
    assert not runtime_folds.as_well_fused(proto, lost)
