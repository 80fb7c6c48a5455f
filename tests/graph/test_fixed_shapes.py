"""Shapes written into a graph: inputs, what follows from their names, outputs, and shape arithmetic that folds."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import Net
from onnx import TensorProto, helper

from edgeticket import runtime
from edgeticket.errors import InputError
from edgeticket.graph.reading.fixed_shapes import with_fixed_shapes
from edgeticket.graph.simplify import simplify


def _dims(value: onnx.ValueInfoProto) -> list[int | str | None]:
    return [
        dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else None)
        for dim in value.type.tensor_type.shape.dim
    ]


def _rows_of_pixels() -> onnx.ModelProto:
    """y [n, h·w, 4]: a convolution whose pixels are reshaped by computed sizes, as exporters write it."""
    net = Net(("n", 3, "h", "w"))
    maps = net.conv("x", net.normal(4, 3, 1, 1))
    sizes = net.op("Shape", maps)
    head = net.op("Slice", sizes, net.const(np.array([0])), net.const(np.array([2])))
    target = net.op("Concat", head, net.const(np.array([-1])), axis=0)
    return net.model(net.op("Transpose", net.op("Reshape", maps, target), perm=[0, 2, 1]))


def test_inputs_and_outputs_are_fixed_and_sizes_fold() -> None:
    model = _rows_of_pixels()
    fixed = with_fixed_shapes(model, {"x": (2, 3, 5, 4)})
    assert _dims(fixed.graph.input[0]) == [2, 3, 5, 4]
    assert _dims(fixed.graph.output[0]) == [2, 20, 4]
    assert _dims(model.graph.input[0]) == ["n", 3, "h", "w"], "the model that was given is not changed"
    made = simplify(fixed).model
    assert [node.op_type for node in made.graph.node] == ["Conv", "Reshape", "Transpose"]
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)}
    [wanted] = runtime.run(runtime.cpu_session(model.SerializeToString()), feed).values()
    [found] = runtime.run(runtime.cpu_session(made.SerializeToString()), feed).values()
    np.testing.assert_array_equal(found, wanted)


def test_a_name_means_one_number_everywhere() -> None:
    net = Net(("n", 4))
    net.inputs["z"] = ("n", "k")
    net.nodes.append(helper.make_node("Concat", ["x", "z"], ["y"], axis=1))
    model = net.model("y")
    model.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None]))
    fixed = with_fixed_shapes(model, {"x": (7, 4)})
    assert [_dims(value) for value in fixed.graph.input] == [[7, 4], [7, "k"]]
    assert _dims(fixed.graph.value_info[0])[0] == 7
    with pytest.raises(InputError, match=r"z=6x2: axis 0 would be 6, and 'n' is 7 in another input"):
        with_fixed_shapes(model, {"x": (7, 4), "z": (6, 2)})


def test_an_input_of_unknown_rank_gets_one() -> None:
    model = Net(("n", 4)).model("x")
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, None))
    assert _dims(with_fixed_shapes(model, {"x": (2, 4)}).graph.input[0]) == [2, 4]


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"q": (1, 4)}, "there is no input 'q' to give a shape; the inputs are x"),
        ({"x": (1, 4, 1)}, "x=1x4x1: the model declares 2 axes for it, not 3"),
        ({"x": (1, 5)}, "axis 1 would be 5, where it has 4"),
    ],
)
def test_what_contradicts_the_model_is_refused(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        with_fixed_shapes(Net(("n", 4)).model("x"), shapes)


def test_a_sequence_has_no_shape() -> None:
    model = Net(("n", 4)).model("x")
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    with pytest.raises(InputError, match="is no tensor"):
        with_fixed_shapes(model, {"x": (2, 4)})
