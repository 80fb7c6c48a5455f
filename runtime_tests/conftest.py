"""The subject is an artifact: `pytest runtime_tests --artifact DIR`. Needs pytest, numpy and onnxruntime only."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BESIDE = Path(__file__).resolve().parent.parent / "edgeticket" / "measure" / "checks.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this suite."""
    group = parser.getgroup("edgeticket")
    group.addoption("--artifact", metavar="DIR", help="the artifact to test, a folder that `edgeticket export` wrote")
    group.addoption("--artifact-threads", metavar="N", type=int, default=1, help="threads for the outputs (default 1)")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without a subject."""
    artifact = config.getoption("--artifact")
    if artifact is None:
        raise pytest.UsageError("runtime_tests need a subject: pytest runtime_tests --artifact DIR")
    if not Path(artifact).is_dir():
        raise pytest.UsageError(f"--artifact {artifact}: there is no such folder")


def load_checks() -> ModuleType:
    """checks.py of the installed edgeticket, else the one beside this folder."""
    if importlib.util.find_spec("edgeticket") is not None:
        return importlib.import_module("edgeticket.measure.checks")
    spec = importlib.util.spec_from_file_location("edgeticket_checks", BESIDE)
    if spec is None or spec.loader is None or not BESIDE.exists():
        raise pytest.UsageError(f"no checks: install edgeticket, or put its edgeticket/measure/checks.py at {BESIDE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def outcome(request: pytest.FixtureRequest) -> Any:
    """Every check of the artifact, made once."""
    checks = load_checks()
    folder, threads = Path(request.config.getoption("--artifact")), request.config.getoption("--artifact-threads")
    inside = folder / "artifact"
    if inside.is_dir() and not (folder / checks.MANIFEST).exists() and not (folder / checks.SUMS).exists():
        folder = inside
    try:
        return checks.check_artifact(folder, threads)
    except checks.NotAnArtifactError as error:
        raise pytest.UsageError(str(error)) from error
