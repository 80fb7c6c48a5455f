"""The subject is an artifact: `pytest runtime_tests --artifact DIR`. Needs pytest, numpy and onnxruntime only.

Inside an artifact this folder is called verify/, and the artifact around it is the subject.
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


def load_plugin() -> ModuleType:
    """The plugin of the installed edgeticket, else the file beside this one."""
    if importlib.util.find_spec("edgeticket") is not None:
        return importlib.import_module("edgeticket.pytest_plugin")
    path = next((path for path in BESIDE if path.exists()), None)
    spec = None if path is None else importlib.util.spec_from_file_location("edgeticket_pytest_plugin", path)
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"no plugin: install edgeticket, or put its edgeticket/pytest_plugin.py at {BESIDE[1]}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The plugin's options, and --artifact for short."""
    plugin = load_plugin()
    if not pluginmanager.has_plugin(NAME) and not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, NAME)
    group = parser.getgroup("edgeticket")
    group.addoption("--artifact", dest="edgeticket_artifact", metavar="DIR", help="short for --edgeticket-artifact")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without a subject."""
    if config.option.edgeticket_artifact is None and AROUND is not None:
        config.option.edgeticket_artifact = str(AROUND)
    if load_plugin().folder_of(config) is None:
        raise pytest.UsageError("runtime_tests need a subject: pytest runtime_tests --artifact DIR")


@pytest.fixture(scope="session")
def outcome(edgeticket_outcome: Any) -> Any:
    """Every check of the artifact, made once."""
    return edgeticket_outcome
