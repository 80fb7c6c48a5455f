"""TASK on the command line: a built-in name, `path/to/file.py:name` or `package.module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from edgeticket.errors import TaskError
from edgeticket.lottery.task import Task
from edgeticket.lottery.tasks import TASKS


def load_task(reference: str | Task) -> Task:
    """The task that `reference` names; a function of that name is called to make it.

    Raises:
        TaskError: it is unknown, does not import, lacks the name, or the name holds no Task.
    """
    if isinstance(reference, Task):
        return reference
    if not isinstance(reference, str):
        raise TaskError(f"{reference!r}: give a Task, the name of a built-in task, or 'path/to/file.py:name' as text")
    if reference in TASKS:
        return TASKS[reference]
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise TaskError(
            f"{reference!r} is no built-in task (`edgeticket tasks` lists them) and not of the form "
            "path/to/file.py:name or package.module:name"
        )
    module = _module(place)
    if not hasattr(module, name):
        tasks = [key for key, value in vars(module).items() if isinstance(value, Task)]
        there = f"it holds {', '.join(tasks)}" if tasks else "it holds no Task"
        raise TaskError(f"{place}: has no name {name!r}; {there}")
    found = getattr(module, name)
    if not isinstance(found, Task) and callable(found) and not isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise TaskError(f"{reference}: calling {name}() failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, Task):
        raise TaskError(
            f"{reference}: is a {type(found).__name__}, not an edgeticket.Task nor a function that returns one"
        )
    return found


def _module(place: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")
            return importlib.import_module(place)
        path = Path(place)
        if not path.is_file():
            raise TaskError(f"{path}: there is no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        sys.path.insert(0, str(path.resolve().parent))
        spec.loader.exec_module(module)
    except TaskError:
        raise
    except SyntaxError as error:
        raise TaskError(f"{error.filename}, line {error.lineno}: {error.msg}; the task file does not parse") from error
    except (Exception, SystemExit) as error:
        raise TaskError(f"{place}: does not import: {type(error).__name__}: {error}{_line(error, place)}") from error
    return module


def _line(error: BaseException, place: str) -> str:
    """Say in which line of the user's file the error arose."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(Path(place).name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


def default_folder(reference: str | Task, task: Task) -> Path:
    """Return `runs/TASK`, with the task's own name made safe for a folder."""
    name = reference if isinstance(reference, str) and reference in TASKS else task.name
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "task"
    return Path("runs") / safe
