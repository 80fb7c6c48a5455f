"""runtime.py: quiet, single-threaded unless asked, denormals as zero, and errors that are ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.errors import InputError, ModelError


def _model(scale: float = 2.0) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "s"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array(scale, np.float32), "s")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(proto.SerializeToString())


def test_from_bytes_and_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_model())
    x = np.array([[1, 2]], np.float32)
    for source in (_model(), path):
        assert runtime.run(runtime.cpu_session(source), {"x": x})["y"].tolist() == [[2, 4]]


def test_denormals_are_zero() -> None:
    tiny = np.full((1, 2), 1e-39, np.float32)
    assert runtime.run(runtime.cpu_session(_model(1e5)), {"x": tiny})["y"].tolist() == [[0, 0]]


def test_numpy_keeps_its_denormals() -> None:
    runtime.run(runtime.cpu_session(_model()), {"x": np.ones((1, 2), np.float32)})
    tiny = np.full(100, 1e-39).astype(np.float32)
    assert np.count_nonzero(tiny) == 100
    assert np.all(tiny * np.float32(0.5) != 0)


def test_options_reach_the_runtime() -> None:
    options = runtime.cpu_session(_model(), threads=3, spinning=False).get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"
    assert runtime.cpu_session(_model()).get_providers() == ["CPUExecutionProvider"]


def test_the_optimised_graph_is_written(tmp_path: Path) -> None:
    runtime.cpu_session(_model(), optimized_path=tmp_path / "o.onnx")
    assert [entry.op_type for entry in onnx.load_model(tmp_path / "o.onnx").graph.node] == ["Mul"]


@pytest.mark.parametrize("damaged", [b"", b"no model", _model()[:-20]])
def test_a_damaged_model_is_a_model_error(damaged: bytes) -> None:
    with pytest.raises(ModelError, match=r"ONNX Runtime .* cannot load it"):
        runtime.cpu_session(damaged)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing.onnx"):
        runtime.cpu_session(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(
    "feed",
    [
        {},
        {"z": np.ones((1, 2), np.float32)},
        {"x": np.ones((1, 3), np.float32)},
        {"x": np.ones((1, 2), np.float64)},
    ],
)
def test_wrong_inputs_are_an_input_error(feed: dict[str, runtime.Array]) -> None:
    with pytest.raises(InputError, match=r"ONNX Runtime .* failed on the inputs"):
        runtime.run(runtime.cpu_session(_model()), feed)


def test_telemetry_is_off_before_the_runtime_is_imported() -> None:
    code = (
        "import sys, os; import edgeticket; assert 'onnxruntime' not in sys.modules; "
        "import edgeticket.runtime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert (done.stdout.strip(), done.stderr) == ("1", "")
