"""export and check as people type them: tables, JSON on standard output, exit codes, and nothing half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import sample_artifacts
from click.testing import CliRunner, Result

from edgeticket.cli import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_artifacts.onnx_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def artifact(model: Path) -> Path:
    """An artifact with a budget that holds everywhere; never changed."""
    done = run("export", model, "--no-bench", "--budget-ms", "1e6")
    assert done.exit_code == 0, done.output
    return model.parent / "small-artifact"


def test_export_prints_a_table_and_where_the_report_is(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--no-bench", "--out", tmp_path / "a")
    assert done.exit_code == 0
    assert re.search(r"Model file\s+[\d.]+× smaller", done.stdout)
    assert "proved" in done.stdout
    assert f"report: {tmp_path / 'a' / 'report.html'}" in done.stdout


def test_export_as_json_is_alone_on_standard_output(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--no-bench", "--out", tmp_path / "a", "--json", "-")
    assert json.loads(done.stdout)["format"] == "edgeticket-report"


def test_quiet_is_quiet(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--no-bench", "--out", tmp_path / "a", "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_check_prints_a_line_for_each_check(artifact: Path) -> None:
    done = run("check", artifact)
    assert done.exit_code == 0
    found = [line.split()[:2] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert found[:4] == [[name, "pass"] for name in ("hashes", "bytes", "golden", "latency")]
    assert found[4] in (["engine", "pass"], ["engine", "shown"])
    assert len(found) == 5


def test_check_as_json(artifact: Path, tmp_path: Path) -> None:
    done = run("check", artifact, "--json", "-")
    assert json.loads(done.stdout)["exit_code"] == 0
    run("check", artifact, "--json", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "pass"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--budget-ms", "1e-9"], 1),
        (["--budget-ms", "1e6"], 0),
        (["--budget-ms", "1e6", "--budget-host", "0123456789ab"], 3),
        (["--budget-ms", "1e6", "--budget-host", "this", "--budget-threads", "2"], 0),
    ],
)
def test_a_budget_decides_the_exit_code(model: Path, tmp_path: Path, options: list[str], code: int) -> None:
    assert run("export", model, "--no-bench", "--out", tmp_path / "a", *options).exit_code == 0
    assert run("check", tmp_path / "a").exit_code == code


def test_a_changed_bit_exits_4(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "a"))
    data = bytearray((copy / "model.onnx").read_bytes())
    data[100] ^= 1
    (copy / "model.onnx").write_bytes(data)
    done = run("check", copy)
    assert done.exit_code == 4
    assert "model.onnx is truncated or altered" in done.stdout


def test_what_is_no_artifact_exits_2(tmp_path: Path) -> None:
    done = run("check", tmp_path)
    assert done.exit_code == 2
    assert "`edgeticket export` makes one" in done.stderr


def test_unknown_operators_exit_3(tmp_path: Path) -> None:
    done = run("export", sample_artifacts.onnx_file(tmp_path, domain="com.example"), "--no-bench")
    assert done.exit_code == 3
    assert "not proved" in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--input-shape", "1x3"], "write NAME=1x3x32x32"),
        (["--input-shape", "x=1x0"], "write NAME=1x3x32x32"),
        (["--storage", "zip"], "'zip' is not one of"),
        (["--budget-ms", "0"], "not in the range"),
        (["--budget-ms", "soon"], "not a valid"),
        (["--round", "1"], "leave it out"),
        (["--budget-host", "this"], "give the budget, --budget-ms"),
        (["--budget-threads", "2"], "give the budget, --budget-ms"),
        (["--budget-ms", "3", "--budget-host", "typo"], "'typo': give any, this, or the fingerprint"),
    ],
)
def test_a_wrong_option_exits_2_and_writes_nothing(
    model: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    done = run("export", model, "--out", tmp_path / "a", *options)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_exits_2_and_is_untouched(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("export", model, "--out", tmp_path)
    assert done.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_random_bytes_exit_2(tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(bytes(range(256)) * 3)
    done = run("export", tmp_path / "noise.onnx")
    assert done.exit_code == 2
    assert "noise.onnx" in done.stderr
    assert not (tmp_path / "noise-artifact").exists()


@pytest.mark.parametrize("command", ["export LONG", "export MODEL --no-bench --out LONG", "check LONG", "find LONG"])
def test_a_name_too_long_for_the_system_exits_2(model: Path, command: str) -> None:
    words = {"LONG": "x" * 300, "MODEL": str(model)}
    done = run(*[words.get(word, word) for word in command.split()])
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("export", ""), ("check", ""), ("inspect", ""), ("bench", ""), ("export", "x.onnx", "--out", "")]
)
def test_an_empty_text_is_no_path(arguments: tuple[str, ...]) -> None:
    """As a path it would be the working directory, which nobody named."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert "an empty text is no path" in done.stderr


@pytest.mark.parametrize("command", ["export", "check", "inspect", "bench"])
def test_a_pipe_is_no_file_and_is_not_read(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    done = run(command, tmp_path / "pipe.onnx")
    assert done.exit_code == 2
    assert "pipe.onnx: a pipe, a socket or a device, and no file" in done.stderr
