"""Sparse float weights of few different numbers rest as one byte each and a table, and come back bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from proofs import rebuilt
from storage_models import model, node, pruned

from edgeticket import runtime
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing import runtime_folds
from edgeticket.graph.storing.codebook import coded, write_values
from edgeticket.graph.storing.storage import store
from edgeticket.graph.storing.writer import Writer

Array = NDArray[Any]


def _rounded(rng: np.random.Generator, shape: tuple[int, ...], nonzeros: int, step: float) -> Array:
    """Weights of at most 200 different numbers, as 8-bit weights are that were dequantised."""
    weight = pruned(rng, shape, nonzeros)
    return (np.clip(np.rint(weight / np.float32(step)), -100, 100) * np.float32(step)).astype(np.float32)


def _network(first: Array, second: Array, opset: int = 18) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "a"], ["h"]), node("Relu", ["h"], ["r"]), node("MatMul", ["r", "b"], ["y"])]
    return model(nodes, {"a": first, "b": second}, {"x": ["n", first.shape[0]]}, opset=opset)


def _outputs(proto: onnx.ModelProto) -> Array:
    x = np.random.default_rng(3).normal(size=(4, 200)).astype(np.float32)
    found = runtime.run(runtime.cpu_session(serialize(proto)), {"x": x})
    return next(iter(found.values()))


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("others", ["rounded too", "any numbers"])
def test_a_dequantised_network_takes_a_byte_a_weight_and_gives_the_same_bits(opset: int, others: str) -> None:
    rng = np.random.default_rng(0)
    first = _rounded(rng, (200, 300), 9000, 0.004)
    second = _rounded(rng, (300, 100), 4000, 0.003) if others == "rounded too" else pruned(rng, (300, 100), 4000)
    proto = _network(first, second, opset)
    stored = store(proto)
    data = stored.serialized()
    nonzeros = int(np.count_nonzero(first)), int(np.count_nonzero(second))
    positions = (first.size + second.size) // 8 * 6 // 8 + 500  # a tenth of the positions: 4.7 bits for each
    values = nonzeros[0] + (nonzeros[1] if others == "rounded too" else 4 * nonzeros[1])
    assert len(data) < values + positions + 2 * 1024 + 1200
    constants = rebuilt(data)
    assert constants["a"].tobytes() == first.tobytes()
    assert constants["b"].tobytes() == second.tobytes()
    assert runtime_folds.unfolded(stored.model, ["a", "b"]) == frozenset()
    assert _outputs(stored.model).tobytes() == _outputs(proto).tobytes()
    assert store(proto).serialized() == data


def test_numbers_that_are_all_different_have_no_table() -> None:
    rng = np.random.default_rng(0)
    weights = pruned(rng, (200, 300), 6000), pruned(rng, (300, 100), 3000)
    stored = store(_network(*weights))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in stored.model.graph.initializer}
    tables = [constants[each.input[0]] for each in stored.model.graph.node if each.op_type == "Gather"]
    for table in tables:  # powers of two, where values rest by their exponents
        assert len(table) < 64
        assert np.all(np.frexp(table)[0] == 0.5)
    assert len(stored.model.SerializeToString()) > 3 * 9000  # sign and mantissa of each number


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 400)), min_size=1, max_size=5),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
)
def test_every_bit_comes_back(pieces: list[tuple[int, int]], dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)
    parts = [rng.choice(np.r_[special, rng.normal(size=different).astype(dtype)], size) for size, different in pieces]
    values = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    writer = Writer(set(), 18)
    name = write_values(writer, values, ends)
    assert writer.size_bytes() <= values.nbytes + 40
    assert _made(writer, name, dtype).tobytes() == values.tobytes()
    by_rank = coded(values, ends)
    if by_rank is None:
        return
    assert int(by_rank.ranks.min()) >= 1
    writer = Writer(set(), 18)
    name = by_rank.write(writer, writer.constant(by_rank.ranks, "ranks"))
    assert _made(writer, name, dtype).tobytes() == values.tobytes()


def _made(writer: Writer, name: str, dtype: Any) -> Array:
    """What ONNX Runtime makes of what was written."""
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in writer.initializers}
    if name in known:
        return known[name]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = onnx.helper.make_graph(
        writer.nodes, "g", [], [onnx.helper.make_tensor_value_info(name, kind, ["n"])], writer.initializers
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    return next(iter(runtime.run(runtime.cpu_session(serialize(model)), {}).values()))


@pytest.mark.parametrize("opset", [11, 18])
def test_frequent_numbers_take_fewer_bytes_than_one_each(opset: int) -> None:
    rng = np.random.default_rng(0)
    weights = []
    for shape, step in (((200, 400), 0.05), ((400, 300), 0.03)):
        weight = rng.normal(0, 0.3, shape)
        weight[np.abs(weight) < np.quantile(np.abs(weight), 0.8)] = 0
        weights.append((np.rint(weight / step) * step).astype(np.float32))
    stored = store(_network(*weights, opset=opset))
    data = stored.serialized()
    numbers = sum(np.count_nonzero(weight) for weight in weights)
    positions = sum(weight.size for weight in weights) / 8 * 0.75  # a fifth of them: 0.73 bits a weight
    assert len(data) < 0.75 * numbers + positions + 2000
    assert all(tensor.note.endswith("values by rank") for tensor in stored.tensors)
    constants = rebuilt(data)
    for name, weight in zip("ab", weights, strict=True):
        assert constants[name].tobytes() == np.where(weight == 0, 0, weight).astype(np.float32).tobytes()
    assert runtime_folds.unfolded(stored.model, ["a", "b"]) == frozenset()
