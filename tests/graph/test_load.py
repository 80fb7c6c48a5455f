"""Hostile and odd ONNX files: each is refused in a sentence that names the file, or read as what it says."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net
from onnx import TensorProto, helper, numpy_helper

from edgeticket.errors import ModelError
from edgeticket.graph.reading.load import load_model, parse_model
from edgeticket.graph.simplify import simplify


def _model() -> onnx.ModelProto:
    net = Net(("n", 4))
    return net.model(net.gemm("x", net.normal(3, 4), net.normal(3), "w"))


def _external(model: onnx.ModelProto, location: str, **fields: int | str) -> onnx.ModelProto:
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        weight.external_data.add(key=key, value=str(value))
    return model


def _write(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"random\.onnx"):
        parse_model(data, "random.onnx")


@settings(max_examples=60)
@given(st.data())
def test_every_truncation_and_flipped_bytes_are_refused_or_a_model(data: st.DataObject) -> None:
    whole = bytearray(_model().SerializeToString())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        simplify(parse_model(bytes(whole), "cut.onnx"))
    except ModelError as error:
        said = str(error)
    else:
        return
    assert "cut.onnx" in said or "cannot be read" in said


def test_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    data = _model().SerializeToString()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="not an ONNX model, or truncated"):
        load_model(path)


def test_no_file_a_folder_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    for path in (tmp_path / "absent.onnx", tmp_path, tmp_path / "empty.onnx"):
        with pytest.raises(ModelError, match=path.name):
            load_model(path)


def test_external_data_beside_the_model_are_read_in(tmp_path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "w.bin").write_bytes(b"skip" + weight.tobytes())
    model = load_model(_write(tmp_path, _external(_model(), "inner/w.bin", offset=4, length=48)))
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == "w"]
    assert tensor.data_location == TensorProto.DEFAULT
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), weight)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "inner/../../secret.bin", "{folder}/secret.bin", "", "link.bin", "links/secret.bin",
                 "C:\\secret.bin", "..\\secret.bin", "a\0b"],
)  # fmt: skip
def test_external_data_outside_the_folder_are_not_followed(tmp_path: Path, location: str) -> None:
    home = tmp_path / "home"
    (home / "inner").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    (home / "links").symlink_to(tmp_path)
    location = location.format(folder=tmp_path)
    with pytest.raises(ModelError, match="outside the model's folder; not followed"):
        load_model(_write(home, _external(_model(), location)))


def test_external_data_that_are_missing_short_or_no_file(tmp_path: Path) -> None:
    (tmp_path / "short.bin").write_bytes(bytes(47))
    (tmp_path / "loop.bin").symlink_to(tmp_path / "loop.bin")
    (tmp_path / "folder.bin").mkdir()
    os.mkfifo(tmp_path / "pipe.bin")
    for location, words in (
        ("absent.bin", "missing"),
        ("loop.bin", "missing"),
        ("short.bin", "truncated"),
        ("folder.bin", "no regular file|cannot be read"),
        ("pipe.bin", "no regular file"),
    ):
        with pytest.raises(ModelError, match=words):
            load_model(_write(tmp_path, _external(_model(), location)))


@pytest.mark.parametrize("fields", [{"offset": -4}, {"offset": "x"}, {"length": 2**40}, {"length": 0}, {"offset": 1}])
def test_external_data_with_absurd_bounds(tmp_path: Path, fields: dict[str, int | str]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(48))
    with pytest.raises(ModelError, match="'w'"):
        load_model(_write(tmp_path, _external(_model(), "w.bin", **fields)))


def test_external_data_in_a_constant_of_a_subgraph_are_found(tmp_path: Path) -> None:
    tensor = TensorProto(name="deep", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../deep.bin")
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    body = helper.make_graph([node], "body", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)
    graph = helper.make_graph(
        [choice],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    with pytest.raises(ModelError, match="outside the model's folder"):
        load_model(_write(tmp_path, helper.make_model(graph)))


@pytest.mark.parametrize("dims", [[3, 4, 2**40], [3, -4], [2**62, 2**62], [3, 5], []])
def test_shapes_that_do_not_fit_the_bytes(tmp_path: Path, dims: list[int]) -> None:
    model = _model()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    with pytest.raises(ModelError, match=r"model\.onnx: the tensor 'w'"):
        load_model(_write(tmp_path, model))


def test_a_type_that_nobody_knows() -> None:
    model = _model()
    model.graph.initializer[0].data_type = 77
    with pytest.raises(ModelError, match="has the type 77"):
        parse_model(model.SerializeToString(), "new.onnx")


def test_every_kind_of_tensor_that_onnx_writes_is_accepted() -> None:
    for kind in TensorProto.DataType.values():
        if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
            continue
        for raw in (False, True):
            model = _model()
            values = np.zeros(5, helper.tensor_dtype_to_np_dtype(kind))
            typed = helper.make_tensor("extra", kind, [5], values)
            model.graph.initializer.append(numpy_helper.from_array(values, "extra") if raw else typed)
            parse_model(model.SerializeToString(), "kinds.onnx")


def _sparse(values: list[float], indices: np.ndarray, dims: list[int]) -> onnx.ModelProto:
    net = Net(("n", 4))
    net.weights["w"] = np.zeros((3, 4), np.float32)
    model = net.model(net.op("Gemm", "x", "w", transB=1))
    del model.graph.initializer[:]
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array(values, np.float32), "w"), numpy_helper.from_array(indices, "w.indices"), dims
    )
    model.graph.sparse_initializer.append(sparse)
    return model


@pytest.mark.parametrize("indices", [np.array([1, 11]), np.array([[0, 1], [2, 3]])])
def test_sparse_initializers_become_dense(indices: np.ndarray) -> None:
    model = parse_model(_sparse([5.0, 7.0], indices, [3, 4]).SerializeToString(), "sparse.onnx")
    [tensor] = model.graph.initializer
    assert not model.graph.sparse_initializer
    array = numpy_helper.to_array(tensor)
    assert (array[0, 1], array[2, 3], np.count_nonzero(array)) == (5, 7, 2)


@pytest.mark.parametrize(
    ("indices", "dims"),
    [
        (np.array([1, 12]), [3, 4]),
        (np.array([-1, 2]), [3, 4]),
        (np.array([1, 2, 3]), [3, 4]),
        (np.array([[0, 1], [2, 4]]), [3, 4]),
        (np.array([1, 2]), [2**40, 2**40]),
        (np.array([1, 2]), [-3, 4]),
    ],
)
def test_sparse_initializers_that_lie(indices: np.ndarray, dims: list[int]) -> None:
    with pytest.raises(ModelError, match=r"sparse\.onnx: the sparse tensor 'w' cannot be used"):
        parse_model(_sparse([5.0, 7.0], indices, dims).SerializeToString(), "sparse.onnx")


def _renamed_input(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "nobody"


def _twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(model.graph.node[0])


def _no_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nothing"


def _same_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


@pytest.mark.parametrize("damage", [_renamed_input, _twice, _no_output, _same_initializer])
def test_graphs_that_cannot_be_run(damage: Callable[[onnx.ModelProto], None]) -> None:
    model = _model()
    damage(model)
    with pytest.raises(ModelError, match=r"odd\.onnx"):
        parse_model(model.SerializeToString(), "odd.onnx")


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field, written by hand: protobuf itself refuses to nest so deep."""
    size, length = bytearray(), len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + content


def test_deeply_nested_graphs_end_in_a_sentence() -> None:
    graph = b""
    for _ in range(2000):
        graph = _field(1, _field(5, _field(6, graph)))  # GraphProto.node, NodeProto.attribute, AttributeProto.g
    with pytest.raises(ModelError, match=r"deep\.onnx"):
        parse_model(_model().SerializeToString() + _field(7, graph), "deep.onnx")


def test_a_tiny_file_that_asks_for_gigabytes_is_not_computed_while_it_is_read() -> None:
    """onnx's own data propagation would fill 2**33 elements; shapes are inferred without it."""
    shape = helper.make_tensor("s", TensorProto.INT64, [1], [2**33])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy")
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["big"]), helper.make_node("Add", ["big", "x"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    before, peak = resource.getrlimit(resource.RLIMIT_AS), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, before[1]))
    try:
        made = simplify(model)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert [node.op_type for node in made.model.graph.node] == ["ConstantOfShape", "Add"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2**20, "less than a GiB"


def test_what_is_there_and_no_file_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    for name, said in (("pipe", "a pipe, a socket or a device"), ("folder", "a folder"), ("none", "no such file")):
        path = tmp_path / f"{name}.onnx"
        with pytest.raises(ModelError) as caught:
            load_model(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert said in str(caught.value)
        assert "Give an ONNX file" in str(caught.value)
