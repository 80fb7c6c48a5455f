"""graph/double/: every kernel computes in float64 what the runtime computes in float32, and says where it could not."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from nets import Net
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from widened import widened

from edgeticket import runtime
from edgeticket.graph.double import kernels
from edgeticket.graph.double.network import CannotRunError, Network
from edgeticket.graph.double.operation import NotHereError
from edgeticket.graph.double.pointwise import erf
from edgeticket.graph.double.suspects import suspects
from edgeticket.graph.serialize import serialize

Array = NDArray[Any]
RNG = np.random.default_rng(8)


def _model(
    op: str, inputs: list[Array | None], outputs: int = 1, opset: int = 20, domain: str = "", **attributes: Any
) -> onnx.ModelProto:
    """A model of one node whose first input is fed; the others are constants."""
    names = [f"i{index}" if array is not None else "" for index, array in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{index}" for index in range(outputs)], domain=domain, **attributes)
    assert inputs[0] is not None
    fed = helper.make_tensor_value_info("i0", helper.np_dtype_to_tensor_dtype(inputs[0].dtype), inputs[0].shape)
    constants = [numpy_helper.from_array(a, f"i{k}") for k, a in enumerate(inputs) if k and a is not None]
    graph = helper.make_graph(
        [node], "one", [fed], [onnx.ValueInfoProto(name=f"o{k}") for k in range(outputs)], constants
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _x(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def _recurrent(
    kind: str, directions: int, *, bias: bool = True, lengths: bool = False, states: bool = False
) -> list[Any]:
    gates, hidden = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 5
    inputs: list[Any] = [_x(7, 3, 4), _x(directions, gates * hidden, 4), _x(directions, gates * hidden, hidden)]
    inputs.append(_x(directions, 2 * gates * hidden) if bias else None)
    inputs.append(np.array([7, 2, 5], np.int32) if lengths else None)
    if states:
        inputs += [_x(directions, 3, hidden)] * (2 if kind == "LSTM" else 1)
    return inputs


CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "conv": ("Conv", [_x(2, 4, 9, 8), _x(6, 4, 3, 3), _x(6)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "conv-1d": ("Conv", [_x(2, 1, 60), _x(5, 1, 9)], {"strides": [4]}),
    "conv-3d": ("Conv", [_x(1, 2, 5, 6, 7), _x(3, 2, 2, 3, 2)], {"dilations": [1, 2, 1]}),
    "conv-groups": ("Conv", [_x(2, 6, 7, 7), _x(9, 2, 3, 3)], {"group": 3, "auto_pad": "SAME_LOWER"}),
    "conv-depthwise": (
        "Conv",
        [_x(2, 4, 7, 7), _x(8, 1, 3, 3)],
        {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ),
    "conv-valid": ("Conv", [_x(1, 2, 8, 8), _x(3, 2, 3, 3)], {"auto_pad": "VALID"}),
    "transposed": ("ConvTranspose", [_x(2, 4, 5, 6), _x(4, 3, 3, 3), _x(3)], {"strides": [2, 3], "pads": [1, 0, 1, 2]}),
    "transposed-groups": (
        "ConvTranspose",
        [_x(1, 4, 5, 5), _x(4, 2, 2, 2)],
        {"group": 2, "dilations": [2, 1], "output_padding": [1, 0], "strides": [2, 2]},
    ),
    "transposed-same": (
        "ConvTranspose",
        [_x(1, 2, 5, 5), _x(2, 2, 3, 3)],
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ),
    "transposed-shape": (
        "ConvTranspose",
        [_x(1, 2, 5, 5), _x(2, 2, 3, 3)],
        {"output_shape": [10, 10], "strides": [2, 2]},
    ),
    "maxpool": ("MaxPool", [_x(2, 3, 9, 8)], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "maxpool-ceil": (
        "MaxPool",
        [_x(1, 2, 10, 7)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "dilations": [2, 1]},
    ),
    "avgpool": ("AveragePool", [_x(2, 3, 9, 8)], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "avgpool-pads": (
        "AveragePool",
        [_x(1, 2, 9, 8)],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "avgpool-ceil": ("AveragePool", [_x(1, 2, 10, 7)], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "avgpool-ceil-pads": (
        "AveragePool",
        [_x(1, 2, 10, 7)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1, "pads": [1, 1, 1, 1]},
    ),
    "avgpool-same": (
        "AveragePool",
        [_x(1, 2, 9, 7)],
        {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ),
    "lstm": ("LSTM", _recurrent("LSTM", 1), {"hidden_size": 5}),
    "lstm-both": (
        "LSTM",
        _recurrent("LSTM", 2, lengths=True, states=True),
        {"hidden_size": 5, "direction": "bidirectional"},
    ),
    "lstm-peephole": (
        "LSTM",
        [*_recurrent("LSTM", 1, states=True), _x(1, 15)],
        {"hidden_size": 5, "direction": "reverse"},
    ),
    "lstm-coupled": ("LSTM", _recurrent("LSTM", 1), {"hidden_size": 5, "input_forget": 1}),
    "lstm-coupled-both": (
        "LSTM",
        [*_recurrent("LSTM", 2, lengths=True, states=True), _x(2, 15)],
        {"hidden_size": 5, "direction": "bidirectional", "input_forget": 1, "clip": 0.5},
    ),
    "gru": ("GRU", _recurrent("GRU", 1, bias=False), {"hidden_size": 5}),
    "gru-reset": (
        "GRU",
        _recurrent("GRU", 2, lengths=True),
        {"hidden_size": 5, "direction": "bidirectional", "linear_before_reset": 1},
    ),
    "rnn": ("RNN", _recurrent("RNN", 1, states=True), {"hidden_size": 5, "activations": ["Relu"]}),
    "erf": ("Erf", [3 * _x(200)], {}),
    "gelu": ("Gelu", [3 * _x(200)], {}),
    "gelu-tanh": ("Gelu", [3 * _x(200)], {"approximate": "tanh"}),
    "gemm": ("Gemm", [_x(4, 3), _x(5, 4), _x(5)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    "resize-nearest": ("Resize", [_x(1, 2, 5, 7), None, np.array([1, 1, 1.7, 2], np.float32)], {"mode": "nearest"}),
    "resize-linear": ("Resize", [_x(1, 2, 5, 7), None, None, np.array([1, 2, 11, 4])], {"mode": "linear"}),
    "resize-corners": (
        "Resize",
        [_x(1, 2, 5, 7), None, None, np.array([1, 2, 9, 9])],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    "resize-cubic": ("Resize", [_x(1, 2, 5, 7), None, np.array([1, 1, 2, 3], np.float32)], {"mode": "cubic"}),
    "resize-axes": ("Resize", [_x(1, 2, 5, 7), None, None, np.array([9, 9])], {"mode": "linear", "axes": [2, 3]}),
    "dequantize": (
        "DequantizeLinear",
        [RNG.integers(0, 255, (3, 4), np.uint8), np.float32([0.1, 0.2, 0.3]), np.uint8([3, 4, 5])],
        {"axis": 0},
    ),
    "dequantize-blocks": (
        "DequantizeLinear",
        [RNG.integers(0, 255, (3, 10), np.uint8), np.float32(RNG.uniform(0.1, 0.3, (3, 3)))],
        {"axis": 1, "block_size": 4},
    ),
    "scatter": (
        "ScatterElements",
        [_x(4, 5), np.array([[1, 0, 1], [-1, 2, 1]]), _x(2, 3)],
        {"axis": 1, "reduction": "add"},
    ),
    "instance-norm": ("InstanceNormalization", [_x(2, 3, 4, 4), _x(3), _x(3)], {}),
    "group-norm": ("GroupNormalization", [_x(2, 6, 4, 4), _x(6), _x(6)], {"num_groups": 3, "epsilon": 1e-3}),
    "group-norm-of-each": ("GroupNormalization", [_x(2, 3, 5), _x(3), _x(3)], {"num_groups": 3}),
    "grid-sample": ("GridSample", [_x(1, 2, 5, 5), np.float32(RNG.uniform(-1, 1, (1, 3, 3, 2)))], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_kernels_agree_with_the_runtime(name: str) -> None:
    """float32 rounds, and a kernel that reads an attribute otherwise is far off: 1e-5 of the largest lies between."""
    op, inputs, attributes = CASES[name]
    count = {"LSTM": 3, "GRU": 2, "RNN": 2}.get(op, 1)
    model = _model(op, inputs, count, 21 if {"block_size", "num_groups"} & {*attributes} else 20, **attributes)
    feed = {"i0": inputs[0]}
    network = Network(model)
    found = network.run(feed)
    expected = runtime.run(runtime.cpu_session(serialize(model)), feed)
    for output, array in expected.items():
        wide = found.outputs[output]
        assert wide.dtype == np.float64
        assert wide.shape == array.shape
        np.testing.assert_allclose(wide, array, atol=1e-5 * max(1.0, float(np.abs(array).max())))
    assert not found.single
    assert not suspects(model, feed)


def test_erf_is_exact_to_the_last_bits() -> None:
    x = np.concatenate([RNG.normal(size=2000) * 2, [0.0, -0.0, 6.0, 7.0, -9.0, np.inf, -np.inf, 1e-300]])
    np.testing.assert_allclose(erf(x), [math.erf(each) for each in x], rtol=4e-16, atol=0)
    assert np.isnan(erf(np.array([np.nan]))).all()


def test_what_only_float32_runs_is_named_and_its_results_are_marked() -> None:
    net = Net(("n", 4, 6, 6))
    maps = net.op("FusedConv", "x", net.const(net.normal(3, 4, 3, 3)), domain="com.microsoft", activation="Relu")
    model = net.model(net.op("Sigmoid", maps), net.op("Relu", "x"), extra="com.microsoft")
    network = Network(model)
    found = network.run({"x": _x(2, 4, 6, 6)})
    assert network.in_single == {"FusedConv"}
    assert found.single == {model.graph.output[0].name}


def test_four_bits_are_dequantized_in_float64() -> None:
    """ONNX Runtime's quantiser writes DequantizeLinear of com.microsoft for types that older operator sets lack."""
    codes = np.array([[-8, 7, 3], [0, 1, -2]], np.int8).astype(ml_dtypes.int4)
    model = _model(
        "DequantizeLinear",
        [codes, np.float32([0.1, 0.7]), np.array([1, -2], ml_dtypes.int4)],
        1,
        20,
        "com.microsoft",
        axis=0,
    )
    network = Network(model)
    found = network.run({"i0": codes}).outputs["o0"]
    scale, zero = np.float32([[0.1], [0.7]]).astype(np.float64), np.array([[1], [-2]])
    np.testing.assert_array_equal(found, (np.array([[-8, 7, 3], [0, 1, -2]]) - zero) * scale)
    assert not network.in_single


def test_an_operator_that_nothing_runs_is_named() -> None:
    net = Net(("n", 4))
    with pytest.raises(CannotRunError, match="Frobnicate"):
        Network(net.model(net.op("Frobnicate", "x", domain="com.example"), extra="com.example")).run({"x": _x(1, 4)})


def _body(nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str]) -> onnx.GraphProto:
    kinds = {"turn": TensorProto.INT64, "going": TensorProto.BOOL, "still": TensorProto.BOOL}
    return helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None) for name in inputs],
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None) for name in outputs],
        [numpy_helper.from_array(np.float32(1 / 3), "third")],
    )


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_bodies_run_in_float64_and_read_what_stands_around_them(kind: str) -> None:
    """x / 3 + bias, three times over: in float32 the third digit from the end would differ."""
    net = Net((2, 3))
    bias = net.const(net.normal(3), "bias")
    add = [helper.make_node("Mul", ["state", "third"], ["scaled"]), helper.make_node("Add", ["scaled", bias], ["next"])]
    if kind == "If":
        add[0].input[0] = "x"
        branch = _body(add, [], ["next"])
        yes = net.op("Greater", net.op("Size", "x"), net.const(np.array(0)))
        y = net.op("If", yes, then_branch=branch, else_branch=branch)
    elif kind == "Loop":
        body = _body(
            [helper.make_node("Identity", ["going"], ["still"]), *add], ["turn", "going", "state"], ["still", "next"]
        )
        y = net.op("Loop", net.const(np.array(3)), net.const(np.array(True)), "x", body=body)
    else:
        body = _body([*add, helper.make_node("Identity", ["row"], ["seen"])], ["state", "row"], ["next", "seen"])
        y = net.op("Scan", "x", net.const(net.normal(3, 2)), outputs=2, body=body, num_scan_inputs=1)
    x = _x(2, 3)
    found = Network(net.model(y)).run({"x": x}).outputs[y]
    wide, shift = x.astype(np.float64), net.weights["bias"].astype(np.float64)
    for _ in range(1 if kind == "If" else 3):
        wide = wide * np.float64(np.float32(1 / 3)) + shift
    np.testing.assert_allclose(found, wide, rtol=1e-15)


def test_nodes_run_in_any_order() -> None:
    net = Net((2, 3))
    model = net.model(net.op("Relu", net.op("Neg", net.op("Exp", "x"))))
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert Network(model).run({"x": _x(2, 3)}).outputs[model.graph.output[0].name].shape == (2, 3)


def test_a_value_that_waits_beside_another_is_no_circle() -> None:
    """Backwards, the last node waits for two, of which one waits for the other."""
    net = Net((2, 3))
    first = net.op("Exp", "x")
    second = net.op("Neg", first)
    model = net.model(net.op("Add", second, net.op("Mul", first, second)))
    expected = Network(model).run({"x": _x(2, 3)}).outputs
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert Network(model).run({"x": _x(2, 3)}).outputs.keys() == expected.keys()


def test_denormal_weights_and_inputs_are_zeros() -> None:
    net = Net((1, 2))
    model = net.model(net.op("Mul", "x", net.const(np.array([1e-40, 1e30]))))
    found = Network(model).run({"x": np.array([[1e30, 1e-40]], np.float32)})
    assert not next(iter(found.outputs.values())).any()


def test_a_kernel_that_is_wrong_is_found_and_left_to_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(("n", 4, 6, 6))
    maps = net.op("Relu", net.conv("x", net.normal(4, 4, 3, 3)))
    model = net.model(net.conv(maps, net.normal(2, 4, 1, 1)))
    feed = {"x": _x(2, 4, 6, 6)}
    name = model.graph.output[0].name
    right = Network(model).run(feed).outputs[name]
    monkeypatch.setitem(kernels.OWN, "Relu", lambda _, inputs: [np.abs(inputs[0])])
    assert np.abs(Network(model).run(feed).outputs[name] - right).max() > 0.1
    found = suspects(model, feed)
    assert {signature[1] for signature in found} == {"Relu"}
    mended = Network(model, {}, found)
    np.testing.assert_allclose(mended.run(feed).outputs[name], right, rtol=1e-14, atol=1e-14)
    assert not mended.in_single  # the runtime has Relu in float64


def test_own_kernels_refuse_what_they_do_not_know() -> None:
    with pytest.raises(NotHereError):
        kernels.OWN["LSTM"](_operation(activation_alpha=[0.5]), _recurrent("LSTM", 1))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("GroupNormalization", [_x(2, 4, 5), _x(4), _x(4)], {"num_groups": 2}),
        ("LayerNormalization", [_x(2, 4, 5), _x(5), _x(5)], {}),
        ("RMSNormalization", [_x(2, 4, 5), _x(5)], {}),
        ("InstanceNormalization", [_x(2, 4, 5), _x(4), _x(4)], {}),
        ("LpNormalization", [_x(2, 4, 5)], {}),
        ("Softmax", [_x(2, 4, 5)], {}),
        ("LogSoftmax", [_x(2, 4, 5)], {}),
        ("AffineGrid", [_x(2, 2, 3), np.array([2, 3, 4, 5])], {}),
        ("LSTM", _recurrent("LSTM", 1), {"hidden_size": 5, "input_forget": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_operators_are_computed_in_float64_or_marked(op: str, inputs: list[Any], attributes: dict[str, Any]) -> None:
    """The slope over 2e-9 is that over 2e-4: behind numbers rounded to float32 it would be rounding's."""
    network = Network(_model(op, inputs, 1, 23, **attributes))
    direction = RNG.normal(size=inputs[0].shape)

    def moved(by: float) -> Array:
        found = network.run({"i0": inputs[0].astype(np.float64) + by * direction})
        assert not found.single
        return np.asarray(found.outputs["o0"])

    fine, coarse = ((moved(by) - moved(-by)) / (2 * by) for by in (1e-9, 1e-4))
    np.testing.assert_allclose(fine, coarse, atol=1e-3 * float(np.abs(coarse).max()))


def _operation(**attributes: Any) -> Any:
    [operation] = Network(_model("LSTM", _recurrent("LSTM", 1), hidden_size=5, **attributes)).operations
    return operation


@pytest.mark.parametrize(
    ("kind", "dtype"), [*product(["Add", "Div", "Mul", "Sub", "Relu"], [np.float32, np.int64]), ("Tanh", np.float32)]
)
def test_pointwise_operators_are_those_of_the_reference(kind: str, dtype: type) -> None:
    x, y = (10 * RNG.normal(size=(2, 3, 4))).astype(dtype), np.array([[3], [-2], [5]], dtype)
    model = _model(kind, [x] if kind in ("Relu", "Tanh") else [x, y])
    wide = x.astype(np.float64) if dtype is np.float32 else x
    expected = ReferenceEvaluator(widened(model)).run(None, {"i0": wide})[0]
    found = Network(model).run({"i0": x}).outputs["o0"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_like_nodes_share_an_evaluator_and_others_do_not() -> None:
    net = Net((2, 3))
    first, second = net.op("Concat", "x", "x", axis=0), net.op("Concat", "x", "x", axis=1)
    both = net.op("Concat", net.op("Flatten", first, axis=0), net.op("Flatten", second, axis=0), axis=1)
    x = RNG.normal(size=(2, 3))
    network = Network(net.model(net.op("Concat", both, both, axis=1)))
    found = next(iter(network.run({"x": x}).outputs.values()))
    once = [*np.concatenate([x, x], 0).reshape(-1), *np.concatenate([x, x], 1).reshape(-1)]
    np.testing.assert_array_equal(found, np.array([[*once, *once]]))
    assert len(network.operations[0].evaluators) == 3
