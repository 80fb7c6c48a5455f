"""Real processes that answer, fail, hang, are killed, and lose their parent."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import broken_models
import numpy as np
import pytest
from fake_hosts import LONG_S, FakeHost, WhenTold, in_a_thread, send

from edgeticket.measure import duel, wire, worker
from edgeticket.measure.duel import AGAIN, BASELINE, CANDIDATE, Duel, Plan
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.hosts.local import LOCAL, Local
from edgeticket.measure.process import Process
from edgeticket.measure.protocol import Arm, BlocksAnswer, BlocksRequest, Slot

SHORT = {"blocks": 3, "slot": Slot(2, 0.1, 3)}


@pytest.fixture
def feed(tmp_path: Path) -> str:
    return write_feed(tmp_path / "feed.npz", {"x": np.ones((1, 4), np.float32)})


def request(model: Path, feed: str, **changes: Any) -> BlocksRequest:
    return BlocksRequest({CANDIDATE: Arm(str(model))}, feed, **{**SHORT, **changes})


def test_a_real_duel_of_short_processes(tmp_path: Path, feed: str) -> None:
    def shortened(asked: BlocksRequest, limit_s: float) -> BlocksAnswer:
        return LOCAL.ask(dataclasses.replace(asked, **SHORT), limit_s)

    arm = Arm(str(broken_models.good(tmp_path / "m.onnx")))
    done = duel.run(arm, arm, feed, Plan(seconds=1.5, process_s=LONG_S), host=FakeHost(shortened))
    assert done.processes
    assert all(set(process.ms) == {CANDIDATE, BASELINE, AGAIN} for process in done.processes)
    assert done.failures == []


def test_a_model_that_fails_in_a_later_run_is_named_with_the_run(tmp_path: Path, feed: str) -> None:
    model = broken_models.fails_later(tmp_path / "m.onnx")
    with pytest.raises(NoAnswerError, match=r"failed in run \d+: .*indices element out of data bounds") as caught:
        LOCAL.ask(request(model, feed, slot=Slot(200, 1.0)), LONG_S)
    assert (caught.value.kind, caught.value.arm) == ("model", CANDIDATE)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path, feed: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(NoAnswerError, match="failed when loaded"):
        LOCAL.ask(request(tmp_path / "m.onnx", feed), LONG_S)


def children(of: int) -> set[int]:
    """Processes whose parent is `of`, zombies too."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == of:
            found.add(int(path.parent.name))
    return found


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux
def test_a_process_that_hangs_is_ended_and_reaped(tmp_path: Path, feed: str) -> None:
    before = children(os.getpid())
    with pytest.raises(NoAnswerError, match=r"no answer.* within 2 s; the process was ended") as caught:
        LOCAL.ask(request(broken_models.hangs(tmp_path / "m.onnx"), feed), 2)
    assert caught.value.kind == "hung"
    assert children(os.getpid()) <= before


@linux
def test_a_process_that_hangs_in_a_model_names_it_and_is_reaped(tmp_path: Path, feed: str) -> None:
    before = children(os.getpid())
    with pytest.raises(
        NoAnswerError, match="no answer from the model 'candidate' within 2 s; the process was ended"
    ) as caught:
        WhenTold().ask(request(broken_models.hangs(tmp_path / "m.onnx"), feed), 2)
    assert (caught.value.kind, caught.value.arm) == ("hung", CANDIDATE)
    assert children(os.getpid()) <= before


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_process_that_is_killed_is_told(tmp_path: Path, feed: str) -> None:
    model = broken_models.hangs(tmp_path / "m.onnx")
    sentence = "killed by SIGKILL while the model 'candidate' ran; out of memory, if nobody killed it"
    with pytest.raises(NoAnswerError, match=sentence) as caught:
        WhenTold(act=send(signal.SIGKILL)).ask(request(model, feed), LONG_S)
    assert caught.value.kind == "killed"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_process_that_is_killed_before_it_answers_anything_is_told(tmp_path: Path, feed: str) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(NoAnswerError, match="killed by SIGKILL; out of memory, if nobody killed it") as caught:
        Local(command=(sys.executable, "-c", script)).ask(request(tmp_path / "m.onnx", feed), LONG_S)
    assert (caught.value.kind, caught.value.arm) == ("killed", None)


def gone(process: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@linux
@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_goes_when_its_parent_is_killed(tmp_path: Path, feed: str, begun: bool) -> None:
    """The parent goes at once, before the worker can have asked the kernel, or when the model runs."""
    asked = wire.request_to_json(request(broken_models.hangs(tmp_path / "m.onnx"), feed))
    script = f"""
import time
from edgeticket.measure import wire
from edgeticket.measure.hosts.local import Local

class Telling(Local):
    def wait(self, process, data, told, limit_s):
        process.stdin.write(data)
        process.stdin.close()
        process.stdin = None
        while {begun} and told.last() is None:
            time.sleep(0.01)
        print(process.pid, flush=True)
        time.sleep(limit_s)

Telling().ask(wire.request_from_json({asked!r}), {LONG_S})
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    begin = time.monotonic()
    while not gone(child):
        assert time.monotonic() - begin < LONG_S, "the worker lives on"
        time.sleep(0.01)


def test_a_process_that_cannot_be_started_is_told(tmp_path: Path, feed: str) -> None:
    with pytest.raises(NoAnswerError, match="no process could be started"):
        Local(command=("/no/such/python",)).ask(request(tmp_path / "m.onnx", feed), 1)


def test_a_process_that_says_nonsense_is_told(tmp_path: Path, feed: str) -> None:
    command = (sys.executable, "-c", "raise SystemExit('out of sorts')")
    with pytest.raises(NoAnswerError, match=r"ended with 1 \(out of sorts\)"):
        Local(command).ask(request(tmp_path / "m.onnx", feed), LONG_S)


def test_an_answer_to_another_request_is_nonsense(tmp_path: Path, feed: str) -> None:
    command = (sys.executable, "-c", """print('{"drawn": true}')""")
    with pytest.raises(NoAnswerError, match=r"ended with 0 \(it said nothing\)") as caught:
        Local(command).ask(request(tmp_path / "m.onnx", feed), LONG_S)
    assert caught.value.kind == "failed"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_it_is_pinned_where_that_is_allowed_and_says_where_not(
    tmp_path: Path, feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = broken_models.good(tmp_path / "m.onnx")
    cpus = worker.cpus_for(1)
    assert cpus is not None
    assert LOCAL.ask(request(model, feed), LONG_S).pinned == tuple(cpus)
    assert LOCAL.ask(request(model, feed, pin=False), LONG_S).pinned is None

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    answered = in_a_thread(worker.blocks, request(model, feed))
    assert answered.pinned is None
    done = Duel(Plan(), processes=[Process.of(answered, 1.0)])
    assert "could not be pinned" in " ".join(duel.used_summary(done))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_core_is_enough(tmp_path: Path, feed: str) -> None:
    asked = wire.request_to_json(request(broken_models.good(tmp_path / "m.onnx"), feed))
    script = (
        "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
        "from edgeticket.measure import wire\nfrom edgeticket.measure.hosts.local import LOCAL\n"
        f"answer = LOCAL.ask(wire.request_from_json({asked!r}), {LONG_S})\nprint(answer.pinned, len(answer.blocks))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"({max(os.sched_getaffinity(0))},)", "3"]
