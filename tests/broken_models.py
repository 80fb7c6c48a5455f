"""ONNX models that fail, hang or are heavy, made of standard operators; all take x [1, 4] and give y."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])


def saved(path: Path, nodes: list[onnx.NodeProto], initializers: dict[str, np.ndarray], shape: list[int]) -> Path:
    tensors = [numpy_helper.from_array(array, name) for name, array in initializers.items()]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [X], [y], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def good(path: Path, width: int = 4) -> Path:
    """y = x w."""
    weight = np.random.default_rng(0).standard_normal((4, width)).astype(np.float32)
    return saved(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, [1, width])


def fails_later(path: Path, share: float = 0.2) -> Path:
    """Fails at random, in a `share` of its runs: an index drawn within [0, 1/(1-share)) of a table of one row."""
    nodes = [
        helper.make_node("RandomUniform", [], ["u"], shape=[1], high=1 / (1 - share), low=0.0, seed=7.0),
        helper.make_node("Cast", ["u"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["row"], axis=0),
        helper.make_node("Add", ["x", "row"], ["y"]),
    ]
    return saved(path, nodes, {"table": np.zeros((1, 4), np.float32)}, [1, 4])


def hangs(path: Path, trips: int = 2**62) -> Path:
    """A loop that does not come to an end."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Sin", ["a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4]),
        ],
    )
    nodes = [helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)]
    return saved(path, nodes, {"trips": np.array(trips, np.int64), "yes": np.array(True)}, [1, 4])
