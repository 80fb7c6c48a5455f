"""The sessions of an export: made ahead for small models alone, and the same artifact either way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from storage_models import lenet, model, node

from edgeticket import api
from edgeticket.ahead import Ahead
from edgeticket.artifact.golden import LoadedModel
from edgeticket.errors import ModelError
from edgeticket.graph import loading
from edgeticket.graph.loading import Loading
from edgeticket.graph.serialize import serialize


def _unknown() -> onnx.ModelProto:
    """An operator that no runtime has."""
    unknown = node("Nothing", ["x"], ["y"], domain="example.nowhere")
    proto = model([unknown], {}, {"x": (2, 3)})
    proto.opset_import.append(onnx.helper.make_opsetid("example.nowhere", 1))
    return proto


@pytest.mark.parametrize("small_bytes", [0, loading.SMALL_BYTES])
def test_an_artifact_is_the_same_whenever_its_sessions_are_made(
    small_bytes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx.save(lenet(), tmp_path / "lenet.onnx")
    api.export(tmp_path / "lenet.onnx", out=tmp_path / "ahead", bench=False)
    monkeypatch.setattr(loading, "SMALL_BYTES", small_bytes)
    found = api.export(tmp_path / "lenet.onnx", out=tmp_path / "other", bench=False)
    assert found.manifest.proof.verdict == "proved"
    for name in ("model.onnx", "manifest.json", "golden.npz"):
        assert (tmp_path / "other" / name).read_bytes() == (tmp_path / "ahead" / name).read_bytes(), name


@pytest.mark.parametrize("small_bytes", [0, loading.SMALL_BYTES])
def test_only_sessions_of_small_models_are_made_before_they_are_asked_for(
    small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes | onnx.ModelProto] = []
    monkeypatch.setattr(loading, "SMALL_BYTES", small_bytes)
    monkeypatch.setattr(loading, "_session", made.append)
    with Ahead() as ahead:
        Loading(ahead, lenet(), asked_for=True)
        ahead.begin(lambda: None)()  # what was begun before has run
    assert len(made) == bool(small_bytes)


def test_a_source_that_the_runtime_does_not_know_is_an_error_when_it_is_asked_for() -> None:
    with Ahead() as ahead:
        found = Loading(ahead, _unknown(), asked_for=True)
        with pytest.raises(ModelError, match=r"example\.nowhere|Nothing"):
            found.masked()


@pytest.mark.parametrize("rounded", [False, True])
def test_plain_is_the_network_or_the_file_where_that_is_rounded(rounded: bool) -> None:
    network, other = lenet(), lenet()
    for tensor in other.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16).astype(np.float32), tensor.name))
    port = network.graph.input[0]
    shape = [dim.dim_value or 2 for dim in port.type.tensor_type.shape.dim]
    feed = {port.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    file = serialize(other)
    with Ahead() as ahead:
        found = Loading(ahead, network, asked_for=False)
        found.written(file, network, rounded=rounded)
        outputs = found.plain().run(feed)
    wanted = LoadedModel.load(file if rounded else serialize(network), optimize=False).run(feed)
    assert all(np.array_equal(*pair) for pair in zip(outputs, wanted, strict=True))
    another = LoadedModel.load(serialize(network) if rounded else file, optimize=False).run(feed)
    assert not all(np.array_equal(*pair) for pair in zip(outputs, another, strict=True))
