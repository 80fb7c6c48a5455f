"""Each way in which removing a dead channel could go wrong, one network at a time; all in float64 and exact."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from nets import Net, ops, same, sentences, shapes, zero_rows
from onnx import TensorProto, helper

from edgeticket.graph.channels.layers import matmul
from edgeticket.graph.channels.state import State
from edgeticket.graph.simplify import simplify
from edgeticket.graph.values import shape_of

DOUBLE = np.float64


def test_a_constant_unit_folds_into_the_next_bias() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(5, 8), 1, 3), np.array([1, 2, 3, -4, 5.0]), "a"))
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), net.normal(4), "b", alpha=0.5, beta=3.0)))
    assert shapes(result) == {"a": (3, 8), "b": (4, 3)}


def test_a_missing_bias_is_made_where_a_constant_needs_one() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Sigmoid", net.gemm("x", zero_rows(net.normal(5, 8), 0), None, "a.weight"))
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), None, "b.weight")))
    assert shapes(result)["b.weight"] == (4, 4)
    assert "b.bias" in {tensor.name for tensor in result.model.graph.initializer}


def test_a_matmul_takes_the_constant_in_an_addition() -> None:
    net = Net(("n", 4, 8), DOUBLE)
    hidden = net.op("Sigmoid", net.op("MatMul", "x", net.const(zero_rows(net.normal(5, 8), 0).T, "a")))
    result = same(net.model(net.op("MatMul", hidden, net.const(net.normal(5, 3), "b"))))
    assert shapes(result) == {"a": (8, 4), "b": (4, 3)}
    assert ops(result) == ["MatMul", "Sigmoid", "MatMul", "Add"]


def test_a_constant_does_not_pass_zero_padding() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 1, 2), np.array([1, 7.0, 0, 1]), "a")
    result = same(net.model(net.conv(maps, net.normal(2, 4, 3, 3), name="b", pads=[1] * 4)))
    assert shapes(result) == {"a": (3, 3, 3, 3), "b": (2, 3, 3, 3)}  # the constant 0 goes, the constant 7 stays
    assert "b alone: a constant other than 0 arrives through zero padding" in sentences(result)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(auto_pad: str) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 1), np.array([1, 7.0, 0, 1]), "a")
    result = same(net.model(net.conv(maps, net.normal(2, 4, 2, 2), name="b", auto_pad=auto_pad)))
    assert shapes(result)["a"][0] == (3 if auto_pad == "VALID" else 4)


def test_a_residual_sum_keeps_what_one_branch_feeds() -> None:
    net = Net(dtype=DOUBLE)
    stem = net.conv("x", net.normal(4, 3, 3, 3), None, "stem")
    branch = net.conv(stem, zero_rows(net.normal(4, 4, 1, 1), 0, 1), None, "branch")
    result = same(net.model(net.conv(net.op("Add", stem, branch), net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result)["branch"] == (4, 4, 1, 1)


def test_a_residual_sum_loses_what_is_dead_in_both_branches() -> None:
    net = Net(dtype=DOUBLE)
    stem = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), np.array([2.0, 1, 1, 1]), "stem")
    branch = net.conv(stem, zero_rows(net.normal(4, 4, 1, 1), 0, 1), np.array([3.0, 0, 1, 1]), "branch")
    result = same(net.model(net.conv(net.op("Add", stem, branch), net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result) == {"stem": (3, 3, 3, 3), "branch": (3, 3, 1, 1), "b": (2, 3, 1, 1)}


@pytest.mark.parametrize(("bias", "left"), [(0.0, ["Conv", "Conv"]), (1.5, ["Conv", "Add", "Conv"])])
def test_a_dead_branch_disappears(bias: float, left: list[str]) -> None:
    net = Net(dtype=DOUBLE)
    stem = net.conv("x", net.normal(4, 3, 3, 3), None, "stem")
    inner = net.op("Relu", net.conv(stem, net.normal(6, 4, 3, 3), None, "inner", pads=[1] * 4))
    branch = net.conv(inner, np.zeros((4, 6, 3, 3)), np.full(4, bias), "branch", pads=[1] * 4)
    result = same(net.model(net.conv(net.op("Add", branch, stem), net.normal(2, 4, 3, 3), name="b", pads=[1] * 4)))
    assert ops(result) == left
    assert shapes(result)["inner"] == shapes(result)["branch"] == ()


def test_a_dead_gate_kills_what_it_multiplies() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", net.normal(4, 3, 3, 3), None, "maps")
    weight = zero_rows(net.normal(4, 4, 1, 1), 2)
    weight[:, 2] = 0
    gate = net.conv(net.op("GlobalAveragePool", maps), weight, None, "gate")
    result = same(net.model(net.conv(net.op("Mul", maps, gate), net.normal(2, 4, 3, 3), name="b", pads=[1] * 4)))
    assert shapes(result) == {"maps": (3, 3, 3, 3), "gate": (3, 3, 1, 1), "b": (2, 3, 3, 3)}


def test_concatenation_loses_channels_and_whole_operands() -> None:
    net = Net(dtype=DOUBLE)
    parts = [
        net.conv("x", zero_rows(net.normal(3, 3, 1, 1), 1), np.array([1.0, 2, 3]), "a"),
        net.conv("x", net.normal(2, 3, 1, 1), None, "unread"),
        net.conv("x", net.normal(2, 3, 1, 1), None, "c"),
    ]
    reader = net.normal(2, 7, 1, 1)
    reader[:, 3:5] = 0
    result = same(net.model(net.conv(net.op("Concat", *parts, axis=1), reader, name="reader")))
    assert shapes(result) == {"a": (2, 3, 1, 1), "unread": (), "c": (2, 3, 1, 1), "reader": (2, 4, 1, 1)}


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_padded_pooling(kind: str, include: int) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0, 1), np.array([5.0, 0, 1, 1]), "a")
    extra = {"count_include_pad": include} if kind == "AveragePool" else {}
    pooled = net.op(kind, maps, kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4, **extra)
    result = same(net.model(net.conv(pooled, net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result)["a"][0] == (3 if kind == "AveragePool" and include else 2)


def test_indices_of_a_pool_keep_all_channels() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), None, "a")
    pooled = net.op("MaxPool", maps, outputs=2, kernel_shape=[2, 2])
    model = net.model(net.conv(pooled, net.normal(2, 4, 1, 1), name="b"))
    model.graph.output.append(helper.make_tensor_value_info(f"{pooled}_1", TensorProto.INT64, None))
    assert shapes(same(model))["a"] == (4, 3, 3, 3)


@pytest.mark.parametrize("multiple", [1, 2])
def test_depthwise_layers_shrink_with_their_input(multiple: int) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.op("Relu", net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0, 2), None, "a"))
    depth = net.conv(maps, net.normal(4 * multiple, 1, 3, 3), None, "depth", group=4, pads=[1] * 4)
    result = same(net.model(net.conv(depth, net.normal(2, 4 * multiple, 1, 1), name="b")))
    assert shapes(result) == {"a": (2, 3, 3, 3), "depth": (2 * multiple, 1, 3, 3), "b": (2, 2 * multiple, 1, 1)}


def test_a_depthwise_layer_left_with_one_channel() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.op("Relu", net.conv("x", zero_rows(net.normal(3, 3, 3, 3), 0, 2), None, "a"))
    depth = net.conv(maps, net.normal(3, 1, 3, 3), None, "depth", group=3)
    assert shapes(same(net.model(net.conv(depth, net.normal(2, 3, 1, 1)))))["depth"] == (1, 1, 3, 3)


def test_one_channel_always_stays() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Relu", net.gemm("x", np.zeros((5, 8)), net.normal(5), "a"))
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), net.normal(4), "b")))
    assert shapes(result) == {"a": (1, 8), "b": (4, 1)}
    assert [layer.nonzeros_after for layer in result.layers] == [0, 0]


def test_graph_outputs_keep_their_channels() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(5, 8), 1), np.ones(5), "a"))
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), net.normal(4), "b"), hidden))
    assert shapes(result) == {"a": (5, 8), "b": (4, 5)}
    assert result.layers[1].nonzeros_after == 16  # but the constant no longer needs its weights


def test_unread_units_go_backwards_through_layers() -> None:
    net = Net(("n", 8), DOUBLE)
    first = net.op("Relu", net.gemm("x", net.normal(6, 8), net.normal(6), "a"))
    middle = np.zeros((5, 6))
    middle[:3, :4], middle[3:, 4:] = 1, 1
    second = net.op("Relu", net.gemm(first, middle, net.normal(5), "b"))
    last = net.normal(2, 5)
    last[:, 3:] = 0
    assert shapes(same(net.model(net.gemm(second, last, None, "c")))) == {"a": (4, 8), "b": (3, 4), "c": (2, 3)}


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 4, 1, 1), (4, 1, 1), (4, 4, 4), (1,), ()])
def test_constants_that_broadcast(shape: tuple[int, ...]) -> None:
    net = Net(("n", 3, 4, 4), DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 1, 1), 0), np.ones(4), "a")
    moved = net.op("Add", net.const(net.normal(*shape)), maps)
    along_width = shape[-1:] == (4,)
    result = same(net.model(net.conv(net.op("Relu", moved), net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result)["a"][0] == (4 if along_width else 3)  # along the width, the channel is not one number


def test_a_spatial_constant_without_effect_is_cut_along() -> None:
    net = Net(("n", 3, 4, 4), DOUBLE)
    maps = net.conv("x", net.normal(4, 3, 1, 1), np.ones(4), "a")
    reader = net.normal(2, 4, 1, 1)
    reader[:, 1] = 0
    result = same(net.model(net.conv(net.op("Mul", maps, net.const(net.normal(1, 4, 4, 4), "m")), reader)))
    kept = {tensor.name: tuple(tensor.dims) for tensor in result.model.graph.initializer}
    assert shapes(result)["a"] == (3, 3, 1, 1)
    assert kept["m"] == (1, 3, 4, 4)


def test_a_bias_shared_by_two_layers_is_copied_not_cut_twice() -> None:
    net = Net(("n", 8), DOUBLE)
    bias = net.const(np.ones(5), "bias")
    first = net.op("Relu", net.op("Gemm", "x", net.const(zero_rows(net.normal(5, 8), 0), "a"), bias, transB=1))
    second = net.op("Gemm", first, net.const(net.normal(5, 5), "b"), bias, transB=1)
    result = same(net.model(second))
    assert shapes(result) == {"a": (4, 8), "b": (5, 4)}


def test_weights_shared_by_layers_of_which_one_reads_the_input_stay_whole() -> None:
    net = Net(("n", 8), DOUBLE)
    weight = net.const(zero_rows(net.normal(8, 8), 2), "tied")
    hidden = net.op("Relu", net.op("Gemm", "x", weight, transB=1))
    result = same(net.model(net.op("Gemm", hidden, weight, transB=1)))
    assert shapes(result) == {"tied": (8, 8)}


def test_weights_shared_by_layers_of_different_kinds_are_declined() -> None:
    net = Net(("n", 8), DOUBLE)
    weight = net.const(zero_rows(net.normal(8, 8), 2), "tied")
    hidden = net.op("Relu", net.op("Gemm", "x", weight, transB=1))
    hidden = net.op("Relu", net.gemm(hidden, net.normal(8, 8), None, "b"))
    result = same(net.model(net.op("Gemm", hidden, weight)))
    assert shapes(result) == {"tied": (8, 8), "b": (8, 8)}
    assert "tied alone: their weight is shared" in sentences(result)


def test_batchnorm_before_a_layer_carries_constants() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.op("Relu", net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), None, "a"))
    result = same(net.model(net.conv(net.batchnorm(maps, 4), net.normal(2, 4, 1, 1), np.ones(2), "b")))
    assert shapes(result) == {"a": (3, 3, 3, 3), "b": (2, 3, 1, 1)}
    assert "BatchNormalization" in ops(result)


def test_squeeze_and_unsqueeze_move_the_channels() -> None:
    net = Net(("n", 8), DOUBLE)
    rows = net.op("Relu", net.gemm("x", zero_rows(net.normal(4, 8), 1), np.ones(4), "a"))
    maps = net.op("Unsqueeze", rows, net.const(np.array([2, -1])))
    maps = net.conv(maps, net.normal(3, 4, 1, 1), None, "b")
    result = same(net.model(net.gemm(net.op("Squeeze", maps, net.const(np.array([-2, 3]))), net.normal(2, 3))))
    assert shapes(result)["b"] == (3, 3, 1, 1)


def test_older_operators_take_their_axes_from_attributes() -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), np.ones(4), "a")
    mean = net.op("ReduceMean", maps, axes=[2, 3], keepdims=1)
    rows = net.op("Squeeze", mean, axes=[2, 3])
    assert shapes(same(net.model(net.gemm(rows, net.normal(2, 4), None, "b"), opset=11)))["b"] == (2, 3)


@pytest.mark.parametrize("axes", [[1], [0], [1, 2, 3]])
def test_a_mean_over_channels_or_batch_is_a_barrier(axes: list[int]) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), None, "a")
    result = same(net.model(net.op("ReduceMean", maps, net.const(np.array(axes)), keepdims=1)))
    assert shapes(result)["a"] == (4, 3, 3, 3)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "LpNormalization", "LayerNormalization", "LRN"])
def test_operators_that_mix_channels_are_barriers(kind: str) -> None:
    net = Net(dtype=DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 0), None, "a")
    extra: list[str] = []
    attributes: dict[str, int] = {"size": 3} if kind == "LRN" else {"axis": 1}
    if kind == "LayerNormalization":
        width = 4
        extra = [net.const(np.ones(width)), net.const(np.ones(width))]
    result = same(net.model(net.conv(net.op(kind, maps, *extra, **attributes), net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result)["a"] == (4, 3, 3, 3)


def test_values_that_a_subgraph_captures_stay_whole() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(5, 8), 1), np.ones(5), "a"))
    bodies = []
    for name, kind in (("then", "Neg"), ("otherwise", "Abs")):
        output = helper.make_tensor_value_info(f"{name}_out", TensorProto.DOUBLE, None)
        bodies.append(helper.make_graph([helper.make_node(kind, [hidden], [f"{name}_out"])], name, [], [output]))
    chosen = net.op("If", net.const(np.array(True)), then_branch=bodies[0], else_branch=bodies[1])
    both = net.op("Add", net.gemm(hidden, net.normal(5, 5), None, "b"), chosen)
    assert shapes(same(net.model(both))) == {"a": (5, 8), "b": (5, 5)}


def test_weights_that_a_subgraph_reads_too_stay_whole() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(5, 8), 1), None, "a"))
    bodies = []
    for name, kind in (("then", "Neg"), ("otherwise", "Abs")):
        output = helper.make_tensor_value_info(f"{name}_out", TensorProto.DOUBLE, None)
        bodies.append(helper.make_graph([helper.make_node(kind, ["a"], [f"{name}_out"])], name, [], [output]))
    chosen = net.op("If", net.const(np.array(True)), then_branch=bodies[0], else_branch=bodies[1])
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), None, "b"), chosen))
    assert shapes(result)["a"] == (5, 8)


def test_weights_that_are_not_finite_stay() -> None:
    net = Net(("n", 4), DOUBLE)
    weight = zero_rows(net.normal(4, 4), 1)
    weight[0, 0] = np.inf
    model = net.model(net.gemm(net.gemm("x", weight, None, "a"), net.normal(2, 4), None, "b"))
    result = simplify(model)
    assert shapes(result) == {"a": (4, 4), "b": (2, 4)}
    assert "not all finite" in sentences(result)


@pytest.mark.parametrize("kind", ["Gemm", "Add"])
def test_a_column_of_biases_is_no_bias_of_the_channels(kind: str) -> None:
    """[5, 1] adds a number to each of 5 rows, though it has as many as there are channels."""
    net = Net((5, 8), DOUBLE)
    weight, column = net.const(zero_rows(net.normal(5, 8), 0, 1, 2).T, "a"), net.const(net.normal(5, 1))
    hidden = (
        net.op("Gemm", "x", weight, column) if kind == "Gemm" else net.op("Add", net.op("MatMul", "x", weight), column)
    )
    result = same(net.model(net.gemm(net.op("Relu", hidden), net.normal(4, 5), None, "b")))
    assert shapes(result)["b"] == (4, 5)


def test_a_product_keeps_the_rank_of_its_input_where_inference_is_silent() -> None:
    net = Net(("n", 4, 8), DOUBLE)
    model = ir.from_proto(net.model(net.op("Relu", net.op("MatMul", "x", net.const(net.normal(8, 5))))))
    assert isinstance(model, ir.Model)
    product = next(node for node in model.graph if node.op_type == "MatMul")
    assert product.outputs[0].shape is None
    assert matmul(State(model.graph, 18), product)
    assert [dim if isinstance(dim, int) else None for dim in shape_of(product.outputs[0]) or ()] == [None, None, 5]
