"""Open a trial's folder: begin it where nothing was trained yet, else compare it with what is asked for."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from edgeticket import text
from edgeticket.errors import FolderError, IntegrityError
from edgeticket.files import clean_temporaries, sha256, write_atomic
from edgeticket.lottery import trace
from edgeticket.lottery.batches import network_inputs
from edgeticket.lottery.goal import Goal
from edgeticket.lottery.prepared import Prepared
from edgeticket.lottery.settings import completed, deciding, defaults, unknown, versions
from edgeticket.lottery.watcher import Watcher
from edgeticket.ticket import store
from edgeticket.ticket.metrics import METRICS
from edgeticket.ticket.record import (
    FORMAT,
    VERSION,
    Choice,
    Record,
    RecordedInput,
    RecordedMetric,
    RecordedOutput,
)
from edgeticket.version import __version__

Array = NDArray[Any]


def open_folder(folder: Path, trial: Prepared, goal: Goal, choice: Choice, watcher: Watcher) -> Record:
    """The record of a trial's folder, verified; a new one where nothing was trained yet.

    Raises:
        FolderError: the folder holds something else, or was made with other settings.
        IntegrityError: a file in it is missing, truncated or altered.
    """
    _refuse_foreign(folder)
    clean_temporaries(folder)
    if not (folder / store.RECORD).exists():
        return _create(folder, trial, goal, choice, watcher)
    record = store.read_record(folder)
    if not record.rounds and store.read_checkpoint(folder) is None:
        # nothing was trained: nothing binds a second attempt to the settings of the first
        return _create(folder, trial, goal, choice, watcher)
    same_versions = record.provenance.get("versions") == versions()
    _refuse_other_settings(folder, record, trial, same_versions)
    if not same_versions:
        watcher.note(
            "Other package versions than the finished rounds had: going on, but bits agree within one set only"
        )
    store.verify_all(folder, record)
    kept = len(store.read_arrays(folder, record, "test.safetensors")["targets"])
    if goal.keep_test is not None and kept != min(goal.keep_test, len(trial.data.test[0])):
        watcher.note(f"--keep-test is ignored: the folder was begun with {kept} test examples")
    return record


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder without ticket.json that holds more than a killed `_create` may have left."""
    if not folder.exists() or (folder / store.RECORD).exists():
        return
    begun = {"test.safetensors", "graph.onnx", "rewind.safetensors"}
    names = sorted(path.name for path in folder.iterdir())
    other = [name for name in names if name not in begun and not name.startswith(".tmp-")]
    if any(name == "rounds" or name.startswith("checkpoint-") for name in other):
        raise IntegrityError(
            f"{folder / store.RECORD}: missing, though the folder holds rounds of a ticket. "
            "Restore it from a copy, or delete the folder and start again"
        )
    if other:
        raise FolderError(f"{folder}: holds something else ({other[0]}); choose another --out")


def _refuse_other_settings(folder: Path, record: Record, trial: Prepared, same_versions: bool) -> None:
    """Compare what decides the numbers; `same_versions` says whether the record was written with today's packages."""
    wanted = deciding(trial.settings, trial.task, trial.data, trial.theta0, trial.network)
    if newer := unknown(record.settings, wanted, trial.task):
        raise FolderError(
            f"{folder}: a newer edgeticket than this one ({__version__}) wrote it, with settings that are "
            f"unknown here: {text.listing(newer)}; nothing was changed. Go on with the version that wrote it, "
            "or use another --out"
        )
    there = completed(record.settings, defaults(trial.settings, trial.task, trial.network))
    if not same_versions:  # compiled code differs between versions of Python, the traced graph between exporters
        wanted |= {key: value for key, value in there.items() if key.startswith("code of ")}
    different = [
        f"  {key}: {there.get(key)!r} there, {wanted.get(key)!r} asked for"
        for key in sorted({*there, *wanted})
        if there.get(key) != wanted.get(key)
    ]
    if record.task != trial.task.name:
        different.insert(0, f"  task: {record.task!r} there, {trial.task.name!r} asked for")
    if not different and same_versions and sha256(trial.graph) != record.files["graph.onnx"]:
        different = ["  the network's forward: its traced graph is another one"]
    if different:
        raise FolderError(
            f"{folder}: made with other settings; nothing was changed.\n"
            + "\n".join(different)
            + "\nUse the settings it was made with, or another --out"
        )


def _create(folder: Path, trial: Prepared, goal: Goal, choice: Choice, watcher: Watcher) -> Record:
    """Write what does not depend on training, then ticket.json without a round."""
    task, data, metric = trial.task, trial.data, trial.task.metric_of
    keep = len(data.test[0]) if goal.keep_test is None else min(goal.keep_test, len(data.test[0]))
    test = {"inputs": data.test[0][:keep], "targets": data.test[1][:keep]}
    if data.scale is not None:
        test |= {"scale": data.scale, "offset": data.offset}
    files = dict([store.write_arrays(folder, "test.safetensors", test)])
    files["graph.onnx"] = write_atomic(folder / "graph.onnx", trial.graph)
    if not trial.settings.rewind_iteration:
        files |= dict([store.write_arrays(folder, "rewind.safetensors", trial.theta0)])
    record = Record(
        format=FORMAT,
        version=VERSION,
        task=task.name,
        settings=deciding(trial.settings, task, data, trial.theta0, trial.network),
        choice=choice,
        provenance={
            "versions": versions(),
            "machine": platform.machine(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "not covered by the mask": trial.uncovered,
            "created": now(),
        },
        metric=RecordedMetric(
            name=metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            builtin=METRICS.get(metric.name) is metric,
        ),
        input=RecordedInput(
            name=trace.INPUT,
            dtype=str(network_inputs(data, data.test[0][:1]).dtype),
            shape=tuple(data.test[0].shape[1:]),
            scale=_numbers(data.scale),
            offset=_numbers(data.offset),
            preprocessing=data.preprocessing,
            test_size=len(data.test[0]),
        ),
        output=RecordedOutput(trace.OUTPUT, tuple(trace.output_shape(trial.graph))),
        layers=trial.layers,
        files=files,
    )
    store.write_record(folder, record)
    if trial.uncovered:
        watcher.note(
            f"not prunable, and not counted in 'weights left': {text.listing(trial.uncovered)} "
            "(only weights of Linear and Conv layers are)"
        )
    return record


def _numbers(value: Array | None) -> float | tuple[float, ...] | None:
    """Return a scale or an offset of edgeticket.Data as plain numbers."""
    if value is None:
        return None
    return tuple(value.tolist()) if value.ndim else float(value)


def now() -> str:
    """Return the date and time in UTC, as a record holds them."""
    return datetime.now(UTC).isoformat(timespec="seconds")
