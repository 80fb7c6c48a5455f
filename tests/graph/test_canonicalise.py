"""The same function in plainer operators; a Reshape whose target cannot be proved stays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from nets import Net, ops, same, same_on_runtime
from onnx import ModelProto, numpy_helper

Flat = Callable[[Net, str, int], str]


def _dynamo(net: Net, maps: str, whole: int) -> str:
    batch = net.op("Reshape", net.op("Squeeze", net.op("Shape", "x", start=0, end=1)), net.const(np.array([-1])))
    target = net.op("Concat", batch, net.op("Constant", value_ints=[whole]), axis=0)
    return net.op("Reshape", maps, target, allowzero=1)


def _script(net: Net, maps: str, whole: int) -> str:
    batch = net.op("Gather", net.op("Shape", maps), net.const(np.array(0)), axis=0)
    batch = net.op("Unsqueeze", batch, net.const(np.array([0])))
    return net.op("Reshape", maps, net.op("Concat", batch, net.const(np.array([-1])), axis=0))


def _sliced(net: Net, maps: str, whole: int) -> str:
    start, end, axes = (net.const(np.array([number])) for number in (0, 1, 0))
    batch = net.op("Cast", net.op("Slice", net.op("Shape", maps), start, end, axes), to=7)
    product = net.op("Mul", net.const(np.array([whole // 16])), net.op("Shape", "k", start=0))
    return net.op("Reshape", maps, net.op("Concat", batch, product, axis=0))


def _literal(target: list[int]) -> Flat:
    return lambda net, maps, whole: net.op(
        "Reshape", maps, net.const(np.array([whole if entry == 99 else entry for entry in target]))
    )


@pytest.mark.parametrize("batch", ["n", 2])
@pytest.mark.parametrize("flat", [_dynamo, _script, _sliced, _literal([-1, 99]), _literal([0, -1]), _literal([0, 99])])
def test_flattening_in_many_ways(flat: Flat, batch: int | str) -> None:
    net = Net((batch, 3, 6, 6), np.float64)
    net.inputs["k"] = (16,)
    maps = net.conv("x", net.normal(4, 3, 3, 3))
    assert ops(same(net.model(net.gemm(flat(net, maps, 64), net.normal(2, 64))))) == ["Conv", "Flatten", "Gemm"]


@pytest.mark.parametrize("target", [[2, -1], [-1, 32], [64, -1], [4, 4, 8], [-1, 2, 32]])
def test_a_reshape_that_is_not_a_flattening_stays(target: list[int]) -> None:
    net = Net(("n", 3, 6, 6), np.float64)
    maps = net.conv("x", net.normal(4, 3, 3, 3))
    result = same(net.model(net.op("Relu", net.op("Reshape", maps, net.const(np.array(target))))))
    assert ops(result) == ["Conv", "Reshape", "Relu"]


def test_the_first_two_dimensions_are_copied() -> None:
    net = Net(("n", 8), np.float64)
    rows = net.op("Relu", net.gemm("x", net.normal(4, 8) * [[1], [0], [1], [1]]))
    maps = net.op("Reshape", rows, net.const(np.array([-1, 4, 1, 1])))
    result = same(net.model(net.conv(maps, net.normal(2, 4, 1, 1), name="b")))
    assert result.layers[-1].shape_after == (2, 3, 1, 1)


@pytest.mark.parametrize("bias", [(5,), (1, 5), (1,), ()])
def test_matmul_and_addition(bias: tuple[int, ...]) -> None:
    net = Net(("n", 8), np.float64)
    rows = net.op("MatMul", "x", net.const(net.normal(8, 5)))
    assert ops(same(net.model(net.op("Add", net.const(net.normal(*bias)), rows)))) == ["Gemm"]


@pytest.mark.parametrize("bias", [(2, 5), (2, 1), (5, 1), (1, 1, 5)])
def test_an_addition_that_is_no_bias(bias: tuple[int, ...]) -> None:
    net = Net((5 if bias == (5, 1) else "n", 8), np.float64)  # [5, 1] has as many numbers as there are columns
    rows = net.op("MatMul", "x", net.const(net.normal(8, 5)))
    assert ops(same(net.model(net.op("Add", net.const(net.normal(*bias)), rows)))) == ["MatMul", "Add"]


def test_matmul_whose_sum_is_not_the_only_reader() -> None:
    net = Net(("n", 8), np.float64)
    rows = net.op("MatMul", "x", net.const(net.normal(8, 5)))
    assert ops(same(net.model(net.op("Add", rows, net.const(net.normal(5))), rows))) == ["MatMul", "Add"]


def test_identity_and_dropout() -> None:
    net = Net(("n", 8), np.float64)
    rows = net.op("Dropout", net.op("Identity", net.op("Relu", "x")), net.const(0.5), net.const(np.array(False)))
    assert ops(same(net.model(net.op("Neg", rows)))) == ["Relu", "Neg"]
    net = Net(("n", 8), np.float64)
    assert ops(same(net.model(net.op("Identity", "x")))) == ["Identity"]


def test_a_target_that_is_computed_becomes_constant() -> None:
    net = Net(("n", "steps", 8), np.float64)
    sizes = [net.op("Gather", net.op("Shape", "x"), net.const(np.array([axis]))) for axis in (0, 1)]
    heads = net.op("Reshape", "x", net.op("Concat", *sizes, net.const(np.array([2, -1])), axis=0))
    result = same(net.model(net.op("Relu", heads)))
    target = next(tensor for tensor in result.model.graph.initializer)
    assert ops(result) == ["Reshape", "Relu"]
    assert numpy_helper.to_array(target).tolist() == [0, 0, 2, 4]


def test_a_transpose_between_merged_axes_is_one_transpose() -> None:
    """What PyTorch's exporter makes of keys: the batch and the heads are one axis for a while."""
    net = Net(("n", 3, 5, 4), np.float64)
    merged = net.op("Reshape", "x", net.const(np.array([-1, 5, 4])))
    turned = net.op("Transpose", merged, perm=[0, 2, 1])
    assert ops(same(net.model(net.op("Relu", net.op("Reshape", turned, net.const(np.array([-1, 3, 4, 5]))))))) == [
        "Transpose",
        "Relu",
    ]
    other = net.op("Reshape", turned, net.const(np.array([3, -1, 4, 5])))  # the axes are taken apart in another way
    assert ops(same(net.model(net.op("Relu", other)))) == ["Reshape", "Transpose", "Reshape", "Relu"]


@pytest.mark.parametrize(
    ("shape", "perm", "target", "gone"),
    [
        ((5, 1, "n", 4), [0, 2, 1, 3], [0, 0, -1], True),  # an LSTM's outputs, in one direction
        ((5, 1, 1, 4), [0, 2, 1, 3], [5, 1, 4], True),
        (("n", 5, 1, 1), [0, 2, 3, 1], [-1, 5], True),
        ((5, 1, "n", 4), [2, 1, 0, 3], [0, -1, 4], False),
        ((5, 2, "n", 4), [0, 2, 1, 3], [0, 0, -1], False),
    ],
)
def test_a_transpose_of_axes_of_length_1_in_front_of_a_reshape_goes(
    shape: tuple[int | str, ...], perm: list[int], target: list[int], gone: bool
) -> None:
    net = Net(shape, np.float64)
    turned = net.op("Transpose", net.op("Tanh", "x"), perm=perm)
    left = ops(same(net.model(net.op("Relu", net.op("Reshape", turned, net.const(np.array(target)))))))
    assert ("Transpose" not in left) == gone
    assert (left[0], left[-1]) == ("Tanh", "Relu")


def test_expanding_to_its_own_length_needs_no_shape() -> None:
    net = Net(("n", 1, 4), np.float64)
    batch = net.op("Slice", net.op("Shape", "x"), net.const(np.array([0])), net.const(np.array([1])))
    target = net.op("Concat", batch, net.const(np.array([5, 1])), axis=0)
    assert ops(same(net.model(net.op("Expand", net.op("Relu", "x"), target)))) == ["Relu", "Expand"]


@pytest.mark.parametrize(
    ("size", "left"), [(12, ["Relu", "Resize"]), (9, ["Relu", "Shape", "Slice", "Concat", "Resize"])]
)
def test_sizes_that_are_whole_multiples_become_scales(size: int, left: list[str]) -> None:
    net = Net(("n", 3, 6, 6), np.float64)
    batch = net.op("Slice", net.op("Shape", "x"), net.const(np.array([0])), net.const(np.array([1])))
    sizes = net.op("Concat", batch, net.const(np.array([3, size, 6])), axis=0)
    result = same(net.model(net.op("Resize", net.op("Relu", "x"), "", "", sizes, mode="linear")))
    assert sorted(ops(result)) == sorted(left)


@pytest.mark.parametrize(
    ("axes", "keepdims", "dtype", "pooled"),
    [
        ([2, 3], 1, np.float32, True),
        ([-1, 2], 1, np.float32, True),
        ([2, 3], 0, np.float32, False),
        ([1, 2], 1, np.float32, False),
        ([3], 1, np.float32, False),
        ([2, 3], 1, np.float64, False),  # ONNX Runtime has no such pooling
    ],
)
@pytest.mark.parametrize("version", [13, 18])
def test_a_mean_over_an_image_is_global_pooling(
    axes: list[int], keepdims: int, dtype: type, pooled: bool, version: int
) -> None:
    """PyTorch's newer exporter writes adaptive pooling to 1x1 as a mean, before which blocks of channels end."""

    def built(kind: type) -> ModelProto:
        net = Net(("n", 3, 6, 5), kind, seed=2)
        maps = net.conv("x", net.normal(8, 3, 3, 3), name="w")
        if version < 18:
            mean = net.op("ReduceMean", maps, axes=axes, keepdims=keepdims)
        else:
            mean = net.op("ReduceMean", maps, net.const(np.array(axes)), keepdims=keepdims)
        return net.model(net.op("Sigmoid", mean), opset=version)

    single = dtype == np.float32
    result = same_on_runtime(built(np.float32), built(np.float64)) if single else same(built(np.float64))
    assert ops(result)[1] == ("GlobalAveragePool" if pooled else "ReduceMean")
