"""`check` and `bench` of models that hang or crash, and Ctrl-C at every stage: they end, and keep what they have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import broken_models
import pytest
from click.testing import CliRunner, Result
from fake_hosts import LONG_S, FakeHost, WhenTold, send

from edgeticket.benchmark import bench
from edgeticket.cli import main
from edgeticket.gate import exact, memory
from edgeticket.measure.hosts.host import Host
from edgeticket.measure.hosts.local import LOCAL, Local
from edgeticket.measure.protocol import TryRequest

Play = Callable[..., None]
OnHost = Callable[[Host], None]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return broken_models.good(tmp_path / "good.onnx")


@pytest.fixture
def hangs(tmp_path: Path) -> Path:
    return broken_models.hangs(tmp_path / "hangs.onnx")


def hanging(arm: str) -> FakeHost:
    """This machine, on which the time of the first run is over as soon as this model begins to run in it."""

    def others(request: Any, limit_s: float) -> Any:
        if isinstance(request, TryRequest):
            return WhenTold(arm=arm).ask(request, limit_s)
        return LOCAL.ask(request, LONG_S)

    return FakeHost(LOCAL.ask, others)


def test_a_candidate_that_hangs_is_told_and_named(good: Path, hangs: Path, tmp_path: Path, on_host: OnHost) -> None:
    on_host(hanging("candidate"))
    options = ["--process-seconds", 2, "--max-size-regression", "off", "--json", tmp_path / "r.json"]
    done = run("check", hangs, "--baseline", good, *options)
    assert done.exit_code == 3, done.output
    assert "no answer from the model 'candidate' within 2 s" in done.stdout
    assert "--process-seconds" in done.stdout
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["verdict"] == "inconclusive"
    assert found["gates"][0]["values"] == {"model": "candidate"}


def test_a_baseline_or_a_model_alone_that_hangs_is_told(good: Path, hangs: Path, on_host: OnHost) -> None:
    on_host(hanging("baseline"))
    done = run("check", good, "--baseline", hangs, "--process-seconds", 2)
    assert done.exit_code == 3
    assert "no answer from the model 'baseline'" in done.stdout
    on_host(hanging("candidate"))
    alone = run("check", hangs, "--budget-ms", 1, "--process-seconds", 2)
    assert alone.exit_code == 3
    assert "no answer from the model 'candidate'" in alone.stdout


def test_bench_and_the_selftest_of_a_model_that_hangs_end(
    hangs: Path, on_host: OnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PROCESS_S", 2.0)
    monkeypatch.setattr(bench, "bench", partial(bench.bench, host=hanging("hangs")))
    done = run("bench", hangs)
    assert done.exit_code == 3
    assert "Nothing was measured: no answer from the model 'hangs' within 2 s" in done.stdout
    on_host(hanging("model"))
    tested = run("check", hangs, "--selftest", "--process-seconds", 2)
    assert tested.exit_code == 3
    assert "no answer from the model 'model' within 2 s" in tested.stdout


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_model_that_crashes_does_not_take_the_command_with_it(good: Path, hangs: Path, on_host: OnHost) -> None:
    """The process in which the candidate begins to run is sent what a crash sends it."""
    crashes = WhenTold(act=send(signal.SIGSEGV))

    def others(request: Any, limit_s: float) -> Any:
        return (crashes if isinstance(request, TryRequest) else LOCAL).ask(request, LONG_S)

    on_host(FakeHost(LOCAL.ask, others))
    done = run("check", hangs, "--baseline", good)
    assert done.exit_code == 3
    assert "the process was killed by SIGSEGV while the model 'candidate' ran" in done.stdout


def test_a_model_that_crashes_when_loaded_is_a_sentence(good: Path, on_host: OnHost) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    on_host(Local(command=(sys.executable, "-c", script)))
    done = run("check", good, "--baseline", good)
    assert done.exit_code == 2
    assert "cannot be loaded: the process was killed by SIGSEGV" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("command", [["check", "HANGS", "--baseline", "GOOD"], ["bench", "HANGS"]])
def test_ctrl_c_ends_a_command_whose_model_hangs(good: Path, hangs: Path, command: list[str]) -> None:
    """The command says when its first run waits for the model that hangs; then it is interrupted."""
    words = {"HANGS": str(hangs), "GOOD": str(good)}
    script = (
        "import sys\nfrom edgeticket.cli import main\nfrom edgeticket.measure.hosts import local\n"
        "from edgeticket.measure.protocol import TryRequest\n"
        "real = local.Local.wait\n"
        "def wait(self, process, data, told, limit_s):\n"
        "    if b'\"try\"' in data:\n"
        "        print('waits', flush=True)\n"
        "    return real(self, process, data, told, limit_s)\n"
        "local.Local.wait = wait\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, *(words.get(word, word) for word in command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "waits\n"
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=LONG_S)
    assert started.returncode == 130, err
    assert "interrupted" in err
    assert "goes on from there" not in err


# --- Ctrl-C ---


def interrupt(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


def test_ctrl_c_while_memory_is_measured_keeps_the_latencies(
    model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play()
    monkeypatch.setattr(memory, "judge_memory", interrupt)
    options = ["--max-memory-regression", "5%", "--json", tmp_path / "r.json", "--append", tmp_path / "h.jsonl"]
    done = run("check", model, "--baseline", model, *options)
    assert done.exit_code == 130
    assert "interrupted; what was measured is kept" in done.stderr
    assert "an interrupted run is no point of a trend" in done.stderr
    assert not (tmp_path / "h.jsonl").exists()
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["interrupted"]
    verdicts = {gate["name"]: gate["verdict"] for gate in found["gates"]}
    assert (verdicts["latency, cpu, 1 thread"], verdicts["memory"]) == ("pass", "inconclusive")
    assert len(found["measurements"][0]["processes"]) == 12
    assert found["verdict"] == "inconclusive"


def test_ctrl_c_before_anything_is_timed_keeps_the_exact_gates(
    model: Path, tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play()
    monkeypatch.setattr(exact, "counts", interrupt)
    done = run("check", model, "--baseline", model, "--json", tmp_path / "r.json")
    assert done.exit_code == 130
    found = json.loads((tmp_path / "r.json").read_text())
    assert (found["interrupted"], found["verdict"], found["measurements"]) == (True, "inconclusive", [])


@pytest.mark.parametrize("command", [["check", "M", "--baseline", "M"], ["bench", "M"]])
def test_ctrl_c_while_models_are_opened_promises_nothing(
    model: Path, on_host: OnHost, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    host = FakeHost(interrupt, interrupt)
    on_host(host)
    monkeypatch.setattr(bench, "bench", partial(bench.bench, host=host))
    done = run(*(model if word == "M" else word for word in command))
    assert done.exit_code == 130
    assert done.stderr == "edgeticket: interrupted; run it again\n"
