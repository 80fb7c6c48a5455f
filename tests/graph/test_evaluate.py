"""One operator on numbers: in the precision of the numbers, since what is constant is rounded once, at the end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nets import Net, shapes, zero_rows
from onnx import helper, numpy_helper

from edgeticket.graph.evaluate import evaluate
from edgeticket.graph.simplify import simplify

POINTS = np.array([[-2.5, -0.3, 0.0], [0.7123456789012345, 1.1, 3.7]])
# Each with what it is in float64; Celu, Elu, HardSigmoid and the like are sums and products, which cannot go wrong.
EXACT = {
    "Erf": np.vectorize(math.erf),
    "Exp": np.exp,
    "Gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Tanh": np.tanh,
}


@pytest.mark.parametrize("kind", EXACT)
def test_doubles_are_computed_in_double(kind: str) -> None:
    found = evaluate(helper.make_node(kind, ["x"], ["y"]), [POINTS], 20)
    assert found is not None
    np.testing.assert_allclose(found[0], EXACT[kind](POINTS), rtol=4 * np.finfo(np.float64).eps, atol=1e-16)


def test_the_type_of_the_numbers_stays() -> None:
    found = evaluate(helper.make_node("Erf", ["x"], ["y"]), [POINTS.astype(np.float32)], 20)
    assert found is not None
    assert found[0].dtype == np.float32


def test_a_constant_channel_passes_a_gelu_that_is_written_out() -> None:
    """As exporters wrote it before opset 20: x / 2 (1 + erf(x / sqrt 2)). The constant goes into the next bias."""
    net = Net(("n", 8), np.float64)
    hidden = net.gemm("x", zero_rows(net.normal(5, 8), 1, 3), np.array([1, 0.3, 3, -0.7, 5]), "a")
    inner = net.op("Erf", net.op("Div", hidden, net.const(math.sqrt(2))))
    twice = net.op("Mul", hidden, net.op("Add", inner, net.const(1.0)))
    weight, bias = net.normal(4, 5), net.normal(4)
    result = simplify(net.model(net.gemm(net.op("Mul", twice, net.const(0.5)), weight, bias, "b")))
    assert shapes(result) == {"a": (3, 8), "b": (4, 3)}
    reader = next(node for node in result.model.graph.node if node.op_type == "Gemm" and node.input[1] == "b")
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    expected = bias + weight[:, [1, 3]] @ EXACT["Gelu"](np.array([0.3, -0.7]))
    np.testing.assert_allclose(tensors[reader.input[2]], expected, rtol=0, atol=1e-15)


def test_nodes_that_differ_in_an_attribute_or_a_type_are_not_taken_for_one_another() -> None:
    for axis, dtype in ((0, np.float32), (1, np.float32), (0, np.float64), (1, np.int64)):
        node = helper.make_node("Concat", ["a", "b"], [f"y{axis}"], axis=axis)
        array = POINTS.astype(dtype)
        found = evaluate(node, [array, array], 20)
        assert found is not None
        assert found[0].dtype == dtype
        np.testing.assert_array_equal(found[0], np.concatenate([array, array], axis))
