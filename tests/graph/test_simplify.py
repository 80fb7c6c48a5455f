"""The whole of simplify on odd but legal models: everything not understood passes through untouched."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import COPIES, Net, feed, same, sentences, shapes, zero_rows
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.passes.fold_batchnorm import fold_batchnorm
from edgeticket.graph.simplify import simplify

DOUBLE = np.float64


def test_unknown_operators_pass_through_and_stop_removal() -> None:
    net = Net(("n", 8))
    hidden = net.gemm("x", zero_rows(net.normal(5, 8), 1), None, "a")
    strange = net.op("Mystery", hidden, domain="some.where", secret=[1, 2])
    newer = net.op("NotYetInvented", strange)
    last = net.op("Relu", net.gemm(newer, zero_rows(net.normal(4, 5), 0), None, "b"))
    model = net.model(net.gemm(last, net.normal(3, 4), None, "c"), extra="some.where")
    result = simplify(model)
    assert shapes(result) == {"a": (5, 8), "b": (3, 5), "c": (3, 3)}
    [kept] = [node for node in result.model.graph.node if node.op_type == "Mystery"]
    assert kept.SerializeToString() == model.graph.node[1].SerializeToString()
    assert {entry.domain for entry in result.model.opset_import} == {"", "some.where"}


def test_weights_that_are_graph_inputs_too_are_left_alone() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.gemm("x", zero_rows(net.normal(5, 8), 1), None, "a")
    net.inputs["a"] = (5, 8)
    result = same(net.model(net.gemm(hidden, net.normal(4, 5), None, "b")))
    assert shapes(result) == {"a": (5, 8), "b": (4, 5)}
    assert "a alone: they are graph inputs too" in sentences(result)
    assert [entry.name for entry in result.model.graph.input] == ["x", "a"]


def test_no_zeros_at_all() -> None:
    net = Net(("n", 8), DOUBLE)
    result = same(net.model(net.gemm("x", net.normal(5, 8), None, "a")))
    assert "hold no zeros" in sentences(result)


@pytest.mark.parametrize("shape", [("n", 3, 6, 6), ("n", 3, "h", "w"), (2, 3, 6, 6)])
def test_dynamic_shapes(shape: tuple[int | str, ...]) -> None:
    net = Net(shape, DOUBLE)
    maps = net.op("Relu", net.conv("x", zero_rows(net.normal(4, 3, 1, 1), 1), np.ones(4), "a"))
    pooled = net.op("Flatten", net.op("GlobalAveragePool", net.op("Add", maps, net.const(net.normal(4, 1, 1)))))
    model = net.model(net.gemm(pooled, net.normal(2, 4), None, "b"))
    result = simplify(model) if shape[2] == "h" else same(model)  # onnx.reference needs the sizes
    assert shapes(result) == {"a": (3, 3, 1, 1), "b": (2, 3)}
    declared = [dim.dim_param or dim.dim_value for dim in result.model.graph.input[0].type.tensor_type.shape.dim]
    assert declared == list(shape)


def test_unnamed_dimensions_stay_unnamed() -> None:
    net = Net(("n", 3, 4, 4), DOUBLE)
    model = net.model(net.op("Relu", "x"))
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    [dim, *_] = simplify(model).model.graph.input[0].type.tensor_type.shape.dim
    assert not dim.HasField("dim_param")
    assert not dim.HasField("dim_value")


def test_annotations_of_the_file_are_not_believed() -> None:
    net = Net(("n", 3, "h", 4), DOUBLE)
    maps = net.conv("x", zero_rows(net.normal(4, 3, 1, 1), 1), np.ones(4), "a")
    flat = net.op("Flatten", maps)
    model = net.model(net.op("Relu", flat))
    model.graph.value_info.append(helper.make_tensor_value_info(maps, TensorProto.DOUBLE, ["n", 9, 9, 9]))
    model.graph.value_info.append(helper.make_tensor_value_info(flat, TensorProto.DOUBLE, ["n", 7]))
    assert shapes(same(model)) == {"a": (4, 3, 1, 1)}


@pytest.mark.parametrize(("bias", "left"), [(0.0, 4), (1.5, 5)])
def test_half_precision_loses_channels_but_gets_no_new_numbers(bias: float, left: int) -> None:
    net = Net(("n", 8))
    net.dtype = np.dtype(np.float16)
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(5, 8), 1), np.full(5, bias), "a"))
    result = simplify(net.model(net.gemm(hidden, net.normal(4, 5), None, "b")))
    assert shapes(result) == {"a": (left, 8), "b": (4, left)}
    assert ("is not computed in half precision" in sentences(result)) == (left == 5)


@pytest.mark.parametrize("version", [6, 99])
def test_other_opsets_are_left_alone(version: int) -> None:
    net = Net(("n", 8))
    model = net.model(net.gemm("x", zero_rows(net.normal(5, 8), 1), net.normal(5), "a"), opset=version)
    result = simplify(model)
    assert f"opset {version} is not one of those known" in sentences(result)
    assert shapes(result) == {"a": (5, 8)}


@pytest.mark.parametrize("version", [7, 9, 11, 12, 13, 17, 21])
def test_opsets_that_are_known(version: int) -> None:
    # float32 on ONNX Runtime: onnx.reference 1.23 takes the batch's own statistics below opset 14
    net = Net()
    maps = net.batchnorm(net.conv("x", zero_rows(net.normal(4, 3, 3, 3), 1), np.ones(4), "a"), 4)
    rows = net.op("Flatten", net.op("MaxPool", net.op("Relu", maps), kernel_shape=[2, 2], strides=[2, 2]))
    model = net.model(net.gemm(rows, net.normal(3, 16), net.normal(3), "b"), opset=version)
    result = simplify(model)
    assert shapes(result) == {"a": (3, 3, 3, 3), "b": (3, 12)}
    inputs = feed(model)
    before, after = (runtime.run(runtime.cpu_session(m.SerializeToString()), inputs) for m in (model, result.model))
    for name, array in before.items():
        np.testing.assert_allclose(
            after[name], array, rtol=0, atol=256 * np.finfo(np.float32).eps * np.abs(array).max()
        )


def test_local_functions_are_inlined() -> None:
    net = Net(("n", 8), DOUBLE)
    hidden = net.op("Dense", "x", net.const(zero_rows(net.normal(5, 8), 1), "a"), domain="local")
    model = net.model(net.op("Dense", hidden, net.const(net.normal(4, 5), "b"), domain="local"), extra="local")
    body = [helper.make_node("Gemm", ["x", "w"], ["g"], transB=1), helper.make_node("Relu", ["g"], ["y"])]
    imports = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("local", "Dense", ["x", "w"], ["y"], body, imports))
    result = same(model)
    assert not result.model.functions
    assert shapes(result) == {"a": (4, 8), "b": (4, 4)}


def test_loops_run_as_before() -> None:
    net = Net(("n", 8))
    hidden = net.op("Relu", net.gemm("x", zero_rows(net.normal(8, 8), 1), np.ones(8), "a"))
    body = helper.make_graph(
        [
            helper.make_node("Gemm", ["state", "a"], ["mixed"], transB=1),
            helper.make_node("Add", ["mixed", hidden], ["next"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", 8]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["n", 8]),
        ],
    )
    model = net.model(net.op("Loop", net.const(np.array(3)), net.const(np.array(True)), hidden, body=body))
    result = simplify(model)
    inputs = feed(model)
    before, after = (runtime.run(runtime.cpu_session(m.SerializeToString()), inputs) for m in (model, result.model))
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])
    assert shapes(result) == {"a": (8, 8)}


def test_names_of_this_machine_do_not_leave_it() -> None:
    net = Net(("n", 8), DOUBLE)
    model = net.model(net.gemm("x", net.normal(5, 8), None, "a"))
    model.graph.doc_string = model.graph.node[0].doc_string = model.graph.input[0].doc_string = "/home/someone"
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone")
    model.metadata_props.add(key="licence", value="theirs")
    result = simplify(model).model
    assert b"/home/someone" not in result.SerializeToString()
    assert [entry.key for entry in result.metadata_props] == ["licence"]


def test_lstm_weights_are_surveyed_and_kept() -> None:
    net = Net((5, "n", 3))
    parts = [net.const(array, name) for name, array in (("w", net.normal(1, 16, 3)), ("r", net.normal(1, 16, 4)))]
    result = simplify(net.model(net.op("LSTM", "x", *parts, hidden_size=4)))
    assert shapes(result) == {"w": (1, 16, 3), "r": (1, 16, 4)}


def test_a_graph_that_cannot_be_read_is_refused_in_a_sentence() -> None:
    model = Net(("n", 8)).model("x")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2), "c"))
    model.graph.initializer[0].data_type = 77
    with pytest.raises(ModelError, match="cannot be read"):
        simplify(model)


def test_inputs_as_outputs() -> None:
    result = simplify(Net(("n", 8), DOUBLE).model("x")).model
    assert [[entry.name for entry in entries] for entries in (result.graph.input, result.graph.output)] == [
        ["x"],
        ["x"],
    ]
    assert not result.graph.node


def test_a_pass_that_fails_leaves_the_model_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("for the test")

    monkeypatch.setattr(f"{simplify.__module__}.SMALLER", (fold_batchnorm, fail))
    net = Net(("n", 8))
    model = net.model(net.batchnorm(net.gemm("x", zero_rows(net.normal(5, 8), 1), None, "a"), 5))
    result = simplify(model)
    assert result.model == model
    assert shapes(result) == {"a": (5, 8)}
    assert "ZeroDivisionError: for the test" in sentences(result)


@pytest.mark.skipif(not COPIES, reason="this onnx-ir cannot copy a model, which takes a run of its own then")
@pytest.mark.parametrize("annotated", [False, True])
def test_the_unpruned_model_is_what_a_run_without_removal_makes(annotated: bool) -> None:
    net = Net(("", 3, 6, 6))
    weight = net.normal(4, 3, 3, 3)
    weight[1] = 0
    value = net.op("Relu", net.batchnorm(net.conv("x", weight), 4, gamma=np.array([1.0, 0.0, 2.0, 1.0])))
    value = net.conv(value, net.normal(2, 4, 1, 1))
    model = net.model(value)
    if annotated:
        model = onnx.shape_inference.infer_shapes(model)
    given = model.SerializeToString(deterministic=True)
    both = simplify(model, unpruned=True)
    assert both.unpruned is not None
    without = simplify(model, removal=False)
    assert both.unpruned.SerializeToString(deterministic=True) == without.model.SerializeToString(deterministic=True)
    assert both.model == simplify(model).model != both.unpruned
    assert model.SerializeToString(deterministic=True) == given
