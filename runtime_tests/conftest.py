"""The subject is an artifact: `pytest runtime_tests --artifact DIR`. Needs pytest, numpy and onnxruntime only.

Inside an artifact this folder is called verify/, and the artifact around it is the subject. What SHA256SUMS does not
list is not collected there, and not imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
BESIDE = (HERE / "plugin.py", HERE.parent / "edgeticket" / "pytest_plugin.py")
AROUND = HERE.parent if (HERE.parent / "SHA256SUMS").exists() else None
NAME = "edgeticket"  # as an installed package registers the plugin
OLDEST = (3, 10)

if AROUND is not None:  # pytest puts this folder before all others, where a module that merely lies here would win
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]


def load_plugin() -> ModuleType:
    """The plugin of the installed edgeticket, else the file beside this one."""
    if importlib.util.find_spec("edgeticket") is not None:
        return importlib.import_module("edgeticket.pytest_plugin")
    path = next((path for path in BESIDE if path.exists()), None)
    if path is None:
        raise pytest.UsageError(f"no plugin: install edgeticket, or put its edgeticket/pytest_plugin.py at {BESIDE[1]}")
    module = ModuleType("edgeticket_pytest_plugin")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # a cache beside it is not trusted
    return module


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The plugin's options, and --artifact for short."""
    if sys.version_info >= OLDEST:  # else pytest_configure says so
        plugin = load_plugin()
        if not pluginmanager.has_plugin(NAME) and not pluginmanager.is_registered(plugin):
            pluginmanager.register(plugin, NAME)
    group = parser.getgroup("edgeticket")
    group.addoption("--artifact", dest="edgeticket_artifact", metavar="DIR", help="short for --edgeticket-artifact")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without a subject, and on a Python that is too old."""
    if sys.version_info < OLDEST:
        here = ".".join(map(str, sys.version_info[:3]))
        raise pytest.UsageError(f"runtime_tests need Python 3.10 or newer, and this is {here}")
    if config.option.edgeticket_artifact is None and AROUND is not None:
        config.option.edgeticket_artifact = str(AROUND)
    if load_plugin().folder_of(config) is None:
        raise pytest.UsageError("runtime_tests need a subject: pytest runtime_tests --artifact DIR")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what the artifact around this folder does not list."""
    if AROUND is None or not collection_path.is_file() or AROUND not in collection_path.parents:
        return None
    lines = (AROUND / "SHA256SUMS").read_text(encoding="ascii", errors="replace").splitlines()
    listed = {line[66:] for line in lines}
    return None if collection_path.relative_to(AROUND).as_posix() in listed else True


@pytest.fixture(scope="session")
def outcome(edgeticket_outcome: Any) -> Any:
    """Every check of the artifact, made once."""
    return edgeticket_outcome
