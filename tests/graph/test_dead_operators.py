"""Dead channels go behind each operator, exactly: the shapes that are left, worked out by hand. All in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nets import Array, Net, feed, ops, run_reference, same, sentences, shapes, zero_rows
from onnx import TensorProto, helper

from edgeticket import runtime
from edgeticket.graph.simplify import simplify

DOUBLE = np.float64
Step = Callable[[Net, str], str]


def maps(net: Net, count: int = 6, dead: tuple[int, ...] = (1, 4), bias: Array | None = None) -> str:
    """[n, 3, 6, 6] -> [n, count, 6, 6] in a layer `a` of which the channels `dead` are zero, or their bias."""
    return net.conv("x", zero_rows(net.normal(count, 3, 1, 1), *dead), bias, "a")


def behind(step: Step, *, width: int = 6, opset: int = 18, bias: Array | None = None) -> tuple[int, int]:
    """How many channels are left before and behind an operator of images, of 6 with 2 dead ones."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = step(net, maps(net, bias=bias))
    result = same(net.model(net.conv(value, net.normal(2, width, 1, 1), name="b"), opset=opset))
    return shapes(result)["a"][0], shapes(result)["b"][1]


def node(kind: str, *constants: Any, **attributes: Any) -> Step:
    """One operator with constants behind its first input; None leaves one out."""
    return lambda net, value: net.op(
        kind, value, *["" if c is None else net.const(np.asarray(c), kept=True) for c in constants], **attributes
    )


SPATIAL: dict[str, tuple[Step, int]] = {
    "resize by scales": (node("Resize", None, np.array([1.0, 1, 2, 2], np.float32), mode="nearest"), 18),
    "resize linear": (node("Resize", None, np.array([1.0, 1, 1.5, 2], np.float32), mode="linear"), 13),
    "resize cubic": (node("Resize", None, np.array([1.0, 1, 2, 2], np.float32), mode="cubic"), 18),
    "resize some axes": (node("Resize", None, None, np.array([9, 3]), mode="linear", axes=[2, 3]), 18),
    "pad zeros": (node("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1])), 18),
    "pad edge": (node("Pad", np.array([0, 0, 1, 2, 0, 0, 0, 0]), mode="edge"), 13),
    "pad reflected": (node("Pad", np.array([0, 0, 2, 1, 0, 0, 2, 1]), mode="reflect"), 11),
    "pad some axes": (node("Pad", np.array([1, 1]), None, np.array([3])), 18),
    "crop": (node("Slice", np.array([1, 0]), np.array([5, 3]), np.array([2, 3])), 13),
    "every other column": (node("Slice", np.array([0]), np.array([6]), np.array([3]), np.array([2])), 13),
    "instance normalisation": (node("InstanceNormalization", np.arange(1.0, 7), np.zeros(6)), 18),
    "softmax of a column": (node("Softmax", axis=2), 13),
    "layer normalisation of rows": (node("LayerNormalization", np.ones(6), np.zeros(6), axis=-1), 17),
    "a norm": (node("ReduceL2", axes=[2, 3], keepdims=1), 13),
    "a sum": (node("ReduceSum", np.array([2, 3]), keepdims=1), 13),
    "slope": (node("PRelu", np.linspace(0.1, 0.6, 6).reshape(6, 1, 1)), 16),
    "expand": (node("Expand", np.array([1, 6, 6, 6])), 13),
}


@pytest.mark.parametrize("name", SPATIAL)
def test_channels_that_are_zero_go_behind(name: str) -> None:
    step, opset = SPATIAL[name]
    assert behind(step, opset=opset) == ((6, 6) if name.startswith("layer") else (4, 4))


@pytest.mark.parametrize("name", ["softmax of a column", "layer normalisation of rows"])
def test_channels_that_nobody_reads_go_behind(name: str) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    reader = net.normal(2, 6, 1, 1)
    reader[:, [0, 5]] = 0
    value = SPATIAL[name][0](net, net.conv("x", net.normal(6, 3, 1, 1), None, "a"))
    assert shapes(same(net.model(net.conv(value, reader, name="b")))) == {"a": (4, 3, 1, 1), "b": (2, 4, 1, 1)}


CONSTANTS: dict[str, tuple[Step, bool]] = {
    "resize linear": (node("Resize", None, np.array([1.0, 1, 2, 2], np.float32), mode="linear"), True),
    "resize cubic": (node("Resize", None, np.array([1.0, 1, 2, 2], np.float32), mode="cubic"), False),
    "resize beyond the image": (
        node("Resize", np.array([0, 0, -0.5, 0, 1, 1, 1, 1]), np.array([1.0, 1, 2, 2], np.float32), mode="linear",
             coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=1.5), False,
    ),
    "pad zeros": (node("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1])), False),
    "pad the constant": (node("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.array(2.5)), True),
    "pad edge": (node("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge"), True),
    "a sum": (node("ReduceSum", np.array([2, 3]), keepdims=1), True),
    "a product": (node("ReduceProd", np.array([2, 3]), keepdims=1), True),
    "a norm": (node("ReduceL2", np.array([2, 3]), keepdims=1), True),
    "a logarithm": (node("ReduceLogSumExp", np.array([2]), keepdims=1), True),
    "softmax of a row": (node("Softmax", axis=3), True),
    "its logarithm": (node("LogSoftmax", axis=3), True),
    "a pool of squares": (node("LpPool", kernel_shape=[2, 2]), True),
    "a padded pool of squares": (node("LpPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), False),
    "a mean": (node("ReduceMean", np.array([2, 3]), keepdims=1), True),
    "instance normalisation": (node("InstanceNormalization", np.ones(6), np.arange(6.0)), True),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_goes_only_where_it_stays_one(name: str) -> None:
    """Channels that are 2.5 everywhere."""
    step, stays = CONSTANTS[name]
    bias = np.array([1.0, 2.5, 0, -1, 2.5, 3])
    assert behind(step, bias=bias) == ((4, 4) if stays else (6, 6))


def test_a_sum_of_as_many_as_come_is_no_constant() -> None:
    net = Net(("n", 3, "h", 6), DOUBLE)
    total = net.op("ReduceSum", maps(net, bias=np.full(6, 2.5)), net.const(np.array([2, 3])), keepdims=1)
    result = same(net.model(net.conv(total, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result)["a"][0] == 6


DECIDED: dict[str, tuple[Step, bool]] = {
    "leaky by hand": (lambda net, x: net.op("Where", net.op("Greater", x, net.const(0.0)), x,
                                            net.op("Mul", x, net.const(0.1))), True),
    "no": (lambda net, x: net.op("Where", net.op("Not", net.op("Less", x, net.const(2.0))), x, net.const(0.5)), True),
    "both": (lambda net, x: net.op("Cast", net.op("And", net.op("Less", x, net.const(3.0)),
                                                  net.op("Greater", x, net.const(1.0))), to=11), True),
    "a tie": (lambda net, x: net.op("Where", net.op("Greater", x, net.const(2.5)), x, net.const(0.5)), False),
    "nearly": (lambda net, x: net.op("Where", net.op("Less", x, net.const(2.500001)), x, net.const(0.5)), False),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_what_constants_decide_is_constant_unless_rounding_decides(name: str) -> None:
    """Channels that are 2.5 everywhere."""
    step, goes = DECIDED[name]
    assert behind(step, bias=np.array([1.0, 2.5, 0, -1, 2.5, 3])) == ((4, 4) if goes else (6, 6))


def test_channels_that_are_zero_decide() -> None:
    assert behind(lambda net, x: net.op("Where", net.op("Greater", x, net.const(0.0)), x, net.const(-1.0))) == (4, 4)


def test_a_group_that_is_constant_becomes_its_bias() -> None:
    parts = [np.arange(1.0, 7), np.arange(6.0)]
    net = Net(("n", 3, 6, 6), DOUBLE)
    weight, bias = zero_rows(net.normal(6, 3, 1, 1), 2, 3), np.arange(6.0)
    value = net.conv("x", weight, bias, "a")
    value = net.op("GroupNormalization", value, *map(net.const, parts), num_groups=3, stash_type=TensorProto.DOUBLE)
    model = net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b"), opset=21)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.DOUBLE, (2, 2, 6, 6))
    )
    assert shapes(same(model)) == {"a": (4, 3, 1, 1), "b": (2, 4, 1, 1)}


@pytest.mark.parametrize("filling", [0.0, 1.5])
def test_padding_of_channels_adds_constant_ones(filling: float) -> None:
    step = node("Pad", np.array([0, 2, 0, 0, 0, 1, 0, 0]), np.array(filling))
    assert behind(step, width=9) == (4, 4)


def test_several_constants_before_zero_padding_fold_into_one() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = maps(net, 6, (0, 2, 3), np.array([1.0, 7, -2, 0.5, 3, 1]))
    reader = net.conv(value, net.normal(4, 6, 3, 3), net.normal(4), "b", pads=[1] * 4)
    result = same(net.model(net.conv(reader, net.normal(2, 4, 1, 1))))
    assert shapes(result)["a"] == (4, 3, 1, 1)
    assert shapes(result)["b"] == (4, 4, 3, 3)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_split_loses_channels_of_each_part(opset: int) -> None:
    sizes: dict[str, Any] = {"split": [2, 4]} if opset < 13 else {}
    net = Net(("n", 3, 6, 6), DOUBLE)
    parts = net.op(
        "Split",
        maps(net, 6, (1, 4, 5)),
        *([] if opset < 13 else [net.const(np.array([2, 4]))]),
        outputs=2,
        **sizes,
        axis=1,
    )
    readers = [
        net.conv(part, net.normal(2, width, 1, 1), name=name)
        for part, width, name in ((parts, 2, "b"), (f"{parts}_1", 4, "c"))
    ]
    result = same(net.model(net.op("Add", *readers), opset=opset))
    assert shapes(result) == {"a": (3, 3, 1, 1), "b": (2, 1, 1, 1), "c": (2, 2, 1, 1)}


def test_a_part_of_which_nothing_is_read_goes_as_a_whole() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    parts = net.op("Split", maps(net, 6, ()), net.const(np.array([3, 3])), outputs=2, axis=1)
    reader = net.normal(2, 6, 1, 1)
    reader[:, :3] = 0
    joined = net.op("Concat", net.op("Relu", parts), net.op("Neg", f"{parts}_1"), axis=1)
    result = same(net.model(net.conv(joined, reader, name="b")))
    assert shapes(result) == {"a": (3, 3, 1, 1), "b": (2, 3, 1, 1)}
    assert "Split" not in ops(result)


@pytest.mark.parametrize("bounds", [(1, 5, 1), (0, 6, 2), (5, -7, -1), (-4, 2**62, 1)])
def test_a_range_of_channels(bounds: tuple[int, int, int]) -> None:
    taken = list(range(6))[slice(*bounds)]
    step = node("Slice", *[np.array([number]) for number in (bounds[0], bounds[1], 1, bounds[2])])
    alive = [channel for channel in taken if channel not in (1, 4)]
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = step(net, maps(net))
    result = same(net.model(net.conv(value, net.normal(2, len(taken), 1, 1), name="b")))
    assert shapes(result)["a"][0] == len(alive)  # channels that are not taken are unread
    assert shapes(result)["b"][1] == len(alive)


def test_a_range_of_channels_among_ranges_of_other_axes() -> None:
    step = node("Slice", np.array([0, 1, 2]), np.array([2**62, 5, 6]), np.array([0, 1, 2]))
    assert behind(step, width=4) == (2, 2)


def test_gathered_channels_are_chosen_anew() -> None:
    assert behind(node("Gather", np.array([5, 4, 0, 1, 1, -4]), axis=1)) == (3, 3)


def test_one_gathered_position_keeps_the_channels() -> None:
    net = Net(("n", 5, 8), DOUBLE)
    rows = net.op("Relu", net.op("MatMul", "x", net.const(zero_rows(net.normal(6, 8), 0, 1).T, "a")))
    token = net.op("Gather", rows, net.const(np.array(0)), axis=1)
    result = same(net.model(net.gemm(token, net.normal(2, 6), None, "b")))
    assert shapes(result) == {"a": (8, 4), "b": (2, 4)}


def test_concatenated_constants_are_cut_too() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    joined = net.op(
        "Concat",
        maps(net),
        net.op("Expand", net.const(np.full((1, 2, 6, 6), 3.0)), net.const(np.array([1, 2, 6, 6]))),
        axis=1,
    )
    net.inputs["x"] = (1, 3, 6, 6)
    result = same(net.model(net.conv(joined, net.normal(2, 8, 1, 1), np.ones(2), "b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "b": (2, 4, 1, 1)}
    assert "Concat" not in ops(result) or len(result.model.graph.node) <= 3


@pytest.mark.parametrize("axis", [2, 3])
def test_concatenation_of_images(axis: int) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    other = net.conv("x", zero_rows(net.normal(6, 3, 1, 1), 1, 5), None, "other")
    joined = net.op("Concat", maps(net), other, net.const(np.zeros((1, 6, 6, 6))), axis=axis)
    net.inputs["x"] = (1, 3, 6, 6)
    result = same(net.model(net.conv(joined, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result) == {"a": (5, 3, 1, 1), "other": (5, 3, 1, 1), "b": (2, 5, 1, 1)}


@pytest.mark.parametrize("strides", [[1, 1], [2, 2]])
def test_transposed_convolutions(strides: list[int]) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    weight = net.normal(6, 5, 2, 2)
    weight[:, 3] = 0
    value = net.op("ConvTranspose", maps(net), net.const(weight, "t"), net.const(net.normal(5)), strides=strides)
    result = same(net.model(net.conv(value, net.normal(2, 5, 1, 1), np.ones(2), "b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "t": (4, 4, 2, 2), "b": (2, 4, 1, 1)}


def test_a_constant_does_not_pass_a_transposed_convolution() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = maps(net, 6, (1, 4), np.array([0, 2.0, 0, 0, 3.0, 0]))
    value = net.op("ConvTranspose", value, net.const(net.normal(6, 5, 3, 3), "t"), strides=[2, 2])
    result = same(net.model(net.conv(value, net.normal(2, 5, 1, 1), name="b")))
    assert shapes(result)["t"] == (5, 5, 3, 3)  # the two constants are folded into one, which stays


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize(
    ("dead", "groups", "left"),
    [((0, 1), 2, 4), ((0, 1, 2), 1, 3), ((0, 3), 2, 4), ((0, 1, 4), 2, 4), ((1, 2, 3, 5), 2, 2), ((0,), 2, 6)],
)
def test_groups_lose_as_many_channels_each_or_go_as_a_whole(
    kind: str, dead: tuple[int, ...], groups: int, left: int
) -> None:
    """Six channels in two groups of three; `dead` ones are zero; what a group makes of nothing is zero."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    weight = net.normal(4, 3, 3, 3) if kind == "Conv" else net.normal(6, 2, 3, 3)
    value = net.op(kind, maps(net, 6, dead), net.const(weight, "g"), group=2)
    result = same(net.model(net.conv(value, net.normal(2, 4, 1, 1), name="b")))
    if dead == (0, 1):  # one group has two dead channels, the other none
        groups, left = 2, 6
    if dead == (0, 1, 4):
        groups, left = 2, 4
    assert shapes(result)["a"] == (left, 3, 1, 1)
    made = 2 * groups
    assert shapes(result)["g"][:2] == ((made, left // groups) if kind == "Conv" else (left, 2))
    assert shapes(result)["b"] == (2, made, 1, 1)


def test_outputs_of_groups_that_nobody_reads() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    reader = net.normal(2, 8, 1, 1)
    reader[:, [0, 2, 5, 7]] = 0
    value = net.conv(maps(net, 6, ()), net.normal(8, 3, 3, 3), net.normal(8), "g", group=2)
    assert shapes(same(net.model(net.conv(value, reader, name="b"))))["g"] == (4, 3, 3, 3)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_needs_all_channels_of_a_pixel(mode: str) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    order = np.arange(12).reshape((4, 3) if mode == "DCR" else (3, 4))
    dead = order[:, 1] if mode == "DCR" else order[1]
    value = net.op("DepthToSpace", maps(net, 12, (0, *dead.tolist())), blocksize=2, mode=mode)
    result = same(net.model(net.conv(value, net.normal(2, 3, 1, 1), name="b")))
    assert shapes(result) == {"a": (8, 3, 1, 1), "b": (2, 2, 1, 1)}


def test_space_to_depth() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("SpaceToDepth", maps(net), blocksize=2)
    result = same(net.model(net.conv(value, net.normal(2, 24, 1, 1), name="b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "b": (2, 16, 1, 1)}


@pytest.mark.parametrize("kind", ["flatten", "reshape", "flatten axis 2", "global"])
def test_channels_that_come_last_as_keras_has_them(kind: str) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("Transpose", net.op("Relu", maps(net)), perm=[0, 2, 3, 1])
    width = 216
    if kind == "flatten":
        value = net.op("Flatten", value)
    elif kind == "reshape":
        value = net.op("Reshape", value, net.const(np.array([-1, 216])))
    elif kind == "global":
        value, width = net.op("ReduceMean", value, net.const(np.array([1, 2])), keepdims=0), 6
    else:
        net.inputs["x"], width = (1, 3, 6, 6), 36
        value = net.op("Flatten", value, axis=2)
    result = same(net.model(net.gemm(value, net.normal(2, width), None, "b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "b": (2, width * 4 // 6)}


def test_rows_that_become_an_image() -> None:
    net = Net(("n", 8), DOUBLE)
    rows = net.op("Relu", net.gemm("x", zero_rows(net.normal(24, 8), *range(4, 8), 9, 20), None, "a"))
    image = net.op("Reshape", rows, net.const(np.array([-1, 6, 2, 2])))
    result = same(net.model(net.op("ConvTranspose", image, net.const(net.normal(6, 2, 2, 2), "t"))))
    assert shapes(result) == {"a": (20, 8), "t": (5, 2, 2, 2)}  # one of six channels is zero everywhere


@pytest.mark.parametrize("groups", [2, 3])
def test_a_shuffle_of_channels(groups: int) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("Reshape", net.op("Relu", maps(net)), net.const(np.array([0, groups, 6 // groups, 6, 6])))
    value = net.op("Transpose", value, perm=[0, 2, 1, 3, 4])
    value = net.op("Reshape", value, net.const(np.array([0, 6, 6, 6])))
    result = same(net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "b": (2, 4, 1, 1)}
    assert ("Gather" in ops(result)) == (groups == 3)  # one dead channel in each of two groups, at the same place


@pytest.mark.parametrize("seed", range(3))
def test_a_shuffle_between_layers_in_groups(seed: int) -> None:
    """Each group of the one goes to all groups of the other: what goes is the fewest of any group, in each."""
    net = Net(("n", 36, 4, 4), DOUBLE, seed)
    dead = net.rng.choice(36, 20, replace=False)
    left, right = (np.bincount(part, minlength=3) for part in (dead // 12, dead % 12 // 4))
    most = 3 * int(min(left.min(), right.min()))
    value = net.op("Relu", net.conv("x", zero_rows(net.normal(36, 12, 1, 1), *dead), None, "a", group=3))
    value = net.op("Reshape", value, net.const(np.array([0, 3, 12, 4, 4])))
    value = net.op("Reshape", net.op("Transpose", value, perm=[0, 2, 1, 3, 4]), net.const(np.array([0, 36, 4, 4])))
    result = same(net.model(net.conv(value, net.normal(36, 12, 1, 1), name="b", group=3)))
    assert shapes(result) == {"a": (36 - most, 12, 1, 1), "b": (36, 12 - most // 3, 1, 1)}


def test_a_shuffle_without_dead_channels_stays_as_it_is() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("Reshape", maps(net, 6, ()), net.const(np.array([0, 2, 3, 6, 6])))
    value = net.op("Reshape", net.op("Transpose", value, perm=[0, 2, 1, 3, 4]), net.const(np.array([0, 6, 6, 6])))
    result = same(net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b")))
    assert ops(result) == ["Conv", "Reshape", "Transpose", "Reshape", "Conv"]


@pytest.mark.parametrize("side", ["right", "left", "right with axes of length 1"])
def test_products_with_a_weight(side: str) -> None:
    net = Net(("n", 2, 5, 8), DOUBLE)
    dead = zero_rows(net.normal(6, 8), 1, 4)
    if side == "left":
        net.inputs["x"] = ("n", 2, 8, 5)
        value = net.op("Sigmoid", net.op("MatMul", net.const(dead, "a"), "x"))
        result = same(net.model(net.op("MatMul", net.const(net.normal(3, 6), "b"), value)))
        assert shapes(result) == {"a": (4, 8), "b": (3, 4)}
        return
    weight, reader = dead.T, net.normal(6, 3)
    if side != "right":
        weight, reader = weight[None], reader[None, None]
    value = net.op("Sigmoid", net.op("MatMul", "x", net.const(weight, "a")))
    result = same(net.model(net.op("MatMul", value, net.const(reader, "b"))))
    assert (shapes(result)["a"][-2:], shapes(result)["b"][-2:]) == ((8, 4), (4, 3))


def test_gemm_of_a_transposed_input() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Gemm", "x", net.const(zero_rows(net.normal(5, 8), 0).T, "a"), net.const(np.ones(5)))
    turned = net.op("Gemm", net.op("Transpose", hidden), net.const(net.normal(5, 3), "b"), transA=1)
    assert shapes(same(net.model(turned))) == {"a": (8, 4), "b": (4, 3)}


HEADS, WIDTH = 3, 4


def attention(
    dead: dict[str, list[int]], unread: list[int] | None = None, static: bool = True
) -> dict[str, tuple[int, ...]]:
    """The shapes left of one block of attention over 3 heads of 4 dimensions; `dead` are zero outputs of q, k, v."""
    net = Net((2, 5, 8) if static else ("n", "steps", 8), DOUBLE)
    batch, steps = (2, 5) if static else (0, 0)

    def part(name: str, perm: list[int]) -> str:
        rows = net.op("MatMul", "x", net.const(zero_rows(net.normal(12, 8), *dead.get(name, [])).T, name))
        bias = net.normal(12)
        bias[dead.get(name, [])] = 0
        rows = net.op("Add", rows, net.const(bias))
        split = net.op("Reshape", rows, net.const(np.array([batch, steps, HEADS, WIDTH])))
        return net.op("Transpose", split, perm=perm)

    scores = net.op("MatMul", part("q", [0, 2, 1, 3]), part("k", [0, 2, 3, 1]))
    scores = net.op("Softmax", net.op("Mul", scores, net.const(np.array(0.5))), axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", scores, part("v", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    joined = net.op("Reshape", mixed, net.const(np.array([batch, steps, HEADS * WIDTH])))
    out = net.normal(12, 8)
    out[unread or []] = 0
    return shapes(same(net.model(net.op("MatMul", joined, net.const(out, "o")))))


@pytest.mark.parametrize("static", [True, False])
def test_a_head_whose_values_are_zero_goes_with_its_queries_and_keys(static: bool) -> None:
    assert attention({"v": [4, 5, 6, 7]}, static=static) == {"q": (8, 8), "k": (8, 8), "v": (8, 8), "o": (8, 8)}


def test_a_head_that_nobody_reads_goes() -> None:
    assert attention({}, unread=[8, 9, 10, 11]) == {"q": (8, 8), "k": (8, 8), "v": (8, 8), "o": (8, 8)}


def test_as_many_dimensions_of_each_head_go() -> None:
    """One of four in each head, at different places."""
    assert attention({"v": [0, 6, 11]}) == {"q": (8, 12), "k": (8, 12), "v": (8, 9), "o": (9, 8)}


def test_a_dimension_that_is_zero_in_the_queries_goes_from_the_keys() -> None:
    assert attention({"q": [1, 4, 11], "k": [2]}) == {"q": (8, 9), "k": (8, 9), "v": (8, 12), "o": (12, 8)}


def test_dimensions_of_some_heads_stay() -> None:
    assert attention({"v": [0, 1, 6]}) == {"q": (8, 12), "k": (8, 12), "v": (8, 12), "o": (12, 8)}


def test_queries_keys_and_values_in_one_product() -> None:
    net = Net((2, 5, 8), DOUBLE)
    weight = net.normal(36, 8)
    weight[24 + 4 : 24 + 8] = 0  # the values of the second of three heads
    rows = net.op("Reshape", net.op("MatMul", "x", net.const(weight.T, "qkv")), net.const(np.array([2, 5, 3, 3, 4])))
    turned = net.op("Transpose", rows, perm=[2, 0, 3, 1, 4])
    q, k, v = (net.op("Gather", turned, net.const(np.array(index)), axis=0) for index in range(3))
    scores = net.op("Softmax", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    joined = net.op("Reshape", mixed, net.const(np.array([2, 5, 12])))
    result = same(net.model(net.op("MatMul", joined, net.const(net.normal(12, 8), "o"))))
    assert shapes(result) == {"qkv": (8, 24), "o": (8, 8)}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_layer_reads_fewer_channels(kind: str, gates: int, bias: bool) -> None:
    net = Net((7, 2, 8), DOUBLE)
    rows = net.op("MatMul", "x", net.const(zero_rows(net.normal(6, 8), 1, 4).T, "a"))
    rows = net.op("Sigmoid", rows)  # the dead channels are one half
    parts = [net.normal(1, gates * 3, 6), net.normal(1, gates * 3, 3)] + ([net.normal(1, gates * 6)] if bias else [])
    value = net.op(kind, rows, *[net.const(part, f"r{index}") for index, part in enumerate(parts)], hidden_size=3)
    result = same(net.model(value))
    kept = {tensor.name: tuple(tensor.dims) for tensor in result.model.graph.initializer}
    assert shapes(result)["a"] == (8, 4)
    assert kept["r0"] == (1, gates * 3, 4)


def test_layers_that_share_a_weight_lose_the_same_channels() -> None:
    """The head of a detector at two scales."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    levels = [maps(net), net.conv("x", zero_rows(net.normal(6, 3, 2, 2), 1, 4), None, "level", strides=[2, 2])]
    weight = net.const(zero_rows(net.normal(5, 6, 1, 1), 2), "head")
    bias = net.const(net.normal(5))
    heads = [net.op("Sigmoid", net.op("Conv", level, weight, bias)) for level in levels]
    last = net.const(net.normal(2, 5, 1, 1), "last")
    result = same(net.model(*[net.op("Conv", head, last) for head in heads]))
    assert shapes(result) == {"a": (4, 3, 1, 1), "level": (4, 3, 2, 2), "head": (4, 4, 1, 1), "last": (2, 4, 1, 1)}
    assert len(result.model.graph.initializer) == 6  # one weight and one bias for both


def test_a_shared_weight_keeps_what_one_reader_needs() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    levels = [maps(net), net.conv("x", zero_rows(net.normal(6, 3, 1, 1), 1), None, "level")]
    weight = net.const(net.normal(5, 6, 1, 1), "head")
    result = same(net.model(net.op("Add", *[net.op("Conv", level, weight) for level in levels])))
    assert shapes(result) == {"a": (5, 3, 1, 1), "level": (5, 3, 1, 1), "head": (5, 5, 1, 1)}


def test_columns_of_a_table_that_nobody_reads() -> None:
    net = Net((2, 5, 4), DOUBLE)
    table = net.const(net.normal(11, 6), "table")
    rows = net.op("Gather", table, net.const(np.array([[3, 4], [1, 1]])), axis=0)
    ids = net.op("Cast", net.op("Abs", net.op("Floor", net.op("Clip", "x", net.const(0.0), net.const(9.0)))), to=7)
    rows = net.op("Gather", table, ids, axis=0)
    reader = net.normal(6, 3)
    reader[[0, 2]] = 0
    result = same(net.model(net.op("MatMul", rows, net.const(reader, "b"))))
    assert shapes(result)["b"] == (4, 3)


def test_a_decision_between_two_images() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    other = net.conv("x", zero_rows(net.normal(6, 3, 1, 1), 1, 5), None, "other")
    first = maps(net)
    value = net.op("Where", net.op("Greater", first, net.const(0.1)), first, other)
    reader = net.normal(2, 6, 1, 1)
    reader[:, [1, 3]] = 0
    result = same(net.model(net.conv(value, reader, name="b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "other": (4, 3, 1, 1), "b": (2, 4, 1, 1)}


@pytest.mark.parametrize(("dead", "left"), [((0, 1), 4), ((0, 2), 6)])
def test_groups_that_are_normalised_together(dead: tuple[int, ...], left: int) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    reader = net.normal(2, 6, 1, 1)
    reader[:, list(dead)] = 0
    scale, shift = net.const(net.normal(6)), net.const(net.normal(6))
    value = net.op("GroupNormalization", maps(net, 6, ()), scale, shift, num_groups=3)
    model = net.model(net.conv(net.op("Relu", value), reader, name="b"), opset=21)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.DOUBLE, (2, 2, 6, 6))
    )
    assert shapes(same(model))["a"][0] == left


def test_resizing_to_the_size_of_another_image() -> None:
    """Sizes that are computed keep their other entries."""
    net = Net(("n", 3, "h", "w"), DOUBLE)
    value = net.op("Relu", maps(net))
    batch = net.op("Slice", net.op("Shape", value), net.const(np.array([0])), net.const(np.array([1])))
    size = net.op("Slice", net.op("Shape", "x"), net.const(np.array([2])), net.const(np.array([4])))
    sizes = net.op("Concat", batch, net.const(np.array([6])), size, axis=0)
    value = net.op("Resize", value, "", "", sizes, mode="nearest")
    result = same(net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result) == {"a": (4, 3, 1, 1), "b": (2, 4, 1, 1)}


def test_what_keeps_dead_channels_is_said() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("LRN", maps(net), size=3)
    result = same(net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result)["a"] == (6, 3, 1, 1)
    assert "kept channels that are constant: 2 before LRN" in sentences(result)


def test_a_number_of_channels_that_is_read_is_not_what_keeps_those_that_vary() -> None:
    """Constant channels meet varying ones in a sum, of whose shape zeros are made: they would stay without that too."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    highest = net.op("ReduceMax", "x", axes=[1, 2, 3], keepdims=0)
    positive = net.op("NonZero", net.op("Greater", highest, net.const(np.array(0.0))))
    places = net.op("Squeeze", positive, net.const(np.array([0])))
    both = net.op("Add", maps(net), net.conv("x", net.normal(6, 3, 1, 1), name="other"))
    rows = net.op("Gather", both, places, axis=0)
    zeros = net.op("ReduceSum", net.op("ConstantOfShape", net.op("Shape", rows)), net.const(np.array([1, 2, 3])))
    read = net.conv(rows, net.normal(2, 6, 1, 1), name="b")
    model = net.model(net.op("Add", read, net.op("Cast", zeros, to=TensorProto.DOUBLE)), opset=17)
    result = same(model)
    assert shapes(result)["a"] == (6, 3, 1, 1)
    assert "before Shape" not in sentences(result)
    assert "kept 2 constant channels that sums or concatenations join with channels that vary" in sentences(result)


@pytest.mark.parametrize(
    ("filling", "mode", "left"), [(None, "constant", 6), (1.5, "constant", 4), (None, "edge", 4), (None, "reflect", 4)]
)
def test_a_border_of_zeros_keeps_constants_other_than_zero_and_says_so(
    filling: float | None, mode: str, left: int
) -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    weight, bias = net.normal(6, 3, 1, 1), net.normal(6)
    weight[[1, 3]], bias[[1, 3]] = 0, 1.5
    value = net.conv("x", weight, bias, name="a")
    amounts = net.const(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    more = [] if filling is None else [net.const(np.array(filling))]
    value = net.op("Pad", value, amounts, *more, mode=mode)
    result = same(net.model(net.conv(value, net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result)["a"][0] == left
    kept = "kept channels that are constant: 2 before Pad, behind which they vary"
    assert (kept in sentences(result)) == (left == 6)


def test_a_sum_is_not_named_as_what_makes_constants_vary() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    other = net.conv("x", net.normal(6, 3, 1, 1), name="other")
    result = same(net.model(net.conv(net.op("Add", maps(net), other), net.normal(2, 6, 1, 1), name="b")))
    assert not any("behind which they vary" in sentence for sentence in sentences(result))


def test_channels_that_vary_in_another_branch_are_said_to_stay() -> None:
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("Add", maps(net), net.conv("x", net.normal(6, 3, 1, 1)))
    result = same(net.model(net.conv(net.op("Relu", value), net.normal(2, 6, 1, 1), name="b")))
    assert shapes(result)["a"] == (6, 3, 1, 1)
    assert "kept 2 constant channels that sums or concatenations join with channels that vary" in sentences(result)


def test_channels_that_stay_because_groups_are_even_are_said() -> None:
    net = Net(("n", 4, 6, 6), DOUBLE)
    value = net.op("Relu", net.conv("x", zero_rows(net.normal(6, 2, 1, 1), 0, 1, 4), None, "a", group=2))
    result = same(net.model(net.conv(value, net.normal(2, 3, 1, 1), name="b", group=2)))
    assert shapes(result)["a"] == (4, 2, 1, 1)
    assert "kept 1 dead channel: the groups of a convolution, or heads, have as many each" in sentences(result)


def test_what_stays_for_blocks_is_said() -> None:
    """Of 10 channels 9 are alive, and there are no 12; of 13 with 9 alive, 12 stay."""
    for count, dead, left in ((10, (3,), 9), (13, (0, 3, 4, 7), 12)):
        net = Net(("n", 3, 6, 6), DOUBLE)
        value = net.op("Relu", maps(net, count, dead))
        result = same(net.model(net.conv(value, net.normal(2, count, 1, 1))))
        assert shapes(result)["a"][0] == left
        assert ("kept 3 dead channels: ONNX Runtime computes" in sentences(result)) == (left == 12)


@pytest.mark.parametrize(("lanes", "left"), [(1, 10), (4, 12)])
def test_convolutions_may_keep_a_multiple_of_channels(lanes: int, left: int) -> None:
    """ONNX Runtime blocks convolutions that read a multiple of 4."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    value = net.op("Relu", maps(net, 16, (0, 3, 4, 7, 11, 15)))
    model = net.model(net.conv(net.conv(value, net.normal(16, 1, 3, 3), None, "d", group=16), net.normal(2, 16, 1, 1)))
    result = simplify(model, lanes=lanes)
    inputs = feed(model)
    np.testing.assert_allclose(run_reference(result.model, inputs)[0], run_reference(model, inputs)[0], atol=1e-12)
    assert shapes(result)["a"][0] == shapes(result)["d"][0] == left


def test_what_stays_for_one_convolution_unbalances_no_other() -> None:
    """Of 8 and 13 channels, which one convolution reads together, the 13 become 16: another one reads the 8 alone."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    first = net.op("Relu", maps(net, 16, tuple(range(0, 16, 2))))
    second = net.op("Relu", net.conv("x", zero_rows(net.normal(16, 3, 1, 1), 2, 5, 9), None, "b"))
    alone = net.conv(first, net.normal(2, 16, 1, 1), None, "alone")
    together = net.conv(net.op("Concat", first, second, axis=1), net.normal(2, 32, 1, 1), None, "together")
    result = same(net.model(net.op("Add", alone, together)))
    assert {name: shape[:2] for name, shape in shapes(result).items()} == {
        "a": (8, 3), "b": (16, 3), "alone": (2, 8), "together": (2, 24),
    }  # fmt: skip


def test_convolutions_that_share_what_they_read_do_not_keep_all_of_it() -> None:
    """Each two of three layers with 9 of 32 channels alive: of each, 12 stay, and any two of them are 24."""
    net = Net(("n", 3, 6, 6), DOUBLE)
    made = [net.op("Relu", maps(net, 32, tuple(range(9, 32)))) if index == 0 else
            net.op("Relu", net.conv("x", zero_rows(net.normal(32, 3, 1, 1), *range(9, 32)), None, "bc"[index - 1]))
            for index in range(3)]  # fmt: skip
    pairs = [net.op("Concat", made[i], made[j], axis=1) for i, j in ((0, 1), (1, 2), (0, 2))]
    read = [net.conv(pair, net.normal(2, 64, 1, 1), None, f"pair{index}") for index, pair in enumerate(pairs)]
    result = same(net.model(net.op("Sum", *read)))
    left = {name: shape[:2] for name, shape in shapes(result).items()}
    assert left == {**dict.fromkeys("abc", (12, 3)), **dict.fromkeys(("pair0", "pair1", "pair2"), (2, 24))}


FOREIGN: dict[str, tuple[str, dict[str, object]]] = {
    "Scaler": ("ai.onnx.ml", {"offset": [0.5], "scale": [2.0]}),
    "Normalizer": ("ai.onnx.ml", {"norm": "L2"}),
    "Gelu": ("com.microsoft", {}),
    "QuickGelu": ("com.microsoft", {}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_layers_behind_an_operator_of_another_domain(kind: str) -> None:
    """The file says nothing of the operator's result; it has the shape of its input."""
    domain, attributes = FOREIGN[kind]
    net = Net(("n", 3))
    value = net.op(kind, "x", domain=domain, **attributes)
    hidden = net.op("Add", net.op("MatMul", value, net.const(zero_rows(net.normal(6, 3), 1, 4).T, "a")),
                    net.const(net.normal(6)))  # fmt: skip
    model = net.model(net.op("MatMul", net.op("Relu", hidden), net.const(net.normal(6, 2), "b")), extra=domain)
    result = simplify(model)
    assert shapes(result) == {"a": (3, 4), "b": (4, 2)}
    inputs = feed(model)
    (before,), (after,) = (
        runtime.run(runtime.cpu_session(which.SerializeToString()), inputs).values() for which in (model, result.model)
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "encoding",
    [{"classes_strings": ["", "a", "b"]}, {"keys_strings": ["", "a", "b"], "values_int64s": [0, 1, 2]}],
    ids=["first version", "second version"],
)
def test_layers_behind_an_encoder_of_texts(encoding: dict[str, object]) -> None:
    """A LabelEncoder returns the shape of its input, which onnx does not infer for the first version."""
    net = Net(("n", 5))
    first = "classes_strings" in encoding
    rows = net.op("Gather", net.const(net.normal(3, 3)), net.op("LabelEncoder", "x", domain="ai.onnx.ml", **encoding))
    hidden = net.op("Add", net.op("MatMul", rows, net.const(zero_rows(net.normal(6, 3), 1, 4).T, "a")),
                    net.const(net.normal(6)))  # fmt: skip
    model = net.model(net.op("MatMul", net.op("Relu", hidden), net.const(net.normal(6, 2), "b")), extra="ai.onnx.ml")
    model.opset_import[1].version = 1 if first else 2
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    result = simplify(model)
    assert shapes(result) == {"a": (3, 4), "b": (4, 2)}
    inputs = {"x": np.array([["a", "b", "", "b", "a"]], object)}
    (before,), (after,) = (
        runtime.run(runtime.cpu_session(which.SerializeToString()), inputs).values() for which in (model, result.model)
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_layers_behind_a_reshape_to_a_computed_shape() -> None:
    """How many entries the target has says the rank; onnx infers none up to opset 13."""
    net = Net(("n", 4, 4), DOUBLE)
    batch = net.op("Gather", net.op("Shape", "x"), net.const(np.array([0])))
    twice = net.op("Mul", net.op("Cast", batch, to=TensorProto.DOUBLE), net.const(np.array([2.0])))
    target = net.op("Cast", net.op("Concat", twice, net.const(np.array([-1.0, 8.0])), axis=0), to=TensorProto.INT64)
    rows = net.op("MatMul", net.op("Reshape", "x", target), net.const(net.normal(8, 4), "first"))
    hidden = net.op("MatMul", rows, net.const(zero_rows(net.normal(6, 4), 1, 4).T, "a"))
    model = net.model(net.op("MatMul", net.op("Relu", hidden), net.const(net.normal(6, 2), "b")), opset=12)
    for axis in ("a", "b", "c"):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_param = axis
    result = same(model)
    assert shapes(result) == {"first": (8, 4), "a": (4, 4), "b": (4, 2)}
