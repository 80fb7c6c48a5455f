"""What becomes a golden input, and what does not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sample_artifacts
from numpy.typing import NDArray

from edgeticket.artifact import golden, numbers
from edgeticket.artifact.manifest import Port
from edgeticket.ticket import store

Array = NDArray[Any]


def test_denormals_are_no_golden_inputs() -> None:
    tiny = np.float32(1e-40)
    feeds = [
        {"x": np.array([1, tiny, -tiny], np.float32)},
        {"x": np.full(3, tiny)},
        {"x": np.zeros(3, np.float32)},
        {"x": np.arange(3)},
    ]
    kept = [feed["x"].tolist() for feed in golden.inputs_from_feeds(feeds)]
    assert kept == [[1, 0, 0], [0, 0, 0], [0, 1, 2]]
    assert feeds[0]["x"][1] == tiny


@pytest.mark.parametrize(("dtype", "denormal"), [(np.float16, 1e-6), (np.float32, 1e-39), (np.float64, 1e-310)])
def test_what_counts_as_denormal_follows_the_type(dtype: type, denormal: float) -> None:
    normal = np.finfo(dtype).smallest_normal
    array = np.array([denormal, normal, -normal, 0, np.inf], dtype)
    found = numbers.flushed(array)
    assert found.dtype == array.dtype
    assert found.tolist() == [0, normal, -normal, 0, np.inf]


def test_golden_inputs_of_a_ticket_are_spread_and_flushed(tmp_path: Path) -> None:
    ticket = store.read_ticket(sample_artifacts.ticket(tmp_path / "t"))
    ticket.test.inputs[:, 0] = 1e-40
    [feed] = golden.inputs_from_ticket(ticket, "x", 64)
    assert feed["x"].shape == (16, 64)
    assert not feed["x"][:, 0].any()
    assert np.array_equal(feed["x"][-1, 1:], ticket.test.inputs[-1, 1:])


def test_what_does_not_fit_is_left_out() -> None:
    feeds = [{"x": np.ones(count, np.float32)} for count in (300, 100, 200, 50)]
    assert [len(feed["x"]) for feed in golden.inputs_from_feeds(feeds, 4 * 450)] == [300, 100, 50]


def _record(model: onnx.ModelProto, *inputs: Array) -> golden.Golden:
    data = model.SerializeToString()
    [port] = model.graph.input
    return golden.record_outputs(
        golden.LoadedModel.load(data),
        golden.LoadedModel.load(data, optimize=False),
        lambda _, output, error: 0.0 if output.dtype.kind != "f" else 1e-6 + 8 * min(error, 1e-3),
        [Port(port.name, "float32", (None, None))],
        [{port.name: array} for array in inputs],
    )


def _model(kind: int, *nodes: onnx.NodeProto) -> onnx.ModelProto:
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])],
        [onnx.helper.make_tensor_value_info(nodes[-1].output[0], kind, None)],
        [onnx.numpy_helper.from_array(np.ones((64, 2), np.float32), "ones")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def test_a_choice_that_hangs_by_rounding_is_not_recorded() -> None:
    """Which of two equal numbers is larger, a unit in the last place decides."""
    model = _model(onnx.TensorProto.INT64, onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=0, keepdims=0))
    clear = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    hanging = np.ones((3, 64), np.float32)
    found = _record(model, hanging, clear)
    arrays = np.load(io.BytesIO(found.data))
    assert [name for name in arrays if "input" in name] == ["0.input.0"]
    assert np.array_equal(arrays["0.input.0"], clear)
    assert len(found.about.atol) == 1
    assert len(_record(model, hanging).about.atol) == 1, "one is always left"


def test_a_tolerance_is_no_less_than_what_another_order_of_rounding_does() -> None:
    large = np.random.default_rng(2).normal(size=(4, 64)).astype(np.float32) * 100
    found = _record(_model(onnx.TensorProto.FLOAT, onnx.helper.make_node("MatMul", ["x", "ones"], ["y"])), large)
    ((atol,),) = found.about.atol
    assert 1e-6 + 8e-6 < atol < 1e-6 + 8e-3
