"""A reader that has gone, as of `edgeticket inspect M | head -1`, is no verdict: in real processes, every command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_task

from edgeticket.cli import main
from edgeticket.errors import Exit

ROOT = Path(__file__).resolve().parents[2]
BEFORE = ROOT / "tests" / "fixtures" / "0.1.0"
TINY = f"{tiny_task.__file__}:tiny --threads 1 --rounds 1"
COMMANDS = {
    "--help": "--help",
    "--version": "--version",
    "check --help": "check --help",
    "find": f"find {TINY} --out OUT",
    "find, its verdict alone": f"find {TINY} --out OUT --quiet",
    "find, as JSON": f"find {TINY} --out OUT --json -",
    "find, a forecast": f"find {TINY} --out OUT --dry-run",
    "tasks": "tasks",
    "export": "export MODEL --no-bench --out OUT",
    "export, as JSON": "export MODEL --no-bench --out OUT --json -",
    "check": "check ARTIFACT",
    "check, as JSON": "check ARTIFACT --json -",
    "check of a comparison": "check MODEL --baseline MODEL --seconds 1",
    "inspect": "inspect MODEL",
    "inspect, as JSON": "inspect MODEL --json -",
    "bench": "bench MODEL --seconds 1",
    "compare": "compare BENCH BENCH",
    "trend": "trend HISTORY",
    "trend, as JSON": "trend HISTORY --json -",
}


def closed(arguments: list[str], folder: Path) -> tuple[int, str]:
    """The exit code and standard error of a process whose standard output nobody reads."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    environment.pop("PYTHONUNBUFFERED", None)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


def test_every_command_is_tried() -> None:
    assert {name.split(",")[0].split()[0] for name in COMMANDS} >= set(main.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_reader_has_gone_ends_quietly_and_gives_no_verdict(
    name: str, model: Path, artifact: Path, tmp_path: Path
) -> None:
    words = {"OUT": str(tmp_path / "out"), "MODEL": str(model), "ARTIFACT": str(artifact)}
    words |= {"BENCH": str(BEFORE / "bench.json"), "HISTORY": str(BEFORE / "history.jsonl")}
    arguments = [words.get(word, word) for word in COMMANDS[name].split()]
    code, said = closed(["-m", "edgeticket", *arguments], tmp_path)
    assert code == Exit.CLOSED_PIPE, said
    assert not {"Traceback", "BrokenPipeError", "Broken pipe", "Aborted"} & set(said.replace(":", " ").split()), said


@pytest.mark.parametrize("options", [[], ["--json", "-"]])
@pytest.mark.parametrize("script", ["check.py", "verify/run.py"])
def test_the_checks_that_an_artifact_carries_give_no_verdict_either(
    script: str, options: list[str], artifact: Path, tmp_path: Path
) -> None:
    code, said = closed([str(artifact / script), *options], tmp_path)
    assert (code, said) == (Exit.CLOSED_PIPE, "")


def test_what_is_left_in_a_buffer_does_not_fail_when_the_interpreter_ends(tmp_path: Path) -> None:
    code = "import sys; from edgeticket.cli import main; sys.stdout.write('small'); main(['compare', 'a', 'b'])"
    exits, said = closed(["-c", code], tmp_path)
    assert exits == Exit.CLOSED_PIPE
    assert "BrokenPipeError" not in said


def test_rounds_that_are_done_are_kept_where_the_reader_of_find_has_gone(tmp_path: Path) -> None:
    again = ["-m", "edgeticket", "find", *TINY.split(), "--out", str(tmp_path / "out")]
    assert closed(again, tmp_path)[0] == Exit.CLOSED_PIPE
    done = subprocess.run([sys.executable, *again], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ticket: round 1" in done.stdout


def test_a_shell_sees_the_code_of_a_closed_pipe(model: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    script = f"'{sys.executable}' -m edgeticket inspect '{model}' | head -0; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == [str(int(Exit.CLOSED_PIPE))]
    assert done.stderr == ""


def shell(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of sh that calls `$edgeticket`, with Python's own buffers."""
    environment = {**os.environ, "edgeticket": f"{sys.executable} -m edgeticket", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )


def test_an_error_that_nobody_reads_is_no_verdict_either(tmp_path: Path) -> None:
    shell("($edgeticket inspect nothing.onnx 2>&1 >/dev/null; echo $? > code) | true", tmp_path)
    assert int((tmp_path / "code").read_text()) == Exit.CLOSED_PIPE


@pytest.mark.parametrize("command", ["check '{artifact}'", "check '{artifact}' --quiet", "inspect '{model}'", "--help"])
def test_a_process_that_was_started_without_an_output_ends_as_with_one(
    command: str, artifact: Path, model: Path, tmp_path: Path
) -> None:
    done = shell(f"$edgeticket {command.format(artifact=artifact, model=model)} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (Exit.YES, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "command",
    ["check '{artifact}' --json -", "inspect '{model}'", "--help", "tasks", "--version", "-h", "find --help",
     "compare -h", "inspect '{model}' --json -"],
)  # fmt: skip
def test_an_output_that_takes_nothing_is_said_in_a_sentence(
    command: str, artifact: Path, model: Path, tmp_path: Path
) -> None:
    done = shell(f"$edgeticket {command.format(artifact=artifact, model=model)} > /dev/full", tmp_path)
    assert done.returncode == Exit.USAGE, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_completion_or_a_carried_check_that_finds_no_room_says_so(artifact: Path, tmp_path: Path) -> None:
    wanted = "standard output: No space left on device; send it somewhere else\n"
    program = "from edgeticket.cli import main; main(prog_name='edgeticket')"
    done = shell(f'_EDGETICKET_COMPLETE=bash_source {sys.executable} -c "{program}" > /dev/full', tmp_path)
    assert (done.returncode, done.stderr) == (Exit.USAGE, f"edgeticket: {wanted}")
    for script in ("check.py", "verify/run.py"):
        done = shell(f"'{sys.executable}' '{artifact / script}' > /dev/full", tmp_path)
        assert done.returncode == Exit.USAGE, done.stderr
        assert done.stderr == wanted


def test_the_help_names_every_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeticket", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    listed = done.stdout[done.stdout.index("Exit codes:") :]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = readme[readme.index("Exit codes:") :].partition("\n\n")[0]
    for code in Exit:
        assert f" {code:d} " in " ".join(listed.split())
        assert f" {code:d} " in " ".join(readme.split())
