"""Tensors bear the names that the network gave them, whatever an exporter called them on the way."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeticket.graph.reading.naming import parameter_names
from edgeticket.graph.simplify import simplify

RNG = np.random.default_rng(0)


def model(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], shape: tuple[int, ...]) -> onnx.ModelProto:
    """A model from `input` of `shape` to `output`, with random weights."""
    initializers = [
        numpy_helper.from_array(RNG.uniform(0.5, 1.5, dims).astype(np.float32), name) for name, dims in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], **attributes)


def names(given: onnx.ModelProto) -> dict[str, str]:
    return parameter_names(given, simplify(given).model)


def test_a_transposed_weight_is_named_as_the_parameter() -> None:
    given = model(
        [
            node("Transpose", ["tok.weight"], "val_31", perm=[1, 0]),
            node("MatMul", ["input", "val_31"], "output"),
        ],
        {"tok.weight": (16, 8)},
        (1, 4, 8),
    )
    assert names(given) == {"val_31": "tok.weight"}


def test_a_bias_made_for_a_layer_is_named_after_its_weight() -> None:
    given = model(
        [
            node("Expand", ["zero", "channels"], "val_40"),
            node("Conv", ["input", "conv1.weight", "val_40"], "conv"),
            node("BatchNormalization", ["conv", "bn.weight", "bn.bias", "bn.mean", "bn.var"], "output"),
        ],
        {
            "zero": (),
            "conv1.weight": (4, 2, 3, 3),
            **{f"bn.{name}": (4,) for name in ("weight", "bias", "mean", "var")},
        },
        (1, 2, 8, 8),
    )
    given.graph.initializer.append(numpy_helper.from_array(np.array([4], np.int64), "channels"))
    simplified = simplify(given)
    assert "val_40" in {tensor.name for tensor in simplified.model.graph.initializer}
    assert parameter_names(given, simplified.model) == {"val_40": "conv1.bias"}


def test_names_of_the_network_itself_are_left_alone() -> None:
    given = model([node("Gemm", ["input", "W", "odd"], "output")], {"W": (8, 3), "odd": (3,)}, (2, 8))
    assert names(given) == {}


def test_two_tensors_never_bear_one_name() -> None:
    given = model([node("Transpose", ["w"], "val_1"), node("Transpose", ["w"], "val_2")], {"w": (4, 4)}, (2, 4))
    exported = model(
        [node("MatMul", ["input", "val_1"], "x"), node("MatMul", ["x", "val_2"], "output")],
        {"val_1": (4, 4), "val_2": (4, 4)},
        (2, 4),
    )
    assert parameter_names(given, exported) == {}


def test_a_bias_that_layers_share_keeps_its_name() -> None:
    given = model([], {"a.weight": (4, 4), "b.weight": (4, 4)}, (2, 4))
    exported = model(
        [node("Gemm", ["input", "a.weight", "val_6"], "x"), node("Gemm", ["x", "b.weight", "val_6"], "output")],
        {"a.weight": (4, 4), "b.weight": (4, 4), "val_6": (4,)},
        (2, 4),
    )
    assert parameter_names(given, exported) == {}
