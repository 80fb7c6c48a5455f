"""Damage of many kinds to small models: whatever happens, it is an error of ours with a sentence, or a proved file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import mutations
import pytest

from edgeticket import api
from edgeticket.errors import EdgeticketError, Exit, ProofError
from edgeticket.subject.subject import open_subject

SEEDS = 24
Made = TypeVar("Made")


def _damaged(folder: Path, kind: str, seed: int) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(mutations.mutated(kind, seed).SerializeToString())
    return path


def _tried(make: Callable[[], Made]) -> Made | EdgeticketError:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on numbers that overflow
        try:
            return make()
        except EdgeticketError as error:
            return error


@pytest.mark.parametrize("kind", sorted(mutations.KINDS))
@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_export_ends_in_a_sentence_or_an_artifact(tmp_path: Path, kind: str, seed: int) -> None:
    path = _damaged(tmp_path, kind, seed)
    made = _tried(lambda: api.export(path, bench=False))
    assert not isinstance(made, ProofError), str(made)
    if isinstance(made, EdgeticketError):
        assert len(str(made).splitlines()) == 1
        assert str(made).startswith(f"{path}: "), "the sentence names the file as it was given"
        assert made.exit_code == Exit.USAGE
        assert not (tmp_path / "model-artifact").exists()
    else:
        assert api.check(made.folder).exit_code == made.exit_code


@pytest.mark.parametrize("kind", sorted(mutations.KINDS))
def test_the_models_are_sound_before_they_are_damaged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(mutations.KINDS[kind])
    proof = api.export(path, bench=False).manifest.proof
    assert proof.proved, proof.reason


@pytest.mark.parametrize("kind", sorted(mutations.KINDS))
def test_what_measures_ends_in_a_sentence_too(tmp_path: Path, kind: str) -> None:
    found = [
        _tried(lambda path=path: open_subject(path, tmp_path, "candidate"))  # type: ignore[misc]
        for path in (_damaged(tmp_path, kind, seed) for seed in range(4))
    ]
    refused = [str(each) for each in found if isinstance(each, EdgeticketError)]
    assert refused
    assert all("model.onnx" in sentence for sentence in refused)
