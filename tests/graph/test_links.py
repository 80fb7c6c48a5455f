"""External data that are links: followed into a store, as model hubs lay them, and refused elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import Net
from onnx import numpy_helper

from edgeticket.errors import ModelError
from edgeticket.graph.reading.external import linked_data
from edgeticket.graph.reading.load import load_model

SHA1, SHA256 = "0123456789abcdef" * 2 + "01234567", "fedcba9876543210" * 4
WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)


def _saved(folder: Path) -> tuple[Path, Path]:
    """A model, and beside it the file of its data."""
    net = Net(("n", 4))
    model = net.model(net.gemm("x", WEIGHT, None, "w"))
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    return folder / "model.onnx", folder / "model.onnx_data"


def _linked(folder: Path, model: Path, data: Path) -> Path:
    """A folder in which both are links with a relative target."""
    folder.mkdir(parents=True)
    for name, target in (("model.onnx", model), ("model.onnx_data", data)):
        (folder / name).symlink_to(os.path.relpath(target, folder))
    return folder / "model.onnx"


def _weight(path: Path) -> np.ndarray:
    [tensor] = load_model(path).graph.initializer
    return numpy_helper.to_array(tensor)


def test_a_snapshot_of_a_hub_links_model_and_data_into_one_folder(tmp_path: Path) -> None:
    model, data = _saved(tmp_path / "cache" / "blobs")
    path = _linked(tmp_path / "cache" / "snapshots" / "main", model, data)
    np.testing.assert_array_equal(_weight(path), WEIGHT)


def test_a_store_may_have_a_folder_for_each_file(tmp_path: Path) -> None:
    model, data = _saved(tmp_path / "files")
    for place, file in (("ab/1", model), ("cd/2", data)):
        (tmp_path / "store" / place).parent.mkdir(parents=True)
        file.rename(tmp_path / "store" / place)
    path = _linked(tmp_path / "project" / "model", tmp_path / "store/ab/1", tmp_path / "store/cd/2")
    np.testing.assert_array_equal(_weight(path), WEIGHT)


@pytest.mark.parametrize("name", [SHA1, SHA256, "SHA256E-s48--" + SHA256 + ".bin"])
def test_a_copied_model_may_link_data_that_are_named_after_their_content(tmp_path: Path, name: str) -> None:
    path, data = _saved(tmp_path / "local")
    (tmp_path / "cache").mkdir()
    data.rename(tmp_path / "cache" / name)
    data.symlink_to(tmp_path / "cache" / name)
    np.testing.assert_array_equal(_weight(path), WEIGHT)
    assert linked_data(path) == {"model.onnx_data": tmp_path / "cache" / name}


def test_a_link_to_any_other_file_is_refused(tmp_path: Path) -> None:
    path, data = _saved(tmp_path / "archive")
    data.rename(tmp_path / "private.key")
    data.symlink_to("../private.key")
    with pytest.raises(ModelError, match=r"not followed\. It is a link to .*private\.key"):
        load_model(path)
    inner = tmp_path / "archive" / "files" / "0"  # a link for the model too makes no store of the user's own folder
    inner.parent.mkdir()
    path.rename(inner)
    path.symlink_to("files/0")
    with pytest.raises(ModelError, match="not followed"):
        load_model(path)
    with pytest.raises(ModelError, match="not followed"):
        linked_data(path)


def test_data_beside_the_model_need_no_copy(tmp_path: Path) -> None:
    path, _ = _saved(tmp_path / "plain")
    assert linked_data(path) == {}
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    assert linked_data(tmp_path / "broken.onnx") == {}
