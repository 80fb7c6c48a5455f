"""Batch normalisation folds where that is exact, and says why where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from nets import Net, ops, same, sentences, shapes
from onnx import numpy_helper

from edgeticket.graph.simplify import simplify

DOUBLE = np.float64


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("group", [1, 3])
def test_after_a_convolution(bias: bool, group: int) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", net.normal(6, 3 // group, 3, 3), net.normal(6) if bias else None, pads=[1] * 4, group=group)
    assert ops(same(net.model(net.batchnorm(maps, 6)))) == ["Conv"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("group", [1, 3])
def test_after_a_transposed_convolution(bias: bool, group: int) -> None:
    net = Net(dtype=DOUBLE)
    parts = [net.const(net.normal(3, 4, 3, 3)), *([net.const(net.normal(4 * group))] if bias else [])]
    maps = net.op("ConvTranspose", "x", *parts, group=group, strides=[2, 2], pads=[1] * 4)
    assert ops(same(net.model(net.batchnorm(maps, 4 * group)))) == ["ConvTranspose"]


@pytest.mark.parametrize("scales", [{}, {"alpha": 0.5, "beta": 3.0}])
def test_after_a_gemm(scales: dict[str, float]) -> None:
    net = Net(("n", 8), DOUBLE)
    rows = net.gemm("x", net.normal(5, 8), net.normal(5), "a", **scales)
    other = net.op("Gemm", net.batchnorm(rows, 5), net.const(net.normal(5, 4)), net.const(net.normal(4)))
    assert ops(same(net.model(net.batchnorm(other, 4)))) == ["Gemm", "Gemm"]


def test_a_scale_of_zero_makes_a_dead_channel() -> None:
    net = Net(dtype=DOUBLE)
    gamma = np.array([1.0, 0, 2, 0])
    maps = net.batchnorm(net.conv("x", net.normal(4, 3, 3, 3), None, "a"), 4, gamma)
    result = same(net.model(net.conv(net.op("Relu", maps), net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result) == {"a": (2, 3, 3, 3), "b": (2, 2, 1, 1)}


def test_it_becomes_the_graph_output_under_its_name() -> None:
    net = Net(dtype=DOUBLE)
    name = net.batchnorm(net.conv("x", net.normal(4, 3, 3, 3)), 4)
    result = same(net.model(name))
    assert [output.name for output in result.model.graph.output] == [name]


def test_declined_where_the_output_has_other_readers() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", net.normal(4, 3, 3, 3))
    result = same(net.model(net.op("Add", maps, net.batchnorm(maps, 4))))
    assert "BatchNormalization" in ops(result)
    assert "other readers" in sentences(result)
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", net.normal(4, 3, 3, 3))
    assert "BatchNormalization" in ops(same(net.model(net.batchnorm(maps, 4), maps)))


def test_declined_where_the_weight_is_shared_or_open() -> None:
    for shared in (True, False):
        net = Net(dtype=DOUBLE)
        first = net.batchnorm(net.conv("x", net.normal(4, 3, 3, 3), name="tied"), 4)
        if shared:
            first = net.op("Add", first, net.op("Conv", "x", "tied"))
        else:
            net.inputs["tied"] = (4, 3, 3, 3)
        model = net.model(first)
        result = same(model)
        assert "BatchNormalization" in ops(result)
        assert ("shared" if shared else "no constant") in sentences(result)


def test_declined_where_the_parameters_are_computed_or_before_a_layer() -> None:
    net = Net(dtype=DOUBLE)
    result = same(net.model(net.conv(net.batchnorm("x", 3), net.normal(4, 3, 3, 3), pads=[1] * 4)))
    assert ops(result) == ["BatchNormalization", "Conv"]
    assert "no Conv, ConvTranspose or Gemm comes before it" in sentences(result)


def test_declined_where_the_result_would_not_be_finite() -> None:
    net = Net()
    name = net.batchnorm(net.conv("x", np.full((1, 3, 3, 3), 1e38)), 1, np.array([1e5]))
    assert "would not be finite" in sentences(simplify(net.model(name)))


def test_rounded_once() -> None:
    net = Net()
    weight = net.normal(4, 3, 3, 3)
    name = net.batchnorm(net.conv("x", weight, name="w"), 4)
    model = net.model(name)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in simplify(model).model.graph.initializer}
    gamma, _, _, variance = (net.weights[f"w{number}"].astype(np.float64) for number in range(1, 5))
    scale = gamma / np.sqrt(variance + np.float64(np.float32(1e-5)))
    wide = weight.astype(np.float32).astype(np.float64) * scale[:, None, None, None]
    np.testing.assert_array_equal(stored["w"], wide.astype(np.float32))
