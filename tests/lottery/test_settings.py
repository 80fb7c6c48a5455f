"""Settings grow without closing the folders that are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_task import tiny

from edgeticket.errors import FolderError
from edgeticket.lottery import settings as module
from edgeticket.lottery.api import request
from edgeticket.lottery.goal import Goal
from edgeticket.lottery.run import find
from edgeticket.lottery.settings import Settings, completed
from edgeticket.lottery.task import Task
from edgeticket.lottery.trial import Lottery
from edgeticket.lottery.watcher import Silent
from edgeticket.ticket import store
from edgeticket.ticket.record import Record

pytestmark = pytest.mark.usefixtures("traced_once")


def twice(value: float) -> float:
    return 2 * value


@dataclass(frozen=True)
class GrownSettings(Settings):
    """Settings of a later version."""

    clip_norm: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GrownTask(Task):
    """A task of a later version, with a field of every kind."""

    noise: float = 0.0
    limit: float | None = None
    device_map: str = "none"
    steps: tuple[int, ...] = (3, 5)
    shares: Mapping[str, float] = field(default_factory=lambda: {"first": 0.5})
    transform: Any = twice


def grown(**changes: Any) -> GrownTask:
    values = {item.name: getattr(tiny, item.name) for item in dataclasses.fields(tiny)}
    return GrownTask(**{**values, **changes})


def run(folder: Path, task: Task = tiny, settings: Settings | None = None, rounds: int = 1) -> Record:
    return Lottery(task, task.data([]), folder, settings or Settings(), Goal(rounds=rounds), Silent()).run()


def test_a_setting_that_the_record_does_not_hold_is_its_default(tmp_path: Path) -> None:
    before = run(tmp_path)
    assert not any("clip" in key or "noise" in key or "shares" in key for key in before.settings)
    after = run(tmp_path, grown(), GrownSettings(), rounds=2)
    assert after.rounds[:2] == before.rounds
    assert len(after.rounds) == 3


@pytest.mark.parametrize(
    ("changes", "settings", "line"),
    [
        ({}, GrownSettings(clip_norm=1.0), "--clip-norm: 0.0 there, 1.0 asked for"),
        ({"noise": 0.1}, GrownSettings(), "task.noise: 0.0 there, 0.1 asked for"),
        ({"limit": 2.0}, GrownSettings(), "task.limit: None there, 2.0 asked for"),
        ({"device_map": "all"}, GrownSettings(), "task.device_map: 'none' there, 'all' asked for"),
        ({"steps": (3, 6)}, GrownSettings(), r"task.steps: [3, 5] there, [3, 6] asked for"),
        ({"shares": {"first": 0.4}}, GrownSettings(), "task.shares.first: 0.5 there, 0.4 asked for"),
        ({"shares": {}}, GrownSettings(), "task.shares.first: 0.5 there, None asked for"),
        ({"transform": abs}, GrownSettings(), "task.transform: 'twice' there, 'abs' asked for"),
    ],
)
def test_a_new_setting_that_is_not_at_its_default_is_refused(
    tmp_path: Path, changes: dict[str, Any], settings: Settings, line: str
) -> None:
    run(tmp_path)
    with pytest.raises(FolderError) as caught:
        run(tmp_path, grown(**changes), settings)
    assert line in str(caught.value)
    assert str(caught.value).count(" asked for") == 1


def test_the_code_of_a_new_part_is_that_of_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    hashes = module.code_of_task

    def with_the_new_part(task: Task, network: torch.nn.Module) -> dict[str, str]:
        return {**hashes(task, network), "code of transform (sha256)": repr(getattr(task, "transform", None))}

    monkeypatch.setattr(module, "code_of_task", with_the_new_part)
    run(tmp_path, grown())
    with pytest.raises(FolderError, match=r"code of transform \(sha256\)"):
        run(tmp_path, grown(transform=abs))


def test_settings_of_a_newer_version_are_refused_in_a_sentence(tmp_path: Path) -> None:
    run(tmp_path, grown(), GrownSettings())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FolderError) as caught:
        run(tmp_path)
    assert "a newer edgeticket than this one" in str(caught.value)
    assert "--clip-norm, task.device_map, task.limit, task.noise, task.shares.first, task.steps" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_record_without_threads_and_versions_goes_on_with_the_defaults(tmp_path: Path) -> None:
    wanted = request(tiny, out=tmp_path, rounds=0)
    [record] = find(wanted, lambda _: Silent())
    settings = {key: value for key, value in record.settings.items() if key != "--threads"}
    store.write_record(tmp_path / "trial-0", dataclasses.replace(record, settings=settings, provenance={}))
    [after] = find(dataclasses.replace(wanted, goal=Goal(rounds=1)), lambda _: Silent())
    assert after.rounds[:1] == record.rounds
    assert len(after.rounds) == 2


def test_every_setting_that_0_1_0_did_not_have_has_a_default() -> None:
    required = {
        item.name
        for item in (*dataclasses.fields(Settings), *dataclasses.fields(Task))
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    assert required == {"name", "model", "data", "lr", "iterations", "batch_size", "validation"}


def test_a_mapping_is_one_setting() -> None:
    defaults = {"task.rates.conv": 0.2, "task.rates.linear": 0.2, "task.lr": 0.1, "--seed": 0}
    recorded = {"task.rates.linear": 0.4, "task.lr": 0.3}
    assert completed(recorded, defaults) == {"task.rates.linear": 0.4, "task.lr": 0.3, "--seed": 0}


def test_a_mapping_that_may_be_empty_is_empty_by_default() -> None:
    """A record cannot tell an empty mapping from one that it does not hold; `rates` can not be empty."""
    for item in dataclasses.fields(Task):
        if item.default_factory is not dataclasses.MISSING and item.name != "rates":
            assert item.default_factory() == {}, item.name


def test_records_written_now_are_read_back_equal(tmp_path: Path) -> None:
    record = run(tmp_path)
    assert store.read_record(tmp_path) == record
    assert record.settings["task.schedule"] is None
    assert record.settings["task.loss"] == "cross_entropy"
