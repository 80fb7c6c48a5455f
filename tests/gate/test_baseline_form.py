"""A baseline that the runtime could not fuse is named: beside it every candidate would look fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgeticket.cli import main
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify


def traced(path: Path) -> Path:
    """x [n, 2, 4, 4] -> Conv with a computed bias -> BatchNormalization, as PyTorch's unoptimised trace has it."""
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(3, 2, 3, 3)), "z": np.zeros(()), "g": np.ones(3), "b": np.zeros(3), "v": np.ones(3)}
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    initializers.append(numpy_helper.from_array(np.array([3]), "size"))
    nodes = [
        helper.make_node("CastLike", ["z", "x"], ["zero"]),
        helper.make_node("Expand", ["zero", "size"], ["bias"]),
        helper.make_node("Conv", ["x", "w", "bias"], ["maps"]),
        helper.make_node("BatchNormalization", ["maps", "g", "b", "b", "v"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(*port) for port in (
        ("x", TensorProto.FLOAT, ["n", 2, 4, 4]), ("y", TensorProto.FLOAT, ["n", 3, 2, 2]))]  # fmt: skip
    graph = helper.make_graph(nodes, "traced", ports[:1], ports[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_traced_baseline_is_named_and_its_best_form_is_not(tmp_path: Path, play: Callable[..., None]) -> None:
    play()
    slow, best = traced(tmp_path / "traced.onnx"), tmp_path / "best.onnx"
    best.write_bytes(serialize(simplify(onnx.load(slow)).model))
    said = {}
    for baseline in (slow, best):
        done = CliRunner().invoke(main, ["check", str(best), "--baseline", str(baseline)], catch_exceptions=False)
        assert done.exit_code == 0, done.stdout
        said[baseline] = " ".join(done.stdout.split())
    assert "The baseline is not its network's best form: ONNX Runtime left" in said[slow]
    assert "BatchNormalization 'y' after Conv" in said[slow]
    assert "best form" not in said[best]
