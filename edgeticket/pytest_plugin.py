"""A pytest plugin for tests on a device, whose subject is an artifact: `pytest --edgeticket-artifact DIR`.

    def test_warm(edgeticket_artifact):                     # opened: every file has its recorded hash
        outputs = edgeticket_artifact.session(threads=1).run(None, edgeticket_artifact.feed())

    @pytest.mark.edgeticket_budget(latency_ms=2.0)          # fails over it, skips where that is not certain
    def test_fast_enough(edgeticket_artifact): ...

Where no artifact is named these tests are skipped and the run fails, as nothing was tested. With
`--edgeticket-allow-missing`, or `edgeticket_allow_missing = true` among pytest's settings, it passes.

Needs pytest, numpy and onnxruntime. It stands alone, whole in one file on purpose: an artifact carries it as
verify/plugin.py, beside check.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
# checks.py of the installed package, of a copy of it, or of the artifact that this file lies in.
BESIDE = (HERE / "artifact" / "checks.py", HERE.parent / "check.py")

_opened = pytest.StashKey[Any]()  # the artifact of this run, or what is damaged of it
_budget = pytest.StashKey[Any]()  # of a test, or what is wrong with it
_found = pytest.StashKey[Any]()  # the check of that budget
MISSING = "needs a subject: --edgeticket-artifact DIR"
ALLOW = "edgeticket_allow_missing"


@cache
def load_checks() -> ModuleType:
    """The checks: edgeticket's where it is installed, else the file beside this one.

    Raises:
        UsageError: neither is there.
    """
    if importlib.util.find_spec("edgeticket") is not None:
        return importlib.import_module("edgeticket.artifact.checks")
    path = next((path for path in BESIDE if path.exists()), None)
    if path is None:
        raise pytest.UsageError(f"no checks: install edgeticket, or put its artifact/checks.py at {BESIDE[0]}")
    module = ModuleType("edgeticket_checks")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102  a cache beside it is not trusted
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("edgeticket", "artifacts of edgeticket")
    group.addoption("--edgeticket-artifact", metavar="DIR", help="the artifact to test, a folder that was exported")
    allowed = "pass where tests need an artifact and none is named, instead of failing as nothing was tested"
    group.addoption("--edgeticket-allow-missing", action="store_true", dest=ALLOW, help=allowed)
    parser.addini(ALLOW, f"{allowed} (the option of that name)", "bool", False)
    group.addoption("--artifact-threads", metavar="N", type=int, default=1, help="threads for the outputs (default 1)")


@pytest.hookimpl(trylast=True)  # a conftest may name the artifact in its own
def pytest_configure(config: pytest.Config) -> None:
    """The marker; and the artifact is opened, so that a wrong option stops here and not in a test.

    Raises:
        UsageError: the folder is not there or no artifact, or fewer cores than threads were asked for.
    """
    config.addinivalue_line(
        "markers",
        "edgeticket_budget(latency_ms, threads=1, host='any'): the artifact's median inference must be under this; "
        "skipped where the bounds leave it open, on another host, or with fewer cores than threads",
    )
    folder = folder_of(config)
    if folder is None:
        if not (config.getoption(ALLOW) or config.getini(ALLOW) or hasattr(config, "workerinput")):
            config.pluginmanager.register(Untested(), "edgeticket-untested")
        return
    checks = load_checks()
    threads = config.getoption("artifact_threads")
    if not 1 <= threads <= checks.cores():
        raise pytest.UsageError(f"--artifact-threads {threads}: from 1 to {checks.cores()}, the cores allowed here")
    try:
        config.stash[_opened] = checks.open_artifact(folder)
    except checks.NotAnArtifactError as error:
        raise pytest.UsageError(f"--edgeticket-artifact: {error}") from error
    except checks.DamagedError as error:  # not usage: the tests of it fail
        config.stash[_opened] = error


def budget_of(item: pytest.Item) -> dict[str, Any] | None:
    """What the marker says: {"latency_ms": x, "threads": n, "host": fingerprint}; None without one.

    Raises:
        UsageError: it says something else.
    """
    marker = item.get_closest_marker("edgeticket_budget")
    if marker is None:
        return None
    names = ("latency_ms", "threads", "host")
    given = dict(zip(names, marker.args, strict=False)) | dict(marker.kwargs)
    budget: dict[str, Any] = {"threads": 1, "host": "any"} | given
    if set(budget) != set(names) or len(given) != len(marker.args) + len(marker.kwargs):
        problem = "it takes latency_ms, and threads and host where they matter"
    elif isinstance(budget["latency_ms"], bool) or not isinstance(budget["latency_ms"], int | float):
        problem = f"latency_ms={budget['latency_ms']!r} is not a number"
    elif not 0 < budget["latency_ms"] < math.inf:
        problem = f"latency_ms={budget['latency_ms']!r} is not above 0, or not finite"
    elif type(budget["threads"]) is not int or budget["threads"] < 1:
        problem = f"threads={budget['threads']!r} is not a whole number from 1"
    elif not isinstance(budget["host"], str):
        problem = f"host={budget['host']!r} is neither 'any' nor a fingerprint"
    else:
        return budget
    raise pytest.UsageError(f"{item.nodeid}: edgeticket_budget: {problem}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every marker before the first test runs.

    Raises:
        UsageError: one is wrong. A worker of pytest-xdist would make a crash of that: there only its test errs.
    """
    for item in items:
        try:
            item.stash[_budget] = budget_of(item)
        except pytest.UsageError as error:
            if not hasattr(config, "workerinput"):
                raise
            item.stash[_budget] = error


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
        raise pytest.UsageError(f"--edgeticket-artifact {given}: there is no such folder")
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
        pytest.skip(MISSING)
    opened = request.config.stash[_opened]
    if isinstance(opened, Exception):
        pytest.fail(f"{folder}: {opened}: nothing of it was run", pytrace=False)
    return Artifact(folder, opened)


@pytest.fixture(scope="session")
def edgeticket_outcome(request: pytest.FixtureRequest) -> Any:
    """Every check of the artifact, made once: see edgeticket/artifact/checks.py."""
    folder = folder_of(request.config)
    if folder is None:
        pytest.skip(MISSING)
    return load_checks().check_artifact(folder, request.config.getoption("artifact_threads"))


@pytest.fixture(autouse=True)
def _edgeticket_budget(request: pytest.FixtureRequest) -> None:
    """Measure for the marker."""
    budget = request.node.stash.get(_budget, None)
    if budget is None:
        return
    if isinstance(budget, Exception):
        pytest.fail(str(budget), pytrace=False)
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


class Untested:
    """Fails a run in which tests needed an artifact and none was named: a gate that tests nothing must not pass.

    Under pytest-xdist this is with the controller, which sees the reports of all workers.
    """

    def __init__(self) -> None:
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what was skipped for want of an artifact."""
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        self.count += report.skipped and reason.endswith(MISSING)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn what would be a success into a failure."""
        if self.count and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why, and what to do."""
        if self.count:
            needing = "1 test needs" if self.count == 1 else f"{self.count:,} tests need"
            terminalreporter.write_line(
                f"edgeticket: {needing} an artifact and none was named, so nothing of it was tested: give "
                "--edgeticket-artifact DIR, or --edgeticket-allow-missing to pass without",
                red=True,
            )
