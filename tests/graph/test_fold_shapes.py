"""Sizes that no free axis changes become constants; a Reshape infers the one that does change."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import Net, ops, same, sentences, shapes, zero_rows
from onnx import TensorProto, numpy_helper

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


def test_lengths_as_int32_as_tensorflow_writes_a_dense_layer_of_tokens() -> None:
    """[n, t, 6] x [6, 5] by way of [n·t, 6], its lengths computed as int32."""
    net = Net(("n", "t", 8), np.float64)
    tokens = net.op("MatMul", "x", net.const(zero_rows(net.normal(6, 8), 1, 4).T, "a"))
    lengths = net.op("Cast", net.op("Shape", tokens), to=TensorProto.INT32)
    free = net.op("Gather", lengths, net.const(np.array([0, 1])))
    width = net.op("Gather", lengths, net.const(np.array([2])))
    places = net.const(np.array([0]))
    rows, columns = (net.op("Unsqueeze", net.op("ReduceProd", part, keepdims=0), places) for part in (free, width))
    target = net.op("Cast", net.op("Concat", rows, columns, axis=0), to=TensorProto.INT64)
    flat = net.op("MatMul", net.op("Reshape", tokens, target), net.const(net.normal(6, 5), "b"))
    back = net.op("Concat", free, net.const(np.array([5], np.int32)), axis=0)
    result = same(net.model(net.op("Reshape", flat, net.op("Cast", back, to=TensorProto.INT64))))
    assert shapes(result) == {"a": (8, 4), "b": (4, 5)}


def test_a_length_that_int32_cannot_hold_is_not_evaluated() -> None:
    net = Net((3, 2), np.float64)
    length = net.op("Gather", net.op("Shape", "x"), net.const(np.array([0])))
    large = net.op("Mul", length, net.const(np.array([2**31])))
    small = net.op("Cast", large, to=TensorProto.INT32)
    result = same(net.model(net.op("Mul", "x", net.op("Cast", small, to=TensorProto.DOUBLE))))
    assert [node.op_type for node in result.model.graph.node][-1] == "Mul"
