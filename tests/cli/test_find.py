"""`edgeticket find` as a user meets it: exit codes, sentences, what goes to which stream."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_task
import torch
from click.testing import CliRunner, Result

from edgeticket.cli import main
from edgeticket.lottery import data as sets
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At
from edgeticket.ticket.record import Choice

ROOT = Path(__file__).resolve().parents[2]
TINY = f"{tiny_task.__file__}:tiny"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def find(*arguments: object) -> Result:
    """Run the command here; a traceback is an error of this test."""
    result = CliRunner().invoke(main, ["find", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    return result


def quick(*arguments: object) -> Result:
    return find(TINY, "--threads", 1, "--rounds", 1, *arguments)


def refused(result: Result, sentence: str, code: int = 2) -> None:
    assert result.exit_code == code, result.output
    assert len(result.stdout.splitlines()) <= 1, "what would be done, at most"
    assert sentence in " ".join(result.stderr.split())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- what it says ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run of one round."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    return folder, quick("--out", folder)


def test_a_run_prints_plain_lines_where_there_is_no_terminal(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == f"tiny: 30 iterations a round, into {folder}"
    rows = [line.split() for line in lines if line.startswith("round ")]
    assert [row[:4] for row in rows] == [["round", "0", "100.00", "%"], ["round", "1", "81.62", "%"]]
    assert any(line.startswith("Ticket: round 1, 81.62 % of the weights; accuracy at early stopping") for line in lines)
    assert lines[-1] == f"Next: edgeticket export {folder}"
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout


def test_the_same_command_again_answers_from_the_folder(finished: tuple[Path, Result]) -> None:
    folder, first = finished
    before = files(folder / "trial-0")
    again = quick("--out", folder)
    assert again.exit_code == 0
    assert files(folder / "trial-0") == before
    verdict = next(line for line in first.stdout.splitlines() if line.startswith("Ticket"))
    assert verdict in again.stdout


def test_quiet_is_the_verdict_alone(finished: tuple[Path, Result]) -> None:
    result = quick("--out", finished[0], "--quiet")
    assert len(result.stdout.splitlines()) == 1
    assert result.stdout.startswith("Ticket: round 1")


def test_json_on_standard_output_is_alone_there(finished: tuple[Path, Result]) -> None:
    folder = finished[0]
    result = quick("--out", folder, "--json", "-")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["task"] == "tiny"
    assert [item["number"] for item in document["trials"][0]["rounds"]] == [0, 1]
    assert "Ticket: round 1" in result.stderr
    forecast = quick("--out", folder, "--dry-run", "--json", "-")
    assert json.loads(forecast.stdout)["trainings"] == 2


def test_what_a_task_prints_does_not_reach_the_json(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text("from tiny_task import tiny\n\nprint('LOADING')\n")
    result = find(f"{tmp_path / 'noisy.py'}:tiny", "--out", tmp_path / "run", "--dry-run", "--json", "-")
    assert json.loads(result.stdout)["trials"] == 1
    assert "LOADING" in result.stderr


def test_json_to_a_file(finished: tuple[Path, Result], tmp_path: Path) -> None:
    result = quick("--out", finished[0], "--json", tmp_path / "deep" / "numbers.json")
    assert "Ticket: round 1" in result.stdout
    assert json.loads((tmp_path / "deep/numbers.json").read_text())["trials"][0]["ticket"] == 1


def test_no_ticket_is_exit_1(tmp_path: Path) -> None:
    result = find(TINY, "--threads", 1, "--rounds", 0, "--out", tmp_path)
    assert result.exit_code == 1
    assert "No ticket: only the dense network was trained" in result.stdout
    assert "Next:" not in result.stdout


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = find(TINY, "--threads", 1, "--out", tmp_path / "run", "--until", "50%", "--dry-run")
    assert result.exit_code == 0
    assert "weights left: 100.00 %, 81.62 %" in result.stdout
    assert "Nothing was written." in result.stdout
    assert not (tmp_path / "run").exists()


def test_controls_and_numbers_are_taken(tmp_path: Path) -> None:
    result = quick(
        "--out", tmp_path, "--set", "lr=0.03", "--control", "reinit", "--control", "random-mask", "--control-trials", 1,
        "--control-rounds", "1", "--rewind", "10", "--at", "end", "--tolerance", 90, "--keep-test", 7, "--seed", -3,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    record = store.read_record(tmp_path / "trial-0")
    assert record.settings["task.lr"] == 0.03
    assert record.settings["--seed"] == -3
    assert record.choice == Choice(90.0, At.END)
    assert [(control.kind, control.round) for control in record.controls] == [("reinit", 1), ("random-mask", 1)]
    assert len(store.read_ticket(tmp_path).test.inputs) == 7
    assert "reinit 1 " in result.stdout


def test_tasks_are_listed() -> None:
    result = CliRunner().invoke(main, ["tasks"])
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert names == ["lenet-digits", "lenet-mnist", "conv2-cifar10", "conv4-cifar10", "conv6-cifar10",
                     "resnet20-cifar10", "vgg19-cifar10"]  # fmt: skip
    assert "(the default)" in result.stdout


FOLDERS_TASK = """
import json
from pathlib import Path
from dataclasses import replace
from tiny_task import blobs, tiny

def data(folders):
    Path(__file__).with_name("seen.json").write_text(json.dumps([str(folder) for folder in folders]))
    assert all(isinstance(folder, Path) for folder in folders)
    return blobs()

task = replace(tiny, data=data)
"""


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "search"])
def test_a_tasks_own_data_get_the_folders_of_the_option_and_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    (tmp_path / "task_of_folders.py").write_text(FOLDERS_TASK)
    monkeypatch.setenv("EDGETICKET_DATA", os.pathsep.join(["/there", "", "/both"]))
    result = find(
        f"{tmp_path / 'task_of_folders.py'}:task", "--out", tmp_path / "run", "--rounds", 0, "--threads", 1,
        "--data-dir", "/here", "--data-dir", "/both", *(["--dry-run"] if dry_run else []),
    )  # fmt: skip
    assert result.exit_code == (0 if dry_run else 1), result.output
    assert json.loads((tmp_path / "seen.json").read_text()) == ["/here", "/both", "/there"]


def test_without_the_variable_a_tasks_own_data_get_the_folders_of_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task_of_folders.py").write_text(FOLDERS_TASK)
    monkeypatch.delenv("EDGETICKET_DATA")
    reference = f"{tmp_path / 'task_of_folders.py'}:task"
    assert find(reference, "--out", tmp_path / "run", "--rounds", 0, "--threads", 1).exit_code == 1
    assert json.loads((tmp_path / "seen.json").read_text()) == []


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import not_there_xyz\n", "does not import: ModuleNotFoundError: No module named 'not_there_xyz' (line 1)"),
        ("def f(:\n", "the task file does not parse"),
        ("mine = 3\n", "is a int, not an edgeticket.Task"),
        ("other = 3\n", "has no name 'mine'; it holds no Task"),
        ("def mine(): raise OSError('gone')\n", "calling mine() failed: OSError: gone"),
        ("from edgeticket import Task\nmine = Task(name='x', lr='fast')\n", "does not import: TypeError"),
    ],
)
def test_a_wrong_task_file(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "task_of_mine.py").write_text(text)
    result = find(f"{tmp_path / 'task_of_mine.py'}:mine", "--out", tmp_path / "run")
    refused(result, sentence)
    assert "task_of_mine.py" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("lenet", "is no built-in task (`edgeticket tasks` lists them)"),
        ("nowhere.py:task", "nowhere.py: there is no such file"),
        ("not_there_xyz:task", "does not import"),
        (f"{tiny_task.__file__}:not_a_task", "is a int, not an edgeticket.Task"),
        (f"{tiny_task.__file__}:failing", "calling failing() failed: RuntimeError: no such dataset version"),
    ],
)
def test_a_wrong_reference(tmp_path: Path, reference: str, sentence: str) -> None:
    refused(find(reference, "--out", tmp_path / "run"), sentence)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "train-images-idx3-ubyte[.gz]: not in"),
        (b"\x00\x00\x08\x03" + b"\x00" * 12, "truncated; fetch it again"),
        (b"<html>404</html>", "magic number 0x3c68746d, an idx file of this name has 0x00000803"),
    ],
)
def test_data_that_are_missing_truncated_or_something_else(
    tmp_path: Path, content: bytes | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    def offline(url: str, *_: object, **__: object) -> None:
        raise ConnectionError(url)

    monkeypatch.setattr(pooch, "retrieve", offline)
    monkeypatch.setenv(sets.VARIABLE, "")
    if content is not None:
        for name in sets._MNIST_MD5:
            (tmp_path / name).write_bytes(content)
    result = find("lenet-mnist", "--data-dir", tmp_path, "--out", tmp_path / "run")
    refused(result, sentence)
    assert str(tmp_path) in result.stderr
    assert not list((tmp_path / "run").glob("trial-*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rounds", "many"], "'many' is not a valid integer range"),
        (["--rounds", "-1"], "-1 is not in the range x>=0"),
        (["--until", "lots"], "'lots' is not a density; write 3.6% or 0.036"),
        (["--until", "3.6"], "'3.6' is not between 0 and 100 %: write 3.6% for percent"),
        (["--until", "1"], "'1' may be meant as 1 % and as 100 %; write 3.6% or 0.036"),
        (["--until", "360%"], "'360%' is not between 0 and 100 %"),
        (["--until", "nan"], "is not between 0 and 100 %"),
        (["--rewind", "late"], "--rewind late: give init, lr, or an iteration between 1 and 29"),
        (["--control", "shuffle"], "'shuffle' is not one of 'reinit', 'random-mask'"),
        (["--control-rounds", "1,x"], "'1,x': write round numbers"),
        (["--set", "lr"], "--set lr: write NAME=NUMBER"),
        (["--set", "lr=nan"], "lr is nan; it must be a number above 0"),
        (["--set", "rate=1"], "has no such number; it has lr"),
        (["--set", "iterations=inf"], "must be a whole number"),
        (["--tolerance", "nan"], "--tolerance nan"),
        (["--tolerance", "100.5"], "--tolerance 100.5: every round is within it, as accuracy runs from 0 to 100 %"),
        (["--threads", "1000000"], "--threads 1000000: give up to 1,024"),
        (["--seed", "99999999999999999999"], "--seed 99999999999999999999: give -4,611,686,018,427,387,904 to"),
        (["--device", "tpu"], "'tpu' is not one of"),
        (["--rownds", "3"], "No such option"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_unknown_or_ill_typed_options(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = find(TINY, "--out", tmp_path / "run", *arguments)
    refused(result, sentence)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    result = find(f"{tiny_task.__file__}:diverging", "--threads", 1, "--out", tmp_path)
    assert result.exit_code == 2
    assert "task 'diverging': the training loss is" in result.stderr
    assert "--set lr=" in result.stderr
    assert store.read_record(tmp_path / "trial-0").rounds == []


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    refused(quick("--out", tmp_path), "holds something else (thesis.tex); choose another --out")
    assert files(tmp_path) == {"thesis.tex": b"mine"}


def test_other_settings_in_the_same_folder(finished: tuple[Path, Result]) -> None:
    before = files(finished[0] / "trial-0")
    result = quick("--out", finished[0], "--set", "lr=0.5", "--seed", 9)
    assert result.exit_code == 2
    assert "made with other settings; nothing was changed" in result.stderr
    assert "  --seed: 0 there, 9 asked for" in result.stderr
    assert "  task.lr: 0.02 there, 0.5 asked for" in result.stderr
    assert files(finished[0] / "trial-0") == before


@pytest.mark.parametrize("name", ["ticket.json", "graph.onnx", "rounds/01/mask.safetensors"])
def test_one_flipped_bit_is_exit_4(finished: tuple[Path, Result], name: str) -> None:
    path = finished[0] / "trial-0" / name
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[len(altered) // 2] ^= 1
    try:
        path.write_bytes(altered)
        result = quick("--out", finished[0])
        assert result.exit_code == 4
        assert str(path) in result.stderr
        assert path.read_bytes() == bytes(altered)
        path.unlink()
        result = quick("--out", finished[0])
        assert result.exit_code == 4
        assert str(path) in result.stderr
    finally:
        path.write_bytes(whole)
    assert quick("--out", finished[0]).exit_code == 0


# -- as a process ------------------------------------------------------------------------------------------------------


def process(*arguments: object, limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command as its own process, if wanted with a limit on the size of files, as on a full disk."""

    def limit() -> None:
        if limit_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(
        [sys.executable, "-m", "edgeticket", "find", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The files of a round are smaller than this limit; ticket.json with a second round in it is not."""
    out = ("--threads", 1, "--out", tmp_path)
    assert find(TINY, *out, "--rounds", 0).exit_code == 1
    before = files(tmp_path / "trial-0")
    done = process(TINY, *out, "--rounds", 3, limit_bytes=len(before["ticket.json"]) + 100)
    assert done.returncode == 2, done.stderr
    assert "ticket.json: cannot be written (File too large)" in done.stderr
    assert "free some space or choose another --out" in done.stderr
    assert "Traceback" not in done.stderr
    assert {name: content for name, content in files(tmp_path / "trial-0").items() if name in before} == before
    assert find(TINY, *out, "--rounds", 1).exit_code == 0
    assert len(store.read_record(tmp_path / "trial-0").rounds) == 2


def test_the_installed_command_keeps_its_streams_apart(finished: tuple[Path, Result]) -> None:
    done = process(TINY, "--threads", 1, "--rounds", 1, "--out", finished[0], "--json", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["trials"][0]["ticket"] == 1
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
