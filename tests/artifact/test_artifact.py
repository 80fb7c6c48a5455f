"""The manifest, and a folder that is there whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeticket.artifact import folder as artifact
from edgeticket.artifact.manifest import (
    Budget,
    GoldenInfo,
    LayerInfo,
    Manifest,
    MetricInfo,
    OnnxSource,
    Port,
    ProofInfo,
    SliceInfo,
    TensorInfo,
    TicketSource,
)
from edgeticket.errors import FolderError, IntegrityError, StorageError

MANIFEST = Manifest(
    name="small",
    source=OnnxSource(file="small.onnx", sha256="0" * 64),
    storage="auto",
    weights="fp32",
    size_bytes=100,
    dense_size_bytes=1000,
    inputs=(Port("x", "float32", (None, 64)),),
    outputs=(Port("y", "float32", (None, 10)),),
    preprocessing=None,
    metric=None,
    slice=None,
    golden=GoldenInfo(("y",), ((1e-6,),), single=True),
    proof=ProofInfo("proved", "", samples=3),
    budget=Budget(1.5, 2, "any"),
)
FILES = {"manifest.json": MANIFEST.to_json().encode(), "model.onnx": b"model"}

ports = st.builds(
    Port,
    st.text(min_size=1, max_size=20),
    st.sampled_from(["float32", "int64", "bool"]),
    st.lists(st.none() | st.integers(1, 1 << 20), max_size=5).map(tuple),
)
words, numbers = st.text(max_size=9), st.floats(allow_nan=False, allow_infinity=False)
sizes = st.lists(st.integers(0, 1 << 20), max_size=4).map(tuple)
scales = st.none() | numbers | st.lists(numbers, max_size=3).map(tuple)
sources = st.builds(OnnxSource, file=words, sha256=words) | st.builds(
    TicketSource,
    task=words,
    trial=st.none() | words,
    round=st.integers(0, 99),
    at=st.sampled_from(["early-stop", "end"]),
    kept=st.integers(0),
    total=st.integers(0),
    density=numbers,
    sha256=words,
)
proofs = st.builds(ProofInfo, st.sampled_from(["proved", "not proved"]), words, samples=st.integers(0))
manifests = st.builds(
    Manifest,
    name=st.text(max_size=30),
    source=sources,
    storage=st.sampled_from(["auto", "dense", "gaps", "sparse-initializer"]),
    weights=st.sampled_from(["fp32", "fp16", "int8"]),
    size_bytes=st.integers(1),
    dense_size_bytes=st.integers(1),
    inputs=st.lists(ports, max_size=3).map(tuple),
    outputs=st.lists(ports, max_size=3).map(tuple),
    preprocessing=st.none() | st.text(max_size=9),
    metric=st.none() | st.builds(MetricInfo, words, words, st.booleans(), st.booleans(), st.none() | numbers),
    slice=st.none() | st.builds(SliceInfo, st.integers(1, 500), words, scales, scales, numbers, st.none() | numbers),
    golden=st.builds(GoldenInfo, st.lists(words).map(tuple), st.lists(st.lists(numbers).map(tuple)).map(tuple)),
    proof=proofs | st.builds(ProofInfo, st.just("measured"), words, numbers, graph=proofs),
    budget=st.none() | st.builds(Budget, st.floats(1e-3, 1e6), st.integers(1, 64), st.text(max_size=12)),
    layers=st.lists(st.builds(LayerInfo, words, words, sizes, sizes, st.integers(0), st.integers(0))).map(tuple),
    tensors=st.lists(st.builds(TensorInfo, words, sizes, st.integers(0), words, words, st.integers(0), words)).map(
        tuple
    ),
    provenance=st.dictionaries(words, st.none() | words | numbers | st.integers(), max_size=3),
    versions=st.dictionaries(words, words, max_size=3),
)


@given(manifests)
def test_a_manifest_survives_its_document(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json(), Path("manifest.json")) == manifest


@given(
    st.binary(max_size=200)
    | st.integers(0, len(MANIFEST.to_json()) - 3).map(lambda cut: MANIFEST.to_json().encode()[:cut])
)
def test_what_is_no_manifest_is_refused_by_name(data: bytes) -> None:
    with pytest.raises((IntegrityError, FolderError), match=r"here/manifest\.json"):
        Manifest.from_json(data, Path("here/manifest.json"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": "other"}, FolderError),
        ({"version": 99}, FolderError),
        ({"unknown": 1}, IntegrityError),
        ({"inputs": [{"name": "x"}]}, IntegrityError),
        ({"budget": {"latency_ms": 1.0, "planet": "any"}}, IntegrityError),
        ({"source": {"kind": "onnx", "file": "x.onnx"}}, IntegrityError),
        ({"source": {"kind": "guess", "file": "x.onnx", "sha256": ""}}, IntegrityError),
        ({"size_bytes": True}, IntegrityError),
        ({"layers": {}}, IntegrityError),
        ({"golden": {"outputs": ["y"], "atol": [["small"]]}}, IntegrityError),
    ],
)
def test_a_manifest_of_another_kind_is_refused(change: dict[str, Any], error: type[Exception]) -> None:
    body = json.loads(MANIFEST.to_json()) | change
    with pytest.raises(error, match="manifest"):
        Manifest.from_json(json.dumps(body), Path("manifest.json"))


def test_a_field_that_an_older_manifest_lacks_has_its_default() -> None:
    body = json.loads(MANIFEST.to_json())
    for name in ("layers", "tensors", "provenance", "versions"):
        del body[name]
    del body["golden"]["rtol"]
    del body["budget"]["host"]
    body["proof"] = {"verdict": "proved", "reason": "", "samples": 3}
    assert Manifest.from_json(json.dumps(body), Path("manifest.json")) == MANIFEST


@pytest.mark.parametrize("name", ["name", "source", "golden", "proof", "budget"])
def test_a_field_without_a_default_is_missed_by_name(name: str) -> None:
    body = json.loads(MANIFEST.to_json())
    del body[name]
    with pytest.raises(IntegrityError, match=f"fields missing or unknown: {name}"):
        Manifest.from_json(json.dumps(body), Path("manifest.json"))


def test_a_value_of_the_wrong_kind_is_named_by_its_place() -> None:
    body = json.loads(MANIFEST.to_json()) | {"golden": {"outputs": ["y"], "atol": [[1e-6], ["small"]]}}
    with pytest.raises(IntegrityError, match=r"golden\.atol\[1\]\[0\] is of the wrong kind: 'small'"):
        Manifest.from_json(json.dumps(body), Path("manifest.json"))


def test_the_manifest_of_0_1_0_is_read_and_written_back_as_it_was() -> None:
    path = Path(__file__).resolve().parent.parent / "fixtures" / "0.1.0" / "artifact" / "manifest.json"
    manifest = Manifest.from_json(path.read_bytes(), path)
    assert isinstance(manifest.source, TicketSource)
    assert (manifest.source.round, manifest.layers[1].shape_after) == (2, (5, 27))
    assert manifest.to_json() == path.read_text()


def test_the_sums_are_those_of_coreutils(tmp_path: Path) -> None:
    artifact.write_artifact(tmp_path / "a", FILES)
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "a", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["manifest.json: OK", "model.onnx: OK"]


def test_an_earlier_artifact_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "a"
    artifact.write_artifact(out, {**FILES, "old.txt": b"old"})
    artifact.write_artifact(out, {**FILES, "new.txt": b"new"})
    assert sorted(path.name for path in out.iterdir()) == ["SHA256SUMS", "manifest.json", "model.onnx", "new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_without_an_exchange_of_names_it_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "_exchange", lambda *_: False)
    test_an_earlier_artifact_is_replaced_as_a_whole(tmp_path)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match="something else"):
        artifact.write_artifact(tmp_path, FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_stranger_inside_an_artifact_is_not_lost(tmp_path: Path) -> None:
    artifact.write_artifact(tmp_path / "a", FILES)
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"notes\.txt"):
        artifact.write_artifact(tmp_path / "a", FILES)
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "a"
    out.write_text("a file") if kind == "file" else out.symlink_to(tmp_path)
    with pytest.raises(FolderError, match="not a folder"):
        artifact.write_artifact(out, FILES)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    artifact.write_artifact(tmp_path / "a", FILES)
    assert (tmp_path / "a" / "model.onnx").read_bytes() == b"model"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "a"
    artifact.write_artifact(out, FILES)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from edgeticket.artifact import folder as artifact\n"
        "from edgeticket.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    artifact.write_artifact(Path(sys.argv[1]), {'manifest.json': b'{}', 'model.onnx': bytes(9999)})\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(out)], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    assert (out / "model.onnx").read_bytes() == b"model"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def killed_while_writing(out: Path) -> Path:
    """The folder that an export to `out` leaves beside it when it is killed."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from edgeticket.artifact import folder as artifact\n"
        "artifact._write_synced = lambda path, data: os.kill(os.getpid(), signal.SIGKILL)\n"
        "artifact.write_artifact(Path(sys.argv[1]), {'manifest.json': b'{}', 'model.onnx': b''})\n"
    )
    before = set(out.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", script, str(out)], check=False).returncode == -signal.SIGKILL
    (left,) = set(out.parent.iterdir()) - before
    return left


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path / "a")
    elsewhere = killed_while_writing(tmp_path / "b")
    artifact.write_artifact(tmp_path / "a", FILES)
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a", elsewhere.name}


def test_what_a_living_export_is_writing_stays(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path / "a")
    dead = left.name.rsplit("-", 2)[1]
    living = left.rename(tmp_path / left.name.replace(f"-{dead}-", f"-{os.getppid()}-"))
    artifact.write_artifact(tmp_path / "a", FILES)
    assert living.exists()


def test_an_artifact_set_aside_stays_while_nothing_stands_in_its_place(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path / "a")
    aside = left.rename(left.with_name(left.name + "-old"))
    artifact.write_artifact(tmp_path / "a", FILES)
    assert aside.exists()
    artifact.write_artifact(tmp_path / "a", FILES)
    assert not aside.exists()


def test_a_name_as_long_as_the_system_takes_is_a_name(tmp_path: Path) -> None:
    artifact.write_artifact(tmp_path / ("ä" * 127), FILES)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_artifact_is_written_into_another(tmp_path: Path) -> None:
    artifact.write_artifact(tmp_path / "a", FILES)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for out in (tmp_path / "a" / "b", tmp_path / "a" / "b" / "c", tmp_path / "link" / "b"):
        with pytest.raises(FolderError, match="lies inside the artifact"):
            artifact.write_artifact(out, FILES)


def test_a_parent_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        artifact.write_artifact(tmp_path / "f" / "a", FILES)


def test_nouns_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MANIFEST.name = "other"  # type: ignore[misc]
