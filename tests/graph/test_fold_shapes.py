"""Sizes that no free axis changes become constants; a Reshape infers the one that does change."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import Net, ops, same, sentences
from onnx import numpy_helper

from edgeticket.graph.simplify import simplify


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def one_zero() -> onnx.TensorProto:
    return numpy_helper.from_array(np.float64(0))


def test_a_weight_sliced_by_a_size_of_an_expanded_zero_is_found() -> None:
    net = Net(("n", 8), np.float64)
    batch = net.op("Shape", "x", start=0, end=1)
    zeros = net.op("Expand", net.op("Constant", value=one_zero()), net.op("Concat", batch, net.const(ints(3)), axis=0))
    three = net.op("Shape", zeros, start=1, end=2)
    whole = net.const(net.normal(8, 5), "whole")
    cut = net.op("Slice", whole, net.const(ints(0)), three, net.const(ints(1)))
    result = same(net.model(net.op("MatMul", "x", cut)))
    assert ops(result) == ["MatMul"]
    assert "1 size that no free axis changes" in sentences(result)
    assert [layer.shape_before for layer in result.layers] == [(8, 3)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_one_free_entry_of_a_target_is_inferred(place: int) -> None:
    net = Net(("n", 12), np.float64)
    double = net.op("Mul", net.op("Shape", "x", start=0, end=1), net.const(ints(2)))
    parts = [net.const(ints(2)), net.const(ints(3))]
    parts.insert(place, double)
    result = same(net.model(net.op("Reshape", "x", net.op("Concat", *parts, axis=0))))
    assert ops(result) == ["Reshape"]
    [target] = [numpy_helper.to_array(each) for each in result.model.graph.initializer]
    assert list(target) == [*([2, 3][:place]), -1, *([2, 3][place:])]


def test_two_free_entries_and_a_zero_are_left_alone() -> None:
    for parts in (("n", "n"), ("n", 0), ("n", -1)):
        net = Net(("n", 4), np.float64)
        batch = net.op("Shape", "x", start=0, end=1)
        made = [batch if part == "n" else net.const(ints(int(part))) for part in parts]
        target = net.op("Concat", *made, net.const(ints(1)), axis=0)
        result = simplify(net.model(net.op("Reshape", net.op("Relu", "x"), target)))
        assert "no free axis changes" not in sentences(result)


def test_a_shape_that_is_an_output_stays() -> None:
    net = Net(("n", 4), np.float64)
    known = net.op("Shape", "x", start=1, end=2)
    result = simplify(net.model(net.op("Relu", "x"), known))
    assert "Shape" in ops(result)
