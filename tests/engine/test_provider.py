"""The provider in real sessions: every operator it claims, against float64, and what it leaves alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from float64 import ACTIVATIONS
from onnx import TensorProto, helper, numpy_helper
from small_models import check, claimed, feed, model, node, reasons, session, sparse

from edgeticket.engine import CLAIMS, ISAS

BIAS = np.linspace(-1, 1, 6).astype(np.float32)


def conv(shape: list[int], weight: tuple[int, ...], out: list[int], **attributes: object) -> onnx.ModelProto:
    constants = {"w": sparse(1, *weight, density=0.3), "b": np.linspace(-1, 1, weight[0]).astype(np.float32)}
    return model(
        [node("Conv", ["x", "w", "b"], ["y"], **attributes)], {"x": ["N", *shape]}, {"y": ["N", *out]}, constants
    )


@pytest.mark.parametrize(
    "proto",
    [
        conv([3, 9, 11], (6, 3, 3, 3), [6, 7, 9]),
        conv([3, 9, 11], (6, 3, 3, 3), [6, 9, 11], pads=[1, 1, 1, 1]),
        conv(
            [3, 9, 11],
            (6, 3, 3, 2),
            [6, 5, 6],
            pads=[2, 0, 1, 2],
            strides=[2, 2],
            dilations=[1, 2],
            kernel_shape=[3, 2],
        ),
        conv([3, 9, 11], (6, 3, 4, 3), [6, 5, 6], strides=[2, 2], auto_pad="SAME_UPPER"),
        conv([3, 9, 11], (6, 3, 4, 3), [6, 5, 6], strides=[2, 2], auto_pad="SAME_LOWER"),
        conv([3, 9, 11], (6, 3, 3, 3), [6, 7, 9], auto_pad="VALID"),
        conv([6, 8, 8], (6, 1, 3, 3), [6, 8, 8], group=6, pads=[1, 1, 1, 1]),
        conv([6, 8, 8], (6, 2, 3, 3), [6, 6, 6], group=3),
        conv([3, 20], (6, 3, 5), [6, 18], pads=[1, 1]),
        conv([3, 20], (6, 3, 5), [6, 4], strides=[4], dilations=[1]),
    ],
    ids=["plain", "padded", "uneven", "same upper", "same lower", "valid", "depthwise", "groups", "1-d", "1-d stride"],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_convolutions(proto: onnx.ModelProto, batch: int) -> None:
    check(proto, N=batch)


@pytest.mark.parametrize("attributes", [{}, {"transB": 1, "alpha": 0.5, "beta": 2.0}])
@pytest.mark.parametrize("bias", [BIAS, BIAS[None], np.float32([3]), np.array(2, np.float32), None])
def test_gemm(attributes: dict[str, float], bias: np.ndarray | None) -> None:
    weight = sparse(2, 6, 20) if attributes else sparse(2, 20, 6)
    constants = {"w": weight} if bias is None else {"w": weight, "b": bias}
    nodes = [node("Gemm", ["x", *constants], ["y"], **attributes)]
    check(model(nodes, {"x": ["N", 20]}, {"y": ["N", 6]}, constants), N=4)


@pytest.mark.parametrize("lead", [["N"], ["N", "T"], [2, "T", "H"], []])
def test_matmul_with_left_operands_of_any_rank(lead: list[str | int]) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["s"]), node("Relu", ["s"], ["y"])]
    constants = {"w": sparse(3, 20, 6), "b": BIAS}
    proto = model(nodes, {"x": [*lead, 20]}, {"y": [*lead, 6]}, constants)
    check(proto, optimize=False, N=2, T=3, H=4)


ELEMENTWISE = [
    *((op, {}, []) for op in ACTIVATIONS),
    *((op, {"alpha": 0.3}, []) for op, activation in ACTIVATIONS.items() if activation.alpha is not None),
    ("Clip", {}, ["low", "high"]),
    ("Clip", {}, ["", "high"]),
    ("Clip", {}, ["low"]),
]


@pytest.mark.parametrize(("op", "attributes", "bounds"), ELEMENTWISE)
@pytest.mark.parametrize("shape", [["N", 5], ["N", 3, 7], ["N", 3, 5, 4]])
def test_elementwise(op: str, attributes: dict[str, float], bounds: list[str], shape: list[int | str]) -> None:
    constants = {name: np.array(value, np.float32) for name, value in (("low", -0.5), ("high", 0.7)) if name in bounds}
    check(model([node(op, ["x", *bounds], ["y"], **attributes)], {"x": shape}, {"y": shape}, constants), N=3)


def test_clip_with_bounds_as_attributes() -> None:
    check(model([node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], {"x": ["N", 9]}, {"y": ["N", 9]}, {}, opset=10), N=2)


@pytest.mark.parametrize("constant", [(1,), (4,), (3, 1, 1), (1, 3, 5, 4), (5, 1)])
def test_add_of_a_constant(constant: tuple[int, ...]) -> None:
    shape = ["N", 3, 5, 4]
    proto = model([node("Add", ["c", "x"], ["y"])], {"x": shape}, {"y": shape}, {"c": sparse(4, *constant, density=1)})
    check(proto, N=3)


POOLS = [
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [4, 4, 3]),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [4, 4, 4]),
    ("MaxPool", {"kernel_shape": [3, 2], "dilations": [2, 1]}, [4, 4, 6]),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, [4, 4, 4]),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [4, 4, 3]),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2]}, [4, 8, 7]),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2], "count_include_pad": 1}, [4, 8, 7]),
    ("GlobalAveragePool", {}, [4, 1, 1]),
    ("ReduceMean", {"axes": [2, 3]}, [4, 1, 1]),
    ("ReduceMean", {"axes": [-1, -2], "keepdims": 0}, [4]),
]


@pytest.mark.parametrize(("op", "attributes", "out"), POOLS)
def test_pools(op: str, attributes: dict[str, list[int]], out: list[int]) -> None:
    check(model([node(op, ["x"], ["y"], **attributes)], {"x": ["N", 4, 8, 7]}, {"y": ["N", *out]}, {}, opset=13), N=2)


def test_reduce_mean_with_axes_as_an_input() -> None:
    nodes = [node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)]
    check(model(nodes, {"x": ["N", 4, 8, 7]}, {"y": ["N", 4]}, {"axes": np.array([2, 3])}), N=2)


def network(batch: str | int = "N") -> onnx.ModelProto:
    """A residual block between a stem and a head, with every kind of edge."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["ar"]),
        node("Conv", ["ar", "w2"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", ["c", "ar"], ["d"]),
        node("Relu", ["d"], ["e"]),
        node("MaxPool", ["e"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w3"], ["y"], transB=1),
    ]
    constants = {
        "w1": sparse(1, 16, 3, 3, 3),
        "b1": sparse(2, 16),
        "w2": sparse(3, 16, 16, 3, 3),
        "w3": sparse(4, 10, 256),
    }
    return model(nodes, {"x": [batch, 3, 8, 8]}, {"y": [batch, 10]}, constants)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_network_is_one_region(threads: int, batch: int) -> None:
    check(network(), pool=threads, N=batch)


def test_a_batch_of_none() -> None:
    for proto in (network(), model([node("Relu", ["x"], ["y"])], {"x": ["N", "T", 4]}, {"y": ["N", "T", 4]}, {})):
        made = session(proto, claim="always")
        out = made.run(None, feed(proto, N=0, T=3))[0]
        assert out.shape in ((0, 10), (0, 3, 4))


def test_a_value_read_inside_and_outside() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["r"]),
        node("Softmax", ["r"], ["s"], axis=1),
        node("Conv", ["r", "w"], ["b"], pads=[1, 1, 1, 1]),
        node("Add", ["b", "s"], ["y"]),
    ]
    shape = ["N", 4, 6, 6]
    proto = model(nodes, {"x": shape}, {"y": shape, "r": shape}, {"w": sparse(1, 4, 4, 3, 3)})
    check(proto, {"a", "r", "b", "y"}, N=2)


def test_regions_stay_convex() -> None:
    """A path that leaves and comes back: the Softmax reads one claimed node and feeds another of the same graph."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Softmax", ["a"], ["s"], axis=1),
        node("Conv", ["s", "w"], ["b"], pads=[1, 1, 1, 1]),
        node("Add", ["a", "b"], ["c"]),
        node("Softmax", ["c"], ["t"], axis=1),
        node("Add", ["t", "a"], ["y"]),
    ]
    shape = ["N", 4, 6, 6]
    check(model(nodes, {"x": shape}, {"y": shape}, {"w": sparse(1, 4, 4, 3, 3)}), {"a", "b", "c", "y"}, N=2)


def test_left_alone_with_a_reason(tmp_path: Path) -> None:
    shape = ["N", 4, 6, 6]
    nodes = [
        node("Conv", ["x", "w"], ["a"]),  # the weight is an input of the graph as well
        node("Gemm", ["z", "m"], ["g"], transA=1),
        node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2]),
        node("Add", ["x", "u"], ["d"]),  # two batches of different name
        node("ReduceMean", ["x"], ["r"], axes=[1, 2]),
        node("Tanh", ["x"], ["t"]),
        node("Flatten", ["x"], ["f"], axis=2),
    ]
    proto = model(
        nodes,
        {"x": shape, "u": ["M", 4, 6, 6], "z": [5, "K"], "w": [2, 4, 1, 1]},
        {
            "a": ["N", 2, 6, 6],
            "g": ["K", 3],
            "p": ["N", 4, 5, 5],
            "d": shape,
            "r": ["N", 1, 1, 6],
            "t": shape,
            "f": ["F", 36],
        },
        {"w": sparse(1, 2, 4, 1, 1), "m": sparse(2, 5, 3)},
        opset=13,
    )
    found = reasons(proto, tmp_path, claim="always")
    assert found == {
        "a": "the weight w is not constant",
        "g": "transA is set",
        "p": "the indices of the largest are asked for",
        "d": "the operands [-1, 4, 6, 6] and [-1, 4, 6, 6] may differ in shape",
        "r": "the mean is over axes [1, 2], not over all of height and width",
        "t": "no kernel for this operator",
        "f": "it moves elements between items",
    }


def test_other_types_and_domains_are_left_alone(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]}, {}, kind=TensorProto.DOUBLE)
    assert reasons(proto, tmp_path, claim="always") == {"y": "x is not float32"}
    graph = helper.make_graph(
        [node("Gelu", ["x"], ["y"], name="y", domain="com.microsoft")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    foreign = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    assert reasons(foreign, tmp_path, claim="always") == {"y": "no kernel for this operator"}


def test_the_body_of_a_condition_is_left_alone() -> None:
    body = helper.make_graph(
        [node("Gemm", ["x", "w"], ["o"], name="inner")],
        "body",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
    )
    nodes = [node("If", ["c"], ["h"], then_branch=body, else_branch=body), node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(sparse(1, 4, 3), "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    made = session(proto, claim="always")
    assert "inner" not in claimed(made)
    x = np.ones((2, 4), np.float32)
    wanted = np.maximum(x @ sparse(1, 4, 3), 0)
    np.testing.assert_allclose(made.run(None, {"c": np.array(True), "x": x})[0], wanted, rtol=1e-5)


def test_elementwise_nodes_alone_are_the_cpus() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]}, {})
    assert claimed(session(proto)) == set()


def test_eight_threads_share_a_session() -> None:
    proto = network()
    made = session(proto, claim="always", pool=2)
    feeds = [feed(proto, seed=i, N=1 + i % 3) for i in range(8)]
    alone = [made.run(None, f)[0] for f in feeds]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            for one, many in zip(alone, pool.map(lambda f: made.run(None, f)[0], feeds), strict=True):
                np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_of_this_machine(isa: str, tmp_path: Path) -> None:
    proto, path = network(), tmp_path / "r.json"
    try:
        made = session(proto, claim="always", isa=isa, report=str(path))
    except Exception as error:  # the bindings' classes have no base of their own
        if "this processor or this build has not got it" not in str(error):
            raise
        pytest.skip(f"no {isa} here")
    feeds = feed(proto, N=2)
    np.testing.assert_allclose(made.run(None, feeds)[0], session(proto, claim="always").run(None, feeds)[0], atol=1e-4)
    assert any(isa in record["kernel"] for record in json.loads(path.read_text()))


def test_the_report_has_a_record_for_every_node(tmp_path: Path) -> None:
    path = tmp_path / 'a "name".json'
    session(network(), claim="always", report=str(path), measure="1")
    records = {record["name"]: record for record in json.loads(path.read_text())}
    assert set(records) == {"a", "ar", "c", "d", "e", "p", "f", "y"}
    assert all(record["claimed"] and record["kernel"] for record in records.values())
    assert records["c"]["macs"] == 16 * 16 * 9 * 64
    assert records["c"]["density"] == pytest.approx(np.count_nonzero(sparse(3, 16, 16, 3, 3)) / (16 * 16 * 9))
    assert records["c"]["measured_us"] > 0


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("claim", "sometimes", f"one of {', '.join(CLAIMS)}$"),  # the library's own list is the one that Python has
        ("isa", "sse9", f"one of {', '.join(ISAS)}$"),
        ("threads", "none", "a number from 1 to 1024"),
        ("threads", "0", "a number from 1 to 1024"),
        ("measure", "yes", "0 or 1"),
        ("report", "/nowhere/at/all.json", "can not be written"),
    ],
)
def test_a_wrong_option_is_an_error(key: str, value: str, allowed: str) -> None:
    with pytest.raises(Exception, match=allowed):
        session(network(), **{key: value})
