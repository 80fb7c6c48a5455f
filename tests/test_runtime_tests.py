"""runtime_tests/ on real artifacts, as a board runs them: in a process of their own, without edgeticket installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sample_artifacts

from edgeticket import api

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a ticket, with a budget for another host; never changed."""
    source = sample_artifacts.ticket(tmp_path_factory.mktemp("run") / "ticket")
    return api.export(source, bench=False, budget_ms=1e6, budget_host="0123456789ab").folder


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """What is copied to a board: the suite, and the one file that it wraps."""
    shutil.copytree(ROOT / "runtime_tests", tmp_path / "runtime_tests", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "edgeticket" / "measure").mkdir(parents=True)
    shutil.copy(ROOT / "edgeticket" / "measure" / "checks.py", tmp_path / "edgeticket" / "measure" / "checks.py")
    return tmp_path


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """pytest in `folder`, where `import edgeticket` finds nothing: neither installed nor on the path."""
    script = (
        "import importlib.util, sys, pytest; find = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, package=None: None if name == 'edgeticket' else find(name, package); "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-c", script, "runtime_tests", "-q", "-rs", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_good_artifact_passes_and_the_open_question_is_skipped(board: Path, artifact: Path) -> None:
    done = run(board, "--artifact", str(artifact))
    assert done.returncode == 0, done.stdout
    assert "5 passed, 1 skipped" in done.stdout
    assert "the budget of 1e+06 ms is for host 0123456789ab" in done.stdout


def test_the_folder_around_an_artifact_will_do(board: Path, artifact: Path) -> None:
    assert run(board, "--artifact", str(artifact.parent)).returncode == 0


def test_an_altered_artifact_fails(board: Path, artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "golden.npz").write_bytes((copy / "golden.npz").read_bytes()[:-1])
    done = run(board, "--artifact", str(copy))
    assert done.returncode == 1
    assert "golden.npz is truncated or altered" in done.stdout
    assert "1 failed, 5 skipped" in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "need a subject: pytest runtime_tests --artifact DIR"),
        (["--artifact", "nowhere"], "there is no such folder"),
    ],
)
def test_without_a_subject_it_is_a_usage_error(board: Path, options: list[str], sentence: str) -> None:
    done = run(board, *options)
    assert done.returncode == 4  # pytest's own code for usage
    assert sentence in done.stdout + done.stderr


def test_where_edgeticket_is_installed_its_checks_are_used(artifact: Path) -> None:
    command = [sys.executable, "-m", "pytest", str(ROOT / "runtime_tests"), "-q", "--artifact", str(artifact)]
    done = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_suite_leaves_the_artifact_as_it_was(board: Path, artifact: Path) -> None:
    before = sorted(path.name for path in artifact.iterdir())
    run(board, "--artifact", str(artifact))
    assert sorted(path.name for path in artifact.iterdir()) == before
    assert json.loads((artifact / "manifest.json").read_text())["budget"]["host"] == "0123456789ab"
