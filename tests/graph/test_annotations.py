"""Shapes that a file says of its values stay in it, and are right where channels were removed."""

from __future__ import annotations

import numpy as np
import onnx
from nets import Net, zero_rows
from onnx import TensorProto, helper

from edgeticket.graph.simplify import simplify

Dims = list[int | str | None]


def _dims(entries: object) -> dict[str, Dims]:
    return {
        entry.name: [
            dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else None)
            for dim in entry.type.tensor_type.shape.dim
        ]
        for entry in entries  # type: ignore[attr-defined]
    }


def _annotated(model: onnx.ModelProto, **shapes: Dims) -> onnx.ModelProto:
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()
    )
    return model


def _network() -> tuple[onnx.ModelProto, list[str]]:
    """Conv (a dead channel of 4), Relu, Conv: the names of what each gives."""
    net = Net(("n", 3, "h", 6))
    first = net.conv("x", zero_rows(net.normal(4, 3, 1, 1), 1), None, "a")
    second = net.op("Relu", first)
    third = net.conv(second, net.normal(2, 4, 1, 1), None, "b")
    return net.model(net.op("Sigmoid", third)), [first, second, third]


def test_what_was_said_stays_and_follows_removed_channels() -> None:
    model, (first, second, third) = _network()
    given = {first: ["n", 4, "h", 6], second: ["batch", 4, "rows", 6], third: ["n", 2, None, 6]}
    result = simplify(_annotated(model, **given))
    assert _dims(result.model.graph.value_info) == {
        first: ["n", 3, "h", 6], second: ["batch", 3, "rows", 6], third: ["n", 2, None, 6],
    }  # fmt: skip
    assert _dims(result.model.graph.input) == {"x": ["n", 3, "h", 6]}


def test_nothing_is_said_of_what_nothing_was_said_of() -> None:
    model, (first, _, _) = _network()
    assert not simplify(model).model.graph.value_info
    assert list(_dims(simplify(_annotated(model, **{first: ["n", 4, "h", 6]})).model.graph.value_info)) == [first]


def test_what_the_inputs_contradict_is_put_right() -> None:
    """As where somebody frees the batch of an exported file by hand, and leaves the rest."""
    model, (first, second, third) = _network()
    result = simplify(_annotated(model, **{first: [1, 4, 9, 6], second: [1, 4, 6], third: [1, 2, 9, 6]}))
    assert _dims(result.model.graph.value_info) == {
        first: ["n", 3, None, 6], second: ["n", 3, None, 6], third: ["n", 2, None, 6],
    }  # fmt: skip


def test_a_dimension_without_a_name_contradicts_a_number_too() -> None:
    model, (first, _, _) = _network()
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    result = simplify(_annotated(model, **{first: [1, 4, "h", 6]}))
    assert _dims(result.model.graph.value_info) == {first: [None, 3, "h", 6]}


def test_what_inference_cannot_find_stays_as_it_was_said() -> None:
    net = Net(("n", 4))
    strange = net.op("Mystery", "x", domain="some.where")
    picked = net.op("NonZero", "x")
    other = net.op("Gather", net.op("Relu", strange), net.op("Transpose", picked))
    model = _annotated(net.model(net.op("Abs", other), extra="some.where"), **{strange: [7, "k"], other: ["n", 3, 9]})
    entries = _dims(simplify(model).model.graph.value_info)
    assert entries[strange] == [7, "k"]
    assert len(entries[other]) == 3


def test_declared_outputs_keep_their_shapes_and_names() -> None:
    model, _ = _network()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(model.graph.output[0].name, 1, ["b", 2, "r", 6]))
    result = simplify(model)
    assert _dims(result.model.graph.output) == _dims(model.graph.output)
    assert np.array_equal([entry.name for entry in result.model.graph.output], [model.graph.output[0].name])


def test_bodies_get_no_shapes_that_the_file_did_not_give() -> None:
    """A model with many small branches grew by 2 % of shapes that were inferred inside them."""

    def branch(name: str, *said: onnx.ValueInfoProto) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Relu", ["x"], [f"{name}_r"]),
            helper.make_node("Neg", [f"{name}_r"], [f"{name}_n"]),
            helper.make_node("Exp", [f"{name}_n"], [f"{name}_y"]),
        ]
        result = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [result], value_info=said)

    told = helper.make_tensor_value_info("a_r", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a", told), else_branch=branch("b"))
    inputs = [
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
    ]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    (left,) = simplify(model).model.graph.node
    shown = {entry.name: _dims(entry.g.value_info) for entry in left.attribute}
    assert shown == {"then_branch": {"a_r": ["n", 3]}, "else_branch": {}}
