"""Completion as a shell does it: bash itself asks for sub-commands, tasks and files, and nothing heavy is loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_imports import loaded

from edgeticket.lottery.builtin import DEFAULT, NAMES
from edgeticket.lottery.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="no bash")
ASK = """
eval "$(_EDGETICKET_COMPLETE=bash_source edgeticket)"
handler=$(complete -p edgeticket | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
compopt() { printf 'files: %s %s\n' "$1" "$2"; }
"$handler" edgeticket
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `edgeticket` is the command of this checkout."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "edgeticket"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from edgeticket.cli import main\nmain(prog_name='edgeticket')\n"
    )
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def offered(shell: dict[str, str], folder: Path, *words: str) -> list[str]:
    """What bash would offer for the last word."""
    assert BASH is not None
    command = [BASH, "--norc", "-c", ASK, "bash", "edgeticket", *words]
    done = subprocess.run(command, env=shell, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@needs_bash
def test_bash_offers_the_commands_that_begin_so(shell: dict[str, str], tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "fi") == ["find"]
    assert offered(shell, tmp_path, "") == [
        "bench", "check", "compare", "export", "find", "inspect", "tasks", "trend",
    ]  # fmt: skip


@needs_bash
def test_bash_offers_the_built_in_tasks(shell: dict[str, str], tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "find", "") == list(NAMES)
    assert offered(shell, tmp_path, "find", "lenet") == ["lenet-digits", "lenet-mnist"]
    assert offered(shell, tmp_path, "find", "--control", "re") == ["reinit"]


@needs_bash
@pytest.mark.parametrize(
    "words",
    [
        ("find", "my_t"),
        ("export", "m"),
        ("export", "m.onnx", "--json", "r"),
        ("check", "m"),
        ("check", "m", "--baseline", "o"),
        ("check", "m", "--junit", "r"),
        ("inspect", "m"),
        ("bench", "a", "b"),
        ("bench", "a", "--append", "h"),
        ("compare", "a"),
        ("trend", "h"),
    ],
)
def test_bash_completes_files_where_a_file_is_meant(
    shell: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert offered(shell, tmp_path, *words)[:1] == ["files: -o default"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_can_be_told_how(shell: dict[str, str], name: str) -> None:
    environment = {**shell, "_EDGETICKET_COMPLETE": f"{name}_source"}
    done = subprocess.run(["edgeticket"], env=environment, capture_output=True, text=True, check=True)
    assert f"_EDGETICKET_COMPLETE={name}_complete" in done.stdout
    assert f"_EDGETICKET_COMPLETE={name}_source edgeticket" in (ROOT / "docs" / "completion.md").read_text()


@pytest.mark.parametrize("words", ["edgeticket ", "edgeticket find le", "edgeticket check --b"])
def test_completion_loads_nothing_heavy(words: str) -> None:
    environment = {"_EDGETICKET_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = (
        f"import contextlib, io, os; os.environ.update({environment!r}); from edgeticket.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:\n"
        "    main(prog_name='edgeticket')\n"
        "assert said.buffer.getvalue(), 'nothing was offered'"
    )
    assert loaded(code) == set()


def test_the_names_that_are_completed_are_those_of_the_tasks() -> None:
    assert list(NAMES) == list(TASKS)
    assert DEFAULT in NAMES
