"""A run: one trial in this process, or several side by side in processes of their own. It has one folder, one lock.

RUN/trial-0, trial-1, ...   each a ticket (edgeticket/ticket/store.py)
RUN/rounds.png              accuracy and early stopping over density
RUN/.lock                   held by the process that works here; the system lets it go when that process dies
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import filelock

from edgeticket.errors import FolderError, InputError, StorageError
from edgeticket.lottery.request import FindRequest, check, lottery_of, resolve
from edgeticket.lottery.side_by_side import side_by_side
from edgeticket.lottery.task import Task
from edgeticket.lottery.trial import Lottery
from edgeticket.lottery.watcher import Silent, Watcher
from edgeticket.ticket import store
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.record import Record

_OURS = {".lock", "rounds.png", "artifact"}


def refuse_foreign(folder: Path) -> None:
    """Never write into a folder that holds something else.

    Raises:
        FolderError: it does.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderError(f"{folder}: is a file; choose another --out")
    if not folder.exists():
        return
    if (folder / store.RECORD).exists():
        raise FolderError(f"{folder}: is one trial of a run; name the run's folder: --out {folder.parent}")
    if store.trials(folder):
        return  # ours: what else the user keeps in it is the user's
    names = sorted(path.name for path in folder.iterdir())
    foreign = [
        n
        for n in names
        if n not in _OURS and not (n.startswith("trial-") and n[6:].isdigit()) and not n.startswith(".tmp-")
    ]
    if foreign:
        raise FolderError(f"{folder}: holds something else ({foreign[0]}); choose another --out")


def find(request: FindRequest, watcher: Callable[[int], Watcher]) -> list[Record]:
    """Find the tickets; returns each trial's Record. `watcher(trial)` is told what happens.

    Raises:
        EdgeticketError: see the tree; finished rounds are kept whatever happens.
    """
    task = request.task()
    check(request, task)
    refuse_foreign(request.folder)
    request = resolve(request)
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{request.folder}: can not be made ({error.strerror}); choose another --out") from error
    count = max(request.trials, len(store.trials(request.folder)))
    if count > 1 and isinstance(request.reference, Task):
        raise InputError(
            "several trials run in processes of their own: name the task as 'file.py:name' or 'module:name'"
        )
    lock = filelock.FileLock(request.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise FolderError(
            f"{request.folder}: another edgeticket find works in this folder; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{request.folder}: can not be locked ({error.strerror or error}); free some space or choose another --out"
        ) from error
    try:
        if count == 1:
            return [lottery_of(request, task, 0, watcher(0)).run()]
        return side_by_side(request, count, watcher)
    finally:
        lock.release()
        _leave_nothing(request.folder)


def _leave_nothing(folder: Path) -> None:
    """Remove the folder of a search that was refused before its first file."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            folder.rmdir()


def forecast(request: FindRequest, iterations: int = 60) -> tuple[Lottery, float]:
    """Estimate the seconds of a whole training from a few iterations and one validation; nothing is written."""
    task = request.task()
    check(request, task)
    refuse_foreign(request.folder)
    request = resolve(request)
    short = lottery_of(request, task, 0, Silent())
    trainer, seed = short.trainer, 0
    trainer.evaluate(trainer.data.validation)
    began = time.perf_counter()
    trainer.evaluate(trainer.data.validation)
    evaluation = time.perf_counter() - began
    mask = Mask.ones({layer.name: layer.shape for layer in short.layers})
    iterations = min(iterations, task.iterations)
    warm = trainer.train(trainer.start(short.theta0, seed), mask, seed, stop=min(5, iterations))
    began = time.perf_counter()
    trainer.train(warm, mask, seed, stop=min(warm.iteration + iterations, task.iterations))
    pace = (time.perf_counter() - began) / max(1, min(iterations, task.iterations - warm.iteration))
    return short, task.iterations * pace + task.iterations / task.eval_every * evaluation
