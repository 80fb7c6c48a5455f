"""The names users may rely on."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import edgeticket
from edgeticket import errors


def test_the_public_names_are_these() -> None:
    assert edgeticket.__all__ == ["Data", "Mask", "Task", "__version__", "check", "export", "find", "request"]
    assert all(getattr(edgeticket, name) is not None for name in edgeticket.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'edgeticket' has no attribute 'prune'"):
        edgeticket.prune  # noqa: B018


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", edgeticket.__version__)
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
    assert edgeticket.__version__ in changelog.read_text()


def test_the_tree_of_errors_is_the_one_drawn() -> None:
    """errors.py opens with the tree; every class in it stands there, with its exit code."""
    drawn = set(re.findall(r"(\w+Error)\b", errors.__doc__ or ""))
    defined = {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert drawn == set(defined)
    assert {name: int(kind.exit_code) for name, kind in defined.items()} == {
        "EdgeticketError": 2,
        "InputError": 2,
        "TaskError": 2,
        "DataError": 2,
        "ModelError": 2,
        "FolderError": 2,
        "StorageError": 2,
        "MissingExtraError": 2,
        "EngineError": 2,
        "TrainingError": 2,
        "ProofError": 1,
        "IntegrityError": 4,
    }


def test_what_a_task_of_the_users_own_may_say_is_stable() -> None:
    assert [field.name for field in dataclasses.fields(edgeticket.Task)] == [
        "name", "model", "data", "loss", "metric", "optimizer", "optimizer_args", "lr", "warmup", "milestones",
        "gamma", "schedule", "iterations", "batch_size", "eval_every", "validation", "rates", "scope", "keep",
        "augment", "until", "description",
    ]  # fmt: skip
    assert [field.name for field in dataclasses.fields(edgeticket.Data)] == [
        "train",
        "test",
        "scale",
        "offset",
        "preprocessing",
    ]
