"""runtime_tests/ on real artifacts, as a board runs them: in a process of their own, without edgeticket installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import py_compile
import re
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
    """What is copied to a board: the suite, the plugin that it uses and the one file that this wraps."""
    shutil.copytree(ROOT / "runtime_tests", tmp_path / "runtime_tests", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "edgeticket" / "artifact").mkdir(parents=True)
    shutil.copy(ROOT / "edgeticket" / "artifact" / "checks.py", tmp_path / "edgeticket" / "artifact" / "checks.py")
    shutil.copy(ROOT / "edgeticket" / "pytest_plugin.py", tmp_path / "edgeticket" / "pytest_plugin.py")
    return tmp_path


def run(folder: Path, *options: str, subject: str = "runtime_tests") -> subprocess.CompletedProcess[str]:
    """pytest in `folder`, where `import edgeticket` finds nothing: neither installed nor on the path."""
    script = (
        "import importlib.util, sys, pytest; find = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, package=None: None if name == 'edgeticket' else find(name, package); "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-c", script, subject, "-q", "-rs", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # else the installed plugin stands in
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


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


# --- verify/, inside the artifact ---

BARE = """
import runpy, sys
sys.modules.update(dict.fromkeys(("pytest", "edgeticket", "onnx")))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_bare(artifact: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """verify/run.py where neither pytest nor edgeticket nor onnx can be imported."""
    command = [sys.executable, "-I", "-c", BARE, str(artifact / "verify" / "run.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_board_without_our_package_or_pytest_checks_the_artifact(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    done = run_bare(copy)
    assert done.returncode == 3, done.stderr  # the budget is for another host
    assert [line.split()[:2] for line in done.stdout.splitlines()][:3] == [
        ["hashes", "pass"],
        ["bytes", "pass"],
        ["golden", "pass"],
    ]
    (copy / "model.onnx").write_bytes(b"")
    assert run_bare(copy).returncode == 4


def test_options_reach_the_checks(artifact: Path, tmp_path: Path) -> None:
    done = run_bare(artifact, "--threads", "1", "--json", str(tmp_path / "r.json"))
    assert done.returncode == 3
    assert json.loads((tmp_path / "r.json").read_text())["artifact"] == str(artifact)


def test_the_suite_inside_an_artifact_tests_the_artifact_around_it(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    done = run(copy.parent, "--rootdir", str(copy), subject=str(copy / "verify"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed, 1 skipped" in done.stdout


def test_an_altered_verifier_is_an_integrity_error(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "verify" / "test_the_artifact.py").write_text("")
    assert run_bare(copy).returncode == 4


# --- Old Pythons, and what merely lies beside ---

LAUNCHED = ("verify/run.py", "check.py")
PRETENDED = """
import runpy, sys
sys.version_info = (*map(int, sys.argv[1].split(".")), "final", 0)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("name", LAUNCHED)
@pytest.mark.parametrize("version", ["2.7.18", "3.6.15", "3.8.18", "3.9.18"])
def test_an_old_python_is_named_in_a_sentence(artifact: Path, name: str, version: str) -> None:
    command = [sys.executable, "-I", "-c", PRETENDED, version, str(artifact / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout
    assert re.fullmatch(rf"the checks need Python 3\.10 or newer, and this is (Python )?{version}.*\n", done.stderr)


@pytest.mark.parametrize("program", ["python2.7", "python3.6", "python3.7", "python3.8", "python3.9"])
def test_an_old_python_that_is_here_says_so_itself(artifact: Path, program: str) -> None:
    if subprocess.run(["sh", "-c", f"{program} -c ''"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"no {program} here")
    for name in LAUNCHED[: 1 if program == "python2.7" else 2]:
        done = subprocess.run([program, str(artifact / name)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "need Python 3.10 or newer" in done.stderr


def test_what_starts_the_checks_is_written_for_every_python() -> None:
    """Python 2.7 and 3.6 have to read all of the file before they can say that they are too old."""
    tree = ast.parse((ROOT / "runtime_tests" / "run.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr | ast.AsyncFunctionDef | ast.Nonlocal)
        if isinstance(node, ast.FunctionDef):
            taken = node.args
            newer = [node.returns, *taken.kwonlyargs, *taken.posonlyargs, *(each.annotation for each in taken.args)]
            assert not any(newer), node.name
    checker = ast.parse((ROOT / "edgeticket" / "artifact" / "checks.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(checker) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    ast.parse((ROOT / "edgeticket" / "artifact" / "checks.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_without_numpy_it_is_a_sentence(artifact: Path) -> None:
    for name in LAUNCHED:
        command = [sys.executable, "-I", "-S", str(artifact / name)]  # -S: no installed packages
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "numpy" in done.stderr


@pytest.mark.parametrize("name", LAUNCHED)
def test_what_lies_beside_is_never_imported(artifact: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    beside = (copy / name).parent
    for module in ("numpy", "onnxruntime", "json", "argparse", "importlib"):
        (beside / f"{module}.py").write_text(f"raise SystemExit('{module} was imported')\n")
    done = subprocess.run([sys.executable, str(copy / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "argparse.py is not part of it" in done.stdout


def test_a_compiled_file_in_a_cache_is_not_run(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('the cache was run')\n")
    cached = Path(importlib.util.cache_from_source(str(copy / "check.py")))
    py_compile.compile(str(evil), str(cached), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert run_bare(copy).returncode == 3  # the budget is for another host
    done = run(copy.parent, "--rootdir", str(copy), subject=str(copy / "verify"))
    assert "5 passed, 1 skipped" in done.stdout


def test_pytest_collects_only_what_is_listed(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    for name in ("test_evil.py", "numpy.py"):
        (copy / "verify" / name).write_text("raise SystemExit('it was imported')\n")
    done = run(copy.parent, "--rootdir", str(copy), subject=str(copy / "verify"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verify/test_evil.py is not part of it" in done.stdout
    assert "it was imported" not in done.stdout + done.stderr


# --- The plugin, in people's own tests ---

OWN = """
import pytest

def test_outputs(edgeticket_artifact):
    assert edgeticket_artifact.manifest["name"]
    outputs = edgeticket_artifact.session(threads=1).run(None, edgeticket_artifact.feed())
    assert outputs[0].shape == (1, 10)

@pytest.mark.edgeticket_budget(latency_ms=1e6)
def test_within(edgeticket_artifact): pass

@pytest.mark.edgeticket_budget(1e-9)
def test_beyond(): pass

@pytest.mark.edgeticket_budget(latency_ms=1, host="0123456789ab")
def test_elsewhere(): pass

def test_every_check(edgeticket_outcome):
    assert edgeticket_outcome.checks[0].verdict == "pass"
"""


def own_tests(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_own.py").write_text(OWN)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
    # As an entry point would load it, whether or not this environment has that.
    command += ["-p", "no:edgeticket", "-p", "edgeticket.pytest_plugin"]
    return subprocess.run(
        [*command, "--strict-markers", *options], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_plugin_gives_an_artifact_its_checks_and_budgets(artifact: Path, tmp_path: Path) -> None:
    done = own_tests(tmp_path, "--edgeticket-artifact", str(artifact))
    assert "1 failed, 3 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "over the budget of 1e-09 ms" in done.stdout
    assert "the budget of 1 ms is for host 0123456789ab" in done.stdout


UNTESTED = "5 tests need an artifact and none was named, so nothing of it was tested"


def test_without_an_artifact_the_plugins_tests_are_skipped(tmp_path: Path) -> None:
    assert "5 skipped" in own_tests(tmp_path).stdout


@pytest.mark.parametrize("options", [[], ["-p", "xdist", "-n", "1"]])
def test_a_run_that_tested_nothing_for_want_of_an_artifact_fails(tmp_path: Path, options: list[str]) -> None:
    done = own_tests(tmp_path, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "5 skipped" in done.stdout
    assert UNTESTED in done.stdout
    assert "--edgeticket-allow-missing to pass without" in done.stdout


def test_a_run_fails_though_other_tests_passed(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    done = own_tests(tmp_path)
    assert done.returncode == 1
    assert "1 passed, 5 skipped" in done.stdout
    assert own_tests(tmp_path, "test_other.py").returncode == 0, "nothing here needs an artifact"


def test_a_run_without_an_artifact_passes_where_that_is_asked_for(tmp_path: Path) -> None:
    done = own_tests(tmp_path, "--edgeticket-allow-missing")
    assert (done.returncode, UNTESTED in done.stdout) == (0, False), done.stdout
    (tmp_path / "pytest.ini").write_text("[pytest]\nedgeticket_allow_missing = true\n")
    done = own_tests(tmp_path)
    assert (done.returncode, UNTESTED in done.stdout) == (0, False), done.stdout


def test_a_damaged_artifact_fails_every_test_of_it(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "model.onnx").write_bytes(b"")
    done = own_tests(tmp_path, "--edgeticket-artifact", str(copy), "-k", "outputs")
    assert done.returncode == 1
    assert "model.onnx is truncated or altered: nothing of it was run" in done.stdout


MARKED = "import pytest\n\n@pytest.mark.edgeticket_budget({})\ndef test_marked(): pass\n"


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        ("ms=1", "it takes latency_ms, and threads"),
        ("1, 1, 'any', 7", "it takes latency_ms, and threads"),
        ("1, latency_ms=2", "it takes latency_ms, and threads"),
        ("'fast'", "latency_ms='fast' is not a number"),
        ("-1", "latency_ms=-1 is not above 0"),
        ("1, threads=0", "threads=0 is not a whole number"),
        ("1, threads=1.5", "threads=1.5 is not a whole number"),
        ("1, host=None", "host=None is neither"),
    ],
)
def test_a_wrong_marker_is_a_usage_error_before_any_test(tmp_path: Path, marker: str, sentence: str) -> None:
    (tmp_path / "test_wrong.py").write_text(MARKED.format(marker))
    usage_error(own_tests(tmp_path), f"test_wrong.py::test_marked: edgeticket_budget: {sentence}")


def test_a_wrong_marker_among_workers_stops_its_own_test(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(MARKED.format("ms=1") + "\ndef test_other(): pass\n")
    done = own_tests(tmp_path, "-p", "xdist", "-n", "1", "test_wrong.py")
    assert done.returncode == 1
    assert re.search(r"1 passed.* 1 error", done.stdout), done.stdout + done.stderr
    assert "edgeticket_budget: it takes latency_ms" in done.stdout


def usage_error(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """One line and pytest's own code for usage; nothing ran."""
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert sentence in said
    assert "Traceback" not in said
    assert not {"passed", "failed", "skipped"} & set(said.replace(",", " ").split())


def test_a_wrong_artifact_is_a_usage_error_before_any_test(artifact: Path, tmp_path: Path) -> None:
    def refused(folder: Path, sentence: str, *options: str) -> None:
        usage_error(own_tests(tmp_path, "--edgeticket-artifact", str(folder), *options), sentence)

    refused(tmp_path / "nowhere", f"--edgeticket-artifact {tmp_path / 'nowhere'}: there is no such folder")
    refused(tmp_path, f"--edgeticket-artifact: {tmp_path}: no artifact here")
    refused(artifact, "--artifact-threads 4096: from 1 to", "--artifact-threads", "4096")
    refused(artifact, "--artifact-threads 0: from 1 to", "--artifact-threads", "0")


def test_a_budget_for_more_threads_than_cores_is_skipped_and_never_passes(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "test_many.py").write_text(MARKED.format("latency_ms=1e6, threads=4096"))
    done = own_tests(tmp_path, "--edgeticket-artifact", str(artifact), "test_many.py")
    assert "1 skipped" in done.stdout
    assert "a budget at 4,096 threads needs as many cores, and this process may use" in done.stdout
