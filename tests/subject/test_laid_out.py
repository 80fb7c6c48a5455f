"""A model whose data are links that ONNX Runtime refuses is timed and counted all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.errors import ModelError
from edgeticket.graph.counts import count
from edgeticket.subject.laid_out import laid_out
from edgeticket.subject.subject import open_subject

NAME = "0123456789abcdef" * 4


def _local(folder: Path) -> Path:
    """As a hub's client lays a model out beside its cache: the small file copied, the large one linked."""
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "local" / "data").mkdir(parents=True)
    (folder / "cache").mkdir()
    path = folder / "local" / "model.onnx"
    tensor = model.graph.initializer[0]
    (folder / "cache" / NAME).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="data/w.bin")
    path.write_bytes(model.SerializeToString())
    (folder / "local" / "data" / "w.bin").symlink_to(folder / "cache" / NAME)
    return path


def test_linked_data_are_laid_out_beside_a_copy(tmp_path: Path) -> None:
    path = _local(tmp_path)
    with pytest.raises(ModelError, match="cannot load it"):
        runtime.cpu_session(path)
    (tmp_path / "work").mkdir()
    subject = open_subject(path, tmp_path / "work", "candidate")
    assert subject.path == path
    assert subject.model != path
    assert subject.inputs[0].shape == (None, 4)
    assert count(subject.model, {"x": (1, 4)}).nonzeros == 4


def test_a_whole_file_is_run_where_it_lies(tmp_path: Path) -> None:
    path = _local(tmp_path)
    whole = tmp_path / "whole.onnx"
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].CopyFrom(weight)
    onnx.save(model, whole)
    assert laid_out(whole, tmp_path / "work") == whole
