"""What edgeticket 0.1.0 wrote goes on to be read: tests/fixtures/0.1.0 is copied, and never touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeticket.cli import main
from edgeticket.lottery import api
from edgeticket.lottery.summary import from_json, verdict
from edgeticket.lottery.watcher import Silent
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At
from edgeticket.ticket.record import Choice

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "0.1.0"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder with task.py and run/, which was killed in round 3."""
    shutil.copy(FIXTURE / "task.py", tmp_path)
    shutil.copytree(FIXTURE / "run", tmp_path / "run")
    return tmp_path


def edgeticket(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def finished_rounds(folder: Path) -> dict[str, bytes]:
    """The files of rounds 0 to 2, byte for byte."""
    found = {
        f"{number}/{path.name}": path.read_bytes()
        for number in range(3)
        for path in (folder / f"run/trial-0/rounds/{number:02d}").iterdir()
    }
    assert len(found) == 12
    return found


def test_a_killed_search_goes_on_and_its_ticket_is_exported(killed: Path) -> None:
    before, record = finished_rounds(killed), store.read_record(killed / "run/trial-0")
    assert "--criterion" not in record.settings
    result = edgeticket(
        "find", f"{killed / 'task.py'}:task", "--out", killed / "run", "--rounds", 3, "--rewind", 10,
        "--control", "reinit", "--control", "random-mask", "--control-trials", 1, "--control-rounds", 2,
        "--tolerance", 20,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    grown = store.read_record(killed / "run/trial-0")
    assert finished_rounds(killed) == before
    assert grown.rounds[:3] == record.rounds
    assert (len(grown.rounds), grown.controls, grown.settings) == (4, record.controls, record.settings)
    assert not list(killed.rglob("checkpoint-*"))
    exported = edgeticket("export", killed / "run", "--no-bench")
    assert exported.exit_code == 0, exported.output
    assert (killed / "run/artifact/model.onnx").is_file()


def test_a_killed_search_goes_on_inside_its_round(killed: Path) -> None:
    class Starts(Silent):
        seen: list[str]

        def training(self, label: str, density: float, start: int, stop: int) -> None:
            self.seen.append(f"{label} from {start}")

    starts = Starts()
    starts.seen = []
    wanted = api.request(f"{killed / 'task.py'}:task", out=killed / "run", rounds=3, rewind=10, tolerance=20.0)
    api.find(wanted, lambda _number: starts)
    (start,) = starts.seen
    assert start.startswith("round 3 from ")
    assert int(start.rpartition(" ")[2]) > 10, "from the checkpoint of the killed process, not from the rewind point"


def test_a_killed_search_goes_on_with_the_settings_alone(killed: Path) -> None:
    before = finished_rounds(killed)
    result = edgeticket("find", f"{killed / 'task.py'}:task", "--rewind", 10, "--out", killed / "run")
    assert result.exit_code in (0, 1), result.output
    record = store.read_record(killed / "run/trial-0")
    assert finished_rounds(killed) == before
    assert record.rounds[-1].density <= 0.2 < record.rounds[-2].density, "to the task's own density"


def test_other_settings_than_the_recorded_ones_are_still_refused(killed: Path) -> None:
    result = edgeticket("find", f"{killed / 'task.py'}:task", "--out", killed / "run")
    assert result.exit_code == 2
    assert "--rewind: '10' there, 'init' asked for" in result.stderr
    assert result.stderr.count(" asked for") == 1


def test_a_record_that_is_read_and_written_again_is_the_same_file(tmp_path: Path) -> None:
    record = store.read_record(FIXTURE / "run/trial-0")
    assert (record.choice, record.layers[0].shape) == (Choice(20.0, At.EARLY_STOP), (3, 1, 3, 3))
    store.write_record(tmp_path, record)
    assert (tmp_path / store.RECORD).read_bytes() == (FIXTURE / "run/trial-0" / store.RECORD).read_bytes()


def test_an_artifact_is_checked(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE / "artifact", tmp_path / "artifact")
    result = edgeticket("check", tmp_path / "artifact")
    assert result.exit_code == 0, result.output


def test_the_records_in_a_json_document_are_read() -> None:
    (record,) = from_json(json.loads((FIXTURE / "find.json").read_bytes()))
    assert verdict(record).startswith("Ticket: round 1, 64.18 % of the weights")
