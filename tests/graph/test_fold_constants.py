"""Constant folding: what it reads, what it leaves, and that it cannot be made to eat the machine's memory."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from nets import Net, ops, same, sentences, shapes, zero_rows
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.graph import evaluate
from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify


@pytest.mark.parametrize("behind", ["Constant", "Identity", "Transpose", "Cast", "Reshape"])
def test_weights_behind_other_operators_are_found(behind: str) -> None:
    net = Net(("n", 8), np.float64)
    weight = zero_rows(net.normal(5, 8), 1)
    if behind == "Constant":
        name = net.op("Constant", value=numpy_helper.from_array(weight))
    elif behind == "Identity":
        name = net.op("Identity", net.const(weight))
    elif behind == "Transpose":
        name = net.op("Transpose", net.const(weight.T.copy()), perm=[1, 0])
    elif behind == "Cast":
        name = net.const(weight, "half")
        net.weights["half"] = weight.astype(np.float32)
        name = net.op("Cast", name, to=TensorProto.DOUBLE)
    else:
        name = net.op("Reshape", net.const(weight.reshape(-1)), net.const(np.array([5, 8])))
    hidden = net.op("Relu", net.op("Gemm", "x", name, transB=1))
    result = same(net.model(net.gemm(hidden, net.normal(3, 5), None, "b")))
    assert shapes(result)["b"] == (3, 4)
    assert ops(result) == ["Gemm", "Relu", "Gemm"]


def test_the_zero_bias_of_the_dynamo_exporter() -> None:
    net = Net()
    weight = net.const(zero_rows(net.normal(4, 3, 3, 3), 0), "conv.weight")
    size = net.op("Expand", net.op("Shape", weight, start=0, end=1), net.op("Constant", value_ints=[1]))
    zero = net.op("CastLike", net.op("Constant", value=numpy_helper.from_array(np.float32(0))), "x")
    maps = net.op("Conv", "x", weight, net.op("Expand", zero, size))
    result = simplify(net.model(net.conv(maps, net.normal(2, 4, 1, 1), name="b")))
    assert shapes(result) == {"conv.weight": (3, 3, 3, 3), "b": (2, 3, 1, 1)}


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "Tile", "Range", "Gather", "OneHot", "Pad"])
def test_a_small_file_cannot_ask_for_a_large_constant(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("evaluated")

    monkeypatch.setattr(evaluate, "ReferenceEvaluator", refuse)
    huge = 2**40
    inputs = {
        "ConstantOfShape": [np.array([huge])],
        "Expand": [np.zeros(1, np.float32), np.array([huge])],
        "Tile": [np.zeros(2, np.float32), np.array([huge])],
        "Range": [np.array(0), np.array(huge), np.array(1)],
        "Gather": [np.zeros((2, 100_000), np.float32), np.zeros(4096, np.int64)],
        "OneHot": [np.zeros(4096, np.int64), np.array(huge), np.zeros(2, np.float32)],
        "Pad": [np.zeros(1, np.float32), np.array([0, huge])],
    }[kind]
    net = Net(("n", 8))
    large = net.op(kind, *[net.const(array) for array in inputs])
    result = simplify(net.model(net.op("Add", "x", net.op("ReduceSum", large, keepdims=0))))
    assert ops(result) == [kind, "ReduceSum", "Add"]
    assert "to the runtime: too large" in sentences(result)


def test_a_constant_of_half_the_memory_is_refused_even_when_its_size_is_not_known() -> None:
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    assert evaluate.evaluate(node, [np.array([2**31, 2**31])], 18) is None
    assert evaluate.evaluate(node, [np.array([-1])], 18) is None


def test_what_is_not_understood_stays() -> None:
    net = Net(("n", 8))
    unknown = net.op("Mystery", net.const(net.normal(8), "secret"), domain="some.where")
    random = net.op("RandomNormal", shape=[8])
    summed = net.op("Sum", "x", unknown, random)
    result = simplify(net.model(summed, extra="some.where"))
    assert ops(result) == ["Mystery", "RandomNormal", "Sum"]


def test_a_weight_read_directly_and_transposed_is_not_stored_twice() -> None:
    net = Net(("n", 64))
    weight = net.const(net.normal(64, 64), "tied")
    hidden = net.op("Relu", net.op("Gemm", "x", weight, transB=1))
    model = net.model(net.op("MatMul", hidden, net.op("Transpose", weight)))
    result = simplify(model)
    assert "Transpose" in ops(result)
    assert result.model.ByteSize() <= model.ByteSize()


def test_tied_weights_behind_identity_stay_one_tensor() -> None:
    net = Net(("n", 64))
    weight = net.const(net.normal(64, 64), "tied")
    hidden = net.op("Gemm", "x", weight)
    result = simplify(net.model(net.op("Gemm", hidden, net.op("Identity", weight))))
    assert [tensor.name for tensor in result.model.graph.initializer] == ["tied"]


def test_scatter_is_as_the_standard_says() -> None:
    rng = np.random.default_rng(0)
    data, indices, updates = np.zeros(50), rng.permutation(50)[:20] - 25, rng.normal(size=20)
    node = helper.make_node("ScatterElements", ["d", "i", "u"], ["y"])
    result = evaluate.evaluate(node, [data, indices, updates], 18)
    plain = onnx.reference.ReferenceEvaluator(evaluate.single_node_model(node, [data, indices, updates], 18))
    assert result is not None
    np.testing.assert_array_equal(result[0], plain.run(None, {"i0": data, "i1": indices, "i2": updates})[0])


def test_graph_outputs_and_overridable_constants_are_not_folded() -> None:
    net = Net(("n", 8))
    kept = net.op("Neg", net.const(np.ones(8)))
    open_value = net.op("Neg", net.const(np.ones(8), "open"))
    net.inputs["open"] = (8,)
    model = ir.from_proto(net.model(net.op("Add", "x", kept), kept, net.op("Add", "x", open_value)))
    assert isinstance(model, ir.Model)
    assert fold_constants(model) == []


def test_int8_weights_of_a_quantised_network_stay_int8() -> None:
    """Also where onnx.reference could evaluate their DequantizeLinear, as it does from opset 19 on."""
    net = Net(("n", 64))
    net.weights |= {"q": np.arange(-64, 64, dtype=np.int8).repeat(32).reshape(64, 64)}
    weight = net.op("DequantizeLinear", "q", net.const(0.5))
    result = simplify(net.model(net.op("MatMul", "x", weight), opset=21))
    assert ops(result) == ["DequantizeLinear", "MatMul"]
    assert {tensor.name: tensor.data_type for tensor in result.model.graph.initializer}["q"] == TensorProto.INT8


def test_a_weight_that_is_quantised_when_the_network_runs_is_quantised_in_the_file() -> None:
    """Its codes take a quarter of its bytes and are the runtime's own; its scale is rounded once."""
    rng = np.random.default_rng(0)
    weight = np.where(rng.random((4, 3, 3, 3)) < 0.5, rng.normal(size=(4, 3, 3, 3)), 0).astype(np.float32)
    net = Net(("n", 3, 6, 6))
    codes = net.op("DynamicQuantizeLinear", net.const(weight, "w"), outputs=3)
    x = net.op("DynamicQuantizeLinear", "x", outputs=3)
    sums = net.op("Cast", net.op("ConvInteger", x, codes, f"{x}_2", f"{codes}_2"), to=onnx.TensorProto.FLOAT)
    given = net.model(net.op("Mul", sums, net.op("Mul", f"{x}_1", f"{codes}_1")))
    simplified = simplify(given)
    assert ops(simplified).count("DynamicQuantizeLinear") == 1
    sizes = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in simplified.model.graph.initializer}
    assert sizes[codes] == (onnx.TensorProto.UINT8, [4, 3, 3, 3])
    assert [layer.name for layer in simplified.layers] == [codes]
    assert simplified.layers[0].nonzeros_before == np.count_nonzero(weight)
    feeds = {"x": rng.normal(size=(2, 3, 6, 6)).astype(np.float32)}
    before, after = (runtime.run(runtime.cpu_session(serialize(model)), feeds) for model in (given, simplified.model))
    for wanted, found in zip(before.values(), after.values(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2**-22)  # another last bit of the scale, and two products
    scale = float(simplified.unrounded[f"{codes}_1"])
    wide = weight.astype(np.float64)
    assert scale == (max(wide.max(), 0) - min(wide.min(), 0)) / 255


def test_a_code_that_rounding_decides_is_left_to_the_runtime() -> None:
    """A scale of 1.5 / 255 in float32 is not that of float64: half a step is up in one and down in the other."""
    step = np.float64(1.5) / 255
    halves = np.float32([1.5, *[(2 * code + 0.5) * step for code in range(120)]])
    net = Net(("n", halves.size))
    codes = net.op("DynamicQuantizeLinear", net.const(halves.reshape(-1, 1)), outputs=3)
    x = net.op("DynamicQuantizeLinear", "x", outputs=3)
    sums = net.op("MatMulInteger", x, codes, f"{x}_2", f"{codes}_2")
    given = net.model(net.op("Cast", sums, to=TensorProto.FLOAT))
    assert ops(simplify(given)).count("DynamicQuantizeLinear") == 2
