"""Which channels must stay together, against groups worked out by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from nets import Net

from edgeticket.graph.channels.analysis import analyse
from edgeticket.graph.channels.groups import ChannelGroup, groups_of
from edgeticket.graph.passes.canonicalise import canonicalise
from edgeticket.graph.shapes import infer_shapes

Entries = set[tuple[str, int, tuple[int, ...]]]


def groups(model: onnx.ModelProto) -> list[ChannelGroup]:
    work = ir.from_proto(model)
    assert isinstance(work, ir.Model)
    canonicalise(work)
    infer_shapes(work)
    return groups_of(analyse(work))


def entries(group: ChannelGroup) -> Entries:
    return {(member.tensor, member.axis, member.indices) for member in group.members}


def removable(model: onnx.ModelProto) -> list[Entries]:
    return [entries(group) for group in groups(model) if group.removable]


def test_a_layer_its_bias_and_its_reader() -> None:
    net = Net(("n", 8))
    hidden = net.op("Relu", net.op("Gemm", "x", net.const(net.normal(5, 8), "a"), net.const(np.ones(5), "c"), transB=1))
    found = removable(net.model(net.op("Gemm", hidden, net.const(net.normal(5, 3), "b"))))
    assert found == [{("a", 0, (i,)), ("c", 0, (i,)), ("b", 0, (i,))} for i in range(5)]


def test_weights_that_read_a_group_are_told_from_those_that_compute_it() -> None:
    net = Net()
    maps = net.batchnorm(net.conv("x", net.normal(4, 3, 3, 3), name="a"), 4)
    model = net.model(net.conv(maps, net.normal(2, 4, 1, 1), name="b"))
    group = next(group for group in groups(model) if group.removable)
    assert {member.tensor for member in group.members if member.reads} == {"b"}
    assert {member.tensor for member in group.members if not member.reads} == {"a", "w1", "w2", "w3", "w4"}


def test_both_branches_of_a_residual_sum() -> None:
    net = Net()
    stem = net.conv("x", net.normal(4, 3, 1, 1), name="stem")
    branch = net.conv(stem, net.normal(4, 4, 1, 1), name="branch")
    found = removable(net.model(net.conv(net.op("Add", stem, branch), net.normal(2, 4, 1, 1), name="b")))
    assert found == [{("stem", 0, (i,)), ("branch", 0, (i,)), ("branch", 1, (i,)), ("b", 1, (i,))} for i in range(4)]


def test_every_element_that_flatten_makes_of_a_channel() -> None:
    net = Net(("n", 3, 2, 2))
    maps = net.op("MaxPool", net.conv("x", net.normal(4, 3, 1, 1), name="a"), kernel_shape=[1, 1])
    found = removable(net.model(net.gemm(net.op("Flatten", maps), net.normal(5, 16), None, "b")))
    assert found == [{("a", 0, (i,)), ("b", 1, tuple(range(4 * i, 4 * i + 4)))} for i in range(4)]


@pytest.mark.parametrize("multiple", [1, 2])
def test_a_depthwise_filter_belongs_to_the_channel_that_it_reads(multiple: int) -> None:
    net = Net()
    maps = net.conv("x", net.normal(4, 3, 1, 1), name="a")
    depth = net.conv(maps, net.normal(4 * multiple, 1, 3, 3), name="depth", group=4)
    found = removable(net.model(net.conv(depth, net.normal(2, 4 * multiple, 1, 1), name="b")))
    made = [tuple(range(multiple * i, multiple * (i + 1))) for i in range(4)]
    assert found == [{("a", 0, (i,)), ("depth", 0, made[i]), ("b", 1, made[i])} for i in range(4)]


def test_operands_of_a_concatenation_stay_apart() -> None:
    net = Net()
    parts = [net.conv("x", net.normal(count, 3, 1, 1), name=name) for name, count in (("a", 2), ("c", 3))]
    found = removable(net.model(net.conv(net.op("Concat", *parts, axis=1), net.normal(2, 5, 1, 1), name="b")))
    assert found == [{("a", 0, (i,)), ("b", 1, (i,))} for i in range(2)] + [
        {("c", 0, (i,)), ("b", 1, (2 + i,))} for i in range(3)
    ]


def test_a_bias_that_two_layers_share_is_in_the_groups_of_both() -> None:
    net = Net(("n", 8))
    bias = net.const(np.ones(5), "bias")
    first = net.op("Relu", net.op("Gemm", "x", net.const(net.normal(5, 8), "a"), bias, transB=1))
    second = net.op("Relu", net.op("Gemm", first, net.const(net.normal(5, 5), "b"), bias, transB=1))
    found = removable(net.model(net.gemm(second, net.normal(2, 5), None, "c")))
    assert sum(("bias", 0, (0,)) in group for group in found) == 2


def test_what_the_graph_needs_is_not_removable() -> None:
    net = Net(("n", 8))
    hidden = net.gemm("x", net.normal(5, 8), None, "a")
    softmax = net.op("Softmax", net.gemm(hidden, net.normal(4, 5), None, "b"), axis=1)
    found = groups(net.model(net.gemm(softmax, net.normal(3, 4), None, "c"), hidden))
    needed = [entries(group) for group in found if not group.removable]
    assert [group for group in found if group.removable] == []
    assert [{("a", 1, (i,))} for i in range(8)] == needed[:8]  # columns that read the input
    assert [{("a", 0, (i,)), ("b", 1, (i,))} for i in range(5)] == needed[8:13]  # an output of the graph
    assert {("b", 0, (0,))} in needed  # read by an operator that mixes channels
    assert {("c", 0, (0,))} in needed
