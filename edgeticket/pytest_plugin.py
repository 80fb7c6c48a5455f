"""A pytest plugin for tests on a device, whose subject is an artifact: `pytest --edgeticket-artifact DIR`.

    def test_warm(edgeticket_artifact):                     # opened: every file has its recorded hash
        outputs = edgeticket_artifact.session(threads=1).run(None, edgeticket_artifact.feed())

    @pytest.mark.edgeticket_budget(latency_ms=2.0)          # fails over it, skips where that is not certain
    def test_fast_enough(edgeticket_artifact): ...

Needs pytest, numpy and onnxruntime. It stands alone: an artifact carries it as verify/plugin.py, beside check.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
# checks.py of the installed package, of a copy of it, or of the artifact that this file lies in.
BESIDE = (HERE / "measure" / "checks.py", HERE.parent / "check.py")


@cache
def load_checks() -> ModuleType:
    """The checks: edgeticket's where it is installed, else the file beside this one.

    Raises:
        UsageError: neither is there.
    """
    if importlib.util.find_spec("edgeticket") is not None:
        return importlib.import_module("edgeticket.measure.checks")
    path = next((path for path in BESIDE if path.exists()), None)
    spec = None if path is None else importlib.util.spec_from_file_location("edgeticket_checks", path)
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"no checks: install edgeticket, or put its measure/checks.py at {BESIDE[0]}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("edgeticket", "artifacts of edgeticket")
    group.addoption("--edgeticket-artifact", metavar="DIR", help="the artifact to test, a folder that was exported")
    group.addoption("--artifact-threads", metavar="N", type=int, default=1, help="threads for the outputs (default 1)")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        "edgeticket_budget(latency_ms, threads=1, host='any'): the artifact's median inference must be under this; "
        "skipped where the bounds leave it open, or on another host",
    )


def folder_of(config: pytest.Config) -> Path | None:
    """The artifact that was named, or the one inside the folder that was named.

    Raises:
        UsageError: there is no such folder.
    """
    given = config.getoption("edgeticket_artifact")
    if given is None:
        return None
    folder = Path(given)
    if not folder.is_dir():
        raise pytest.UsageError(f"--artifact {given}: there is no such folder")
    checks = load_checks()
    inside = folder / "artifact"
    own = (folder / checks.MANIFEST).exists() or (folder / checks.SUMS).exists()
    return inside if inside.is_dir() and not own else folder


@dataclass(frozen=True)
class Artifact:
    """An artifact whose every file has the recorded hash: its folder, manifest and verified bytes."""

    folder: Path
    opened: Any

    @property
    def manifest(self) -> Any:
        """manifest.json."""
        return self.opened.manifest

    def session(self, threads: int = 1) -> Any:
        """An onnxruntime session on the verified bytes."""
        checks = load_checks()
        return checks.session(self.opened.files[checks.MODEL], threads)

    def feed(self) -> Any:
        """The first golden input, at batch 1 where the model takes it."""
        checks = load_checks()
        feed = next(checks.golden_feeds(self.opened))[0]
        return checks.single(self.manifest["inputs"], feed) if self.manifest["golden"]["single"] else feed


@pytest.fixture(scope="session")
def edgeticket_artifact(request: pytest.FixtureRequest) -> Artifact:
    """The artifact under test; without --edgeticket-artifact the test is skipped, damaged files fail it."""
    folder = folder_of(request.config)
    if folder is None:
        pytest.skip("needs a subject: --edgeticket-artifact DIR")
    checks = load_checks()
    try:
        return Artifact(folder, checks.open_artifact(folder))
    except checks.NotAnArtifactError as error:
        raise pytest.UsageError(str(error)) from error
    except checks.DamagedError as error:
        pytest.fail(f"{folder}: {error}: nothing of it was run", pytrace=False)


@pytest.fixture(scope="session")
def edgeticket_outcome(request: pytest.FixtureRequest) -> Any:
    """Every check of the artifact, made once: see edgeticket/measure/checks.py."""
    folder = folder_of(request.config)
    if folder is None:
        pytest.skip("needs a subject: --edgeticket-artifact DIR")
    checks = load_checks()
    try:
        return checks.check_artifact(folder, request.config.getoption("artifact_threads"))
    except checks.NotAnArtifactError as error:
        raise pytest.UsageError(str(error)) from error


_found = pytest.StashKey[Any]()


@pytest.fixture(autouse=True)
def _edgeticket_budget(request: pytest.FixtureRequest) -> None:
    """Measure for the marker."""
    marker = request.node.get_closest_marker("edgeticket_budget")
    if marker is None:
        return
    names = ("latency_ms", "threads", "host")
    budget = {"threads": 1, "host": "any", **dict(zip(names, marker.args, strict=False)), **marker.kwargs}
    if set(budget) != set(names):
        raise pytest.UsageError("edgeticket_budget takes latency_ms, and threads and host where they matter")
    opened = request.getfixturevalue("edgeticket_artifact").opened
    request.node.stash[_found] = load_checks().judge_budget(opened, budget)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Over the budget is a failure of the test, and an open answer skips it; then its own body runs."""
    found = pyfuncitem.stash.get(_found, None)
    if found is None:
        return
    checks = load_checks()
    if found.verdict == checks.INCONCLUSIVE:
        pytest.skip(found.sentence)
    if found.verdict != checks.PASS:
        pytest.fail(found.sentence, pytrace=False)
