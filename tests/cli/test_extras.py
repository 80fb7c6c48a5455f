"""A missing extra is one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edgeticket.cli.extras import EXTRA_OF, explain
from edgeticket.errors import Exit

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"sklearn": "scikit-learn", "onnx_ir": "onnx-ir"}


@pytest.mark.parametrize("package", EXTRA_OF)
def test_the_named_extra_brings_the_package(package: str) -> None:
    extras = PROJECT["optional-dependencies"]

    def brings(extra: str) -> set[str]:
        found: set[str] = set()
        for requirement in extras[extra]:
            if requirement.startswith("edgeticket["):
                found |= brings(requirement.partition("[")[2].partition("]")[0])
            else:
                found.add(requirement.partition(">")[0].partition("=")[0])
        return found

    assert DISTRIBUTIONS.get(package, package) in brings(EXTRA_OF[package])


def test_the_sentence_names_the_package_and_the_way_out() -> None:
    error = explain(ModuleNotFoundError("No module named 'torch'", name="torch.nn"), "find")
    assert error is not None
    assert error.exit_code == Exit.USAGE
    assert "`edgeticket find` needs the package 'torch'" in str(error)
    assert "pip install -c requirements.lock '.[find]'" in str(error)


def test_a_module_of_the_users_own_is_not_ours_to_explain() -> None:
    assert explain(ModuleNotFoundError("No module named 'mine'", name="mine"), "find") is None
    assert explain(ModuleNotFoundError("?"), "find") is None


def test_a_device_needs_no_extra() -> None:
    base = {requirement.partition(">")[0] for requirement in PROJECT["dependencies"]}
    assert base == {"click", "numpy", "onnxruntime", "rich"}
