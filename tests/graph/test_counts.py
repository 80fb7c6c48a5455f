"""Bytes, nodes, nonzeros and multiplications, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sample_artifacts
from onnx import TensorProto, helper, numpy_helper

from edgeticket import api
from edgeticket.errors import ModelError
from edgeticket.graph.counts import count


def saved(
    path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shapes: dict[str, list[Any]]
) -> Path:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("attributes", "weight", "given", "made", "macs"),
    [
        ({"pads": [1, 1, 1, 1]}, (8, 3, 3, 3), [1, 3, 10, 10], [1, 8, 10, 10], 8 * 100 * 27),
        ({"group": 4, "strides": [2, 2]}, (4, 1, 2, 2), [1, 4, 8, 8], [1, 4, 4, 4], 4 * 16 * 4),
    ],
)
def test_convolutions(
    tmp_path: Path, attributes: dict[str, Any], weight: tuple[int, ...], given: list[int], made: list[int], macs: int
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    path = saved(tmp_path / "m.onnx", [node], {"w": np.ones(weight)}, {"x": given, "y": made})
    found = count(path, {"x": given})
    assert (found.macs, found.weights, found.nonzeros, found.nodes) == (macs, np.prod(weight), np.prod(weight), 1)


def test_a_transposed_convolution_multiplies_for_every_input(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = saved(tmp_path / "m.onnx", [node], {"w": np.ones((3, 5, 2, 2))}, {"x": [1, 3, 4, 4], "y": [1, 5, 8, 8]})
    assert count(path, {"x": [1, 3, 4, 4]}).macs == 3 * 16 * 5 * 4


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(tmp_path: Path, transposed: int) -> None:
    shape = [6, 2] if transposed else [2, 6]
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=transposed)
    path = saved(tmp_path / "m.onnx", [node], {"w": np.eye(6, 5)}, {"x": shape, "y": [2, 5]})
    found = count(path, {"x": shape})
    assert (found.macs, found.weights, found.nonzeros) == (2 * 5 * 6, 30, 5)


def test_a_free_batch_takes_the_shape_that_is_given(tmp_path: Path) -> None:
    path = sample_artifacts.onnx_file(tmp_path)
    one, three = (count(path, {"x": [batch, 64]}).macs for batch in (1, 3))
    assert one == 64 * 30 + 30 * 10
    assert three == 3 * one
    assert count(path, {}).macs is None


def test_packed_weights_are_counted_as_they_are_once_rebuilt(tmp_path: Path) -> None:
    source = sample_artifacts.onnx_file(tmp_path)
    folder = api.export(source, bench=False, storage="gaps").folder
    plain, packed = count(source, {"x": [1, 64]}), count(folder / "model.onnx", {"x": [1, 64]})
    assert packed.nodes > plain.nodes
    assert packed.nonzeros <= plain.nonzeros  # five units were dead
    layers = json.loads((folder / "manifest.json").read_text())["layers"]
    assert packed.macs == packed.weights == sum(int(np.prod(layer["shape_after"])) for layer in layers) < 64 * 30


def test_external_data_are_part_of_the_size(tmp_path: Path) -> None:
    path = sample_artifacts.onnx_file(tmp_path)
    inside = count(path, {"x": [1, 64]})
    onnx.save(onnx.load(path), tmp_path / "e.onnx", save_as_external_data=True, location="e.bin", size_threshold=100)
    outside = count(tmp_path / "e.onnx", {"x": [1, 64]})
    assert outside.size_bytes == (tmp_path / "e.onnx").stat().st_size + (tmp_path / "e.bin").stat().st_size
    assert (outside.nonzeros, outside.macs) == (inside.nonzeros, inside.macs)


def test_nodes_of_subgraphs_count(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    path = tmp_path / "m.onnx"
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
    ports.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    graph = helper.make_graph([node], "g", ports, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    assert count(path, {"x": [1], "c": []}).nodes == 3


def test_noise_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"noise")
    with pytest.raises(ModelError):
        count(tmp_path / "m.onnx", {})


# --- Bodies ---


def product(name: str, width: int, read: str = "x") -> tuple[list[onnx.NodeProto], onnx.TensorProto]:
    """read [2, 6] times a weight [6, width]."""
    weight = numpy_helper.from_array(np.ones((6, width), np.float32), f"w_{name}")
    return [helper.make_node("MatMul", [read, weight.name], [name])], weight


def body(name: str, nodes: list[onnx.NodeProto], tensors: list[Any], given: list[Any], made: list[Any]) -> Any:
    return helper.make_graph(nodes, name, given, made, tensors)


def floats(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def flag(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.BOOL, [])


def written(path: Path, nodes: list[onnx.NodeProto], more: list[Any], tensors: list[Any], shape: list[Any]) -> Path:
    graph = helper.make_graph(nodes, "g", [floats("x", [2, 6]), *more], [floats("y", shape)], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_of_an_if_the_branch_with_more_multiplications_counts(tmp_path: Path) -> None:
    branches = {}
    for name, width in (("then", 3), ("else", 5)):
        nodes, weight = product(f"p_{name}", width)
        nodes.append(helper.make_node("ReduceSum", [f"p_{name}"], [f"s_{name}"]))
        branches[f"{name}_branch"] = body(name, nodes, [weight], [], [floats(f"s_{name}", [1, 1])])
    path = written(tmp_path / "m.onnx", [helper.make_node("If", ["c"], ["y"], **branches)], [flag("c")], [], [1, 1])
    assert count(path, {"x": [2, 6], "c": []}).macs == 2 * 6 * 5


@pytest.mark.parametrize(("trips", "macs"), [(4, 4 * 2 * 6 * 6), (None, None)])
def test_a_loop_counts_where_its_runs_are_known(tmp_path: Path, trips: int | None, macs: int | None) -> None:
    nodes, weight = product("h_out", 6, "h_in")
    nodes.append(helper.make_node("Identity", ["always"], ["on"]))
    counter = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    inner = body(
        "b", nodes, [weight], [counter, flag("on_in"), floats("h_in", [2, 6])], [flag("on"), floats("h_out", [2, 6])]
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=inner)
    tensors = [numpy_helper.from_array(np.array(True), "always")]
    more = [helper.make_tensor_value_info("n", TensorProto.INT64, [])]
    if trips is not None:
        tensors, more = [*tensors, numpy_helper.from_array(np.array(trips), "n")], []
    path = written(tmp_path / "m.onnx", [loop], more, tensors, [2, 6])
    assert count(path, {"x": [2, 6], "n": []}).macs == macs


def test_a_scan_counts_once_for_every_row(tmp_path: Path) -> None:
    nodes, weight = product("r_out", 5, "r_in")
    inner = body("b", nodes, [weight], [floats("r_in", [6])], [floats("r_out", [5])])
    scan = helper.make_node("Scan", ["x"], ["y"], body=inner, num_scan_inputs=1)
    path = written(tmp_path / "m.onnx", [scan], [], [], [2, 5])
    assert count(path, {"x": [2, 6]}).macs == 2 * 6 * 5
