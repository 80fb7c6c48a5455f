"""A run: its folder, its lock, its trials side by side."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_task
import torch
from tiny_task import tiny

from edgeticket.errors import DataError, FolderError, InputError, IntegrityError, StorageError, TaskError
from edgeticket.lottery import api, prepared, run
from edgeticket.lottery.request import FindRequest, resolve
from edgeticket.lottery.watcher import Silent
from edgeticket.ticket import store
from edgeticket.ticket.record import Record

pytestmark = pytest.mark.usefixtures("traced_once")

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = f"{tiny_task.__file__}:tiny"


def request(folder: Path, **others: Any) -> FindRequest:
    return api.request(others.pop("task", tiny), **{"out": folder, "rounds": 1, "threads": 1, **others})


def numbers(record: Record) -> Any:
    """Everything but seconds and dates."""

    def plain(result: Any) -> Any:
        return dataclasses.replace(result, seconds=0.0, started="")

    return record.files, record.settings, [plain(item) for item in record.rounds]


def test_a_search_makes_a_folder_with_a_ticket_and_a_picture(tmp_path: Path) -> None:
    found = api.find(request(tmp_path / "run"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock") == [
        "rounds.png",
        "trial-0",
    ]
    assert (tmp_path / "run/rounds.png").read_bytes().startswith(b"\x89PNG")
    assert found.records == (store.read_record(tmp_path / "run/trial-0"),)
    assert store.read_ticket(tmp_path / "run").round.number == 1
    assert found.exit_code == 0
    assert found.verdicts[0].startswith("Ticket: round 1, 8")
    assert [(row.kind, row.round, row.trials) for row in found.rows()] == [("ticket", 0, 1), ("ticket", 1, 1)]


def test_dense_only_is_no_ticket(tmp_path: Path) -> None:
    found = api.find(request(tmp_path, rounds=0))
    assert found.exit_code == 1
    assert found.verdicts[0].startswith("No ticket: only the dense network was trained")
    assert "The same command with more --rounds goes on from here" in found.verdicts[0]


# -- the lock ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of tmp_path/run."""
    (tmp_path / "run").mkdir()
    code = (
        "import filelock, sys, time; lock = filelock.FileLock(sys.argv[1]); lock.acquire()\n"
        "print('mine', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "run/.lock")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(FolderError, match="another edgeticket find works in this folder"):
        api.find(request(tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert api.find(request(tmp_path / "run")).exit_code == 0


def test_the_lock_is_free_after_an_error_and_after_a_success(tmp_path: Path) -> None:
    api.find(request(tmp_path))
    with pytest.raises(FolderError, match="other settings"):
        api.find(request(tmp_path, seed=1))
    api.find(request(tmp_path))


def test_a_folder_that_can_not_be_locked_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(StorageError, match="can not be locked"):
        api.find(request(tmp_path))


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["thesis.tex", "trial-x", ".git"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(FolderError, match=f"holds something else \\({name}\\); choose another --out"):
        api.find(request(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_in_the_way_and_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="file: is a file; choose another --out"):
        api.find(request(tmp_path / "file"))
    with pytest.raises((StorageError, FolderError), match="choose another --out"):
        api.find(request(tmp_path / "file" / "below"))


def test_threads_are_remembered_by_the_folder(tmp_path: Path) -> None:
    api.find(request(tmp_path, threads=2))
    assert api.find(request(tmp_path, threads=None)).records[0].settings["--threads"] == 2
    with pytest.raises(FolderError, match="--threads: 2 there, 1 asked for"):
        api.find(request(tmp_path, threads=1))


def test_cores_are_shared_by_the_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(prepared, "WORTH_THREADS", 1)
    monkeypatch.setattr(torch, "set_num_threads", lambda _threads: None)
    threads = {
        n: api.forecast(request(tmp_path, task=REFERENCE, threads=None, trials=n)).threads for n in (1, 2, 3, 8, 20)
    }
    assert threads == {1: 8, 2: 4, 3: 2, 8: 1, 20: 1}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rewind": "late"}, "--rewind late: give init, lr, or an iteration between 1 and 29"),
        ({"rewind": 0}, "--rewind 0"),
        ({"rewind": 30}, "--rewind 30"),
        ({"rewind": "²"}, "--rewind ²"),
        ({"rewind": -3}, "--rewind -3"),
        ({"rounds": -1}, "--rounds -1"),
        ({"until": 3.6}, "--until 3.6: give a density"),
        ({"until": 0.0}, "--until 0.0"),
        ({"tolerance": float("nan")}, "--tolerance nan"),
        ({"tolerance": -0.5}, "--tolerance -0.5"),
        ({"tolerance": 101}, "--tolerance 101: every round is within it"),
        ({"tolerance": "x"}, "--tolerance 'x': give a number"),
        ({"until": "x"}, "--until 'x': give a number"),
        ({"rounds": 1.5}, "--rounds 1.5: give a whole number"),
        ({"trials": 1.5}, "--trials 1.5: give a whole number"),
        ({"control_rounds": ("x",)}, "--control-rounds 'x': give a whole number"),
        ({"control_trials": 1.5}, "--control-trials 1.5: give a whole number"),
        ({"keep_test": 1.5}, "--keep-test 1.5: give a whole number"),
        ({"threads": 10**6}, "--threads 1000000: give up to 1,024"),
        ({"seed": 10**30}, ": give -4,611,686,018,427,387,904 to 4,611,686,018,427,387,904"),
        ({"tolerance": float("inf")}, "--tolerance inf"),
        ({"at": "middle"}, "--at middle"),
        ({"controls": ("shuffle",)}, "--control shuffle: choose from reinit, random-mask"),
        ({"control_trials": 0}, "--control-trials 0"),
        ({"control_rounds": (-1,)}, "--control-rounds (-1,)"),
        ({"keep_test": 0}, "--keep-test 0"),
        ({"threads": 0}, "--threads 0"),
        ({"trials": 0}, "--trials 0"),
        ({"trials": 2}, "name the task as 'file.py:name'"),
        ({"changes": {"rate": 1.0}}, "has no such number"),
    ],
)
def test_what_is_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        api.find(request(tmp_path / "run", **changes))
    assert sentence in str(caught.value)
    assert not list((tmp_path / "run").glob("*")) if (tmp_path / "run").exists() else True


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this PyTorch sees no GPU"):
        api.find(request(tmp_path, device="cuda"))
    with pytest.raises(InputError, match="--device tpu: choose from auto, cpu, cuda"):
        api.find(request(tmp_path, device="tpu"))
    assert resolve(request(tmp_path, device="auto")).settings.device == "cpu"


def test_data_that_fail_are_a_sentence(tmp_path: Path) -> None:
    def broken(_folders: object) -> Any:
        raise OSError("unplugged")

    with pytest.raises(TaskError, match="its data could not be made: OSError: unplugged"):
        api.find(request(tmp_path, task=dataclasses.replace(tiny, data=broken)))


def test_a_forecast_writes_nothing(tmp_path: Path) -> None:
    wanted = request(tmp_path / "run", rounds=3, controls=("reinit",), control_trials=2)
    forecast = api.forecast(wanted)
    assert not (tmp_path / "run").exists()
    assert len(forecast.densities) == 4
    assert forecast.trainings == 4 + 2 * 3
    assert forecast.seconds > 0
    assert forecast.as_json()["folder"] == str(tmp_path / "run")


# -- trials side by side -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two trials."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    threads = torch.get_num_threads()
    found = api.find(request(folder, task=REFERENCE, trials=2, seed=4))
    torch.set_num_threads(threads)
    assert [record.settings["--seed"] for record in found.records] == [4, 5]
    return folder


@pytest.mark.parametrize("number", [0, 1])
def test_trials_side_by_side_are_single_runs_bit_by_bit(tmp_path: Path, pair: Path, number: int) -> None:
    single = api.find(request(tmp_path, seed=4 + number)).records[0]
    assert numbers(store.read_record(pair / f"trial-{number}")) == numbers(single)


def test_several_trials_are_summarised(pair: Path) -> None:
    found = api.Found(pair, tuple(store.read_record(folder) for folder in store.trials(pair)))
    row = found.rows()[0]
    assert row.trials == 2
    assert row.test_metric.minimum <= row.test_metric.mean <= row.test_metric.maximum
    assert len(found.verdicts) == 2
    assert len(found.as_json()["trials"]) == 2


def test_a_run_of_trials_is_not_gone_on_with_by_a_task_object(pair: Path) -> None:
    with pytest.raises(InputError, match=r"name the task as 'file\.py:name'"):
        api.find(request(pair, seed=4))


def test_an_altered_trial_is_refused_with_its_name(tmp_path: Path, pair: Path) -> None:
    import shutil

    shutil.copytree(pair, tmp_path / "pair")
    path = tmp_path / "pair/trial-1/rounds/01/end.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(IntegrityError, match=r"trial 1: .*end\.safetensors"):
        api.find(request(tmp_path / "pair", task=REFERENCE, trials=2, seed=4))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
def test_trials_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeticket.lottery import api\n"
        "if __name__ == '__main__':\n"
        "    api.find(api.request(sys.argv[1], out=Path(sys.argv[2]), trials=2, threads=1, rounds=1,"
        " changes={'iterations': 10_000_000}))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, str(script), REFERENCE, str(tmp_path / "run")], cwd=ROOT, env=environment
    )
    try:
        deadline = time.monotonic() + 120
        while not all((tmp_path / f"run/trial-{n}/ticket.json").exists() for n in (0, 1)):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.1)
        children = {pid for pid in _descendants(parent.pid) if _alive(pid)}
        assert len(children) >= 2
    finally:
        parent.kill()
        parent.wait()
    while any(_alive(pid) for pid in children):
        assert time.monotonic() < deadline, "a trial outlived its parent"
        time.sleep(0.1)


def _descendants(pid: int) -> set[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = {int(child) for child in listed}
    return found | {grandchild for child in found for grandchild in _descendants(child)}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_refused_search_leaves_no_folder(tmp_path: Path) -> None:
    def nothing(_folders: object) -> Any:
        raise DataError("no data")

    with pytest.raises(DataError, match="no data"):
        run.find(request(tmp_path / "run", task=dataclasses.replace(tiny, data=nothing)), lambda _n: Silent())
    assert not (tmp_path / "run").exists()


def test_a_small_network_takes_one_thread_however_many_cores_there_are(tmp_path: Path) -> None:
    (record,) = run.find(request(tmp_path / "run", rounds=0, threads=None), lambda _n: Silent())
    assert record.settings["--threads"] == 1


def test_a_users_file_beside_finished_trials_does_not_block_the_run(tmp_path: Path) -> None:
    api.find(request(tmp_path / "run"))
    (tmp_path / "run" / "found.json").write_text("{}")
    assert len(api.find(request(tmp_path / "run")).records[0].rounds) == 2


def test_a_trial_named_as_the_run_says_which_folder_to_name(tmp_path: Path) -> None:
    api.find(request(tmp_path / "run", rounds=0))
    with pytest.raises(FolderError, match=r"is one trial of a run; name the run's folder: --out .*run$"):
        api.find(request(tmp_path / "run" / "trial-0"))


def test_data_that_are_no_data_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"data\(\) returned tuple, not an edgeticket\.Data"):
        api.find(request(tmp_path / "run", task=dataclasses.replace(tiny, data=lambda _folders: (1, 2))))


def test_lazy_layers_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Give lazy layers their sizes"):
        api.find(request(tmp_path / "run", task=dataclasses.replace(tiny, model=lambda: torch.nn.LazyLinear(3))))


def test_a_forecast_counts_all_trials_and_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)
    wanted = request(tmp_path, task=REFERENCE, rounds=3, trials=5, controls=["reinit"], control_rounds=[1, 2, 99])
    forecast = api.forecast(wanted)
    assert (forecast.trainings, forecast.trials, forecast.side_by_side) == (4 + 2 * 3, 5, 2)
    assert forecast.seconds == pytest.approx(10 * 3 * forecast.seconds_per_round)
