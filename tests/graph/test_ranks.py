"""ranks.py: what is ranked comes back bit by bit, and takes about the bytes of its entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto
from proofs import rebuilt
from storage_models import product, pruned
from unpacked import from_packed, ranks_of, values_of

from edgeticket import runtime
from edgeticket.graph.storing import gaps, ranks, runtime_folds
from edgeticket.graph.storing.storage import store
from edgeticket.graph.storing.writer import Writer

Array = NDArray[Any]

BFLOAT16 = onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
FIXED_BYTES = 1700  # nodes, names, shapes and the table
_SPREAD = 1 / 2  # bits by which unary ranks may exceed the entropy of exponents


@st.composite
def _numbers(draw: st.DrawFn) -> Array:
    """Numbers of each type that may be ranked, of any spread; zeros of both signs among the floats."""
    dtype = draw(st.sampled_from([np.float32, BFLOAT16, np.float16, np.int8, np.uint8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 400))
    if np.dtype(dtype).kind in "iu":
        spread = draw(st.integers(1, 127))
        return np.clip(np.rint(rng.normal(0, spread, size)), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
    least, most = (14, 15) if dtype == np.float16 else (103, 127)
    powers = np.ldexp(1.0, rng.integers(-draw(st.integers(0, least)), draw(st.integers(1, most)), size))
    numbers = (rng.choice([-1, 1], size) * rng.choice([rng.uniform(1, 1.99, size), np.ones(size)]) * powers).astype(
        dtype
    )
    numbers[rng.uniform(size=size) < draw(st.sampled_from([0, 0.3]))] = draw(st.sampled_from([0.0, -0.0]))
    return numbers


@given(_numbers())
def test_ranked_numbers_come_back(values: Array) -> None:
    found = ranks.ranked(values)
    assert found is not None
    assert int(found.ranks.min()) >= 1
    assert len(found.table) <= 257
    assert values_of(found, values.dtype).tobytes() == values.tobytes()


@settings(deadline=None, max_examples=60)
@given(_numbers(), st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_onnx_runtime_makes_them_of_one_stream(values: Array, seed: int, density: float) -> None:
    found = ranks.ranked(values)
    assert found is not None
    size = math.ceil(len(values) / density)
    positions = np.sort(np.random.default_rng(seed).permutation(size)[: len(values)])
    vector = np.zeros(size, values.dtype)
    vector[positions] = values
    packed = gaps.with_ranks(gaps.to_packed(vector, positions=positions), positions, found.ranks)
    assert ranks_of(packed).tolist() == found.ranks.tolist()
    assert from_packed(packed).tobytes() == vector.tobytes()
    writer = Writer(set(), 18)
    made = found.write(writer, writer.constant(found.ranks))
    kind = TensorProto.FLOAT if values.dtype.kind not in "iu" else onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
    output = onnx.helper.make_tensor_value_info(made, kind, ["n"])
    graph = onnx.helper.make_graph(writer.nodes, "g", [], [output], writer.initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    rebuilt_values = runtime.run(runtime.cpu_session(model.SerializeToString()), {})[made]
    assert rebuilt_values.astype(values.dtype).tobytes() == values.tobytes()


@settings(max_examples=60)
@given(_numbers(), st.integers(1, 40))
def test_the_stream_with_ranks_takes_the_fewest_bits_of_its_forms(values: Array, gap: int) -> None:
    found = ranks.ranked(values)
    assert found is not None
    positions = np.arange(len(values)) * gap
    packed = gaps.with_ranks(
        gaps.to_packed(np.ones(len(values) * gap, values.dtype), 0, positions), positions, found.ranks
    )
    spent = []
    for k in range(gaps.MOST_LOW_BITS + 1):
        own = [math.ceil(number / 2**k) + k for number in np.diff(positions, prepend=0)]
        same = [math.ceil(number / 2**k) + k for number in found.ranks]
        spent += [sum(own) + sum(found.ranks), sum(own) + sum(same)]
    assert len(packed.stream) == math.ceil((min(spent) + 1) / 8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e-40, 2.0**-104])
def test_numbers_without_a_power_in_the_table_are_left_alone(value: float) -> None:
    assert ranks.ranked(np.array([1, value], np.float32)) is None


def _entropy_bits(numbers: Array) -> float:
    _, counts = np.unique(numbers, return_counts=True)
    shares = counts / counts.sum()
    return float(-np.sum(shares * np.log2(shares)))


def _positions_bits(size: int, n: int) -> float:
    return (math.lgamma(size + 1) - math.lgamma(n + 1) - math.lgamma(size - n + 1)) / math.log(2) + 0.2 * n


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_pruned_float32_weights_take_their_mantissas_and_the_entropy_of_the_rest(opset: int) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(300, 400)).astype(np.float32)
    weight[np.abs(weight) < np.quantile(np.abs(weight), 0.9)] = 0
    n = int(np.count_nonzero(weight))
    stored = store(product(weight, opset=opset))
    [tensor] = stored.tensors
    assert tensor.note == "packed positions (Golomb-Rice), values by rank"
    exponents = _entropy_bits(np.frexp(weight[weight != 0])[1])
    bits = n * (24 + exponents + _SPREAD) + _positions_bits(weight.size, n)
    assert len(stored.serialized()) < bits / 8 + FIXED_BYTES
    assert len(stored.serialized()) < 0.87 * (4 * n + _positions_bits(weight.size, n) / 8)
    assert rebuilt(stored.serialized())["w"].tobytes() == weight.tobytes()
    assert runtime_folds.unfolded(stored.model, ["w"]) == frozenset()


def test_codes_of_quantised_weights_take_their_entropy() -> None:
    rng = np.random.default_rng(0)
    weight = np.clip(np.rint(rng.normal(0, 12, (400, 500))), -127, 127)
    weight[np.abs(weight) < 15] = 0
    weight = weight.astype(np.int8)
    n = int(np.count_nonzero(weight))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", 400])],
        [onnx.helper.make_tensor_value_info("y", TensorProto.INT32, ["n", 500])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    stored = store(model)
    [tensor] = stored.tensors
    assert tensor.note.endswith("values by rank")
    # Ranks by frequency are nearly geometric; Rice codes are within a bit of the entropy of such numbers.
    bits = n * (_entropy_bits(weight[weight != 0]) + 1) + _positions_bits(weight.size, n)
    assert len(stored.serialized()) < bits / 8 + FIXED_BYTES
    assert len(stored.serialized()) < n + _positions_bits(weight.size, n) / 8
    assert rebuilt(stored.serialized())["w"].tobytes() == weight.tobytes()
    x = rng.integers(0, 255, (3, 400)).astype(np.uint8)
    assert np.array_equal(
        runtime.run(runtime.cpu_session(stored.serialized()), {"x": x})["y"], x.astype(np.int32) @ weight
    )


def test_few_values_do_not_pay_for_the_nodes_of_ranks() -> None:
    stored = store(product(pruned(np.random.default_rng(0), (60, 50), 300)))
    [tensor] = stored.tensors
    assert "by rank" not in tensor.note
    dense = store(product(pruned(np.random.default_rng(0), (60, 50), 300)), storage="dense")
    assert len(stored.serialized()) < len(dense.serialized())
