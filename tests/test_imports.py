"""The layers of the house, the fences around heavy packages, and what a command loads."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "edgeticket").rglob("*.py"))
}
PUBLIC = {"edgeticket", "edgeticket.__main__"}

# A module imports only from layers of a smaller number, or from its own package.
LAYERS = (
    {"errors", "text", "version"},
    {"files", "engine"},
    {"ticket", "runtime"},
    {"artifact"},
    {"lottery", "graph", "measure"},
    {"report", "subject"},
    {"exporter", "gate", "benchmark", "inspection"},
    {"api"},
    {"cli", "pytest_plugin"},
)
FENCES = {
    "torch": ("edgeticket.lottery",),
    "onnx": ("edgeticket.graph", "edgeticket.lottery.trace"),
    "onnx_ir": ("edgeticket.graph",),
    "onnxscript": (),
    "onnxruntime": ("edgeticket.runtime", "edgeticket.artifact.checks"),
    "matplotlib": ("edgeticket.report.plots", "edgeticket.lottery.plot"),
    "jinja2": ("edgeticket.report",),
    "ruptures": ("edgeticket.benchmark.history",),
    "sklearn": ("edgeticket.lottery.data",),
    "pooch": ("edgeticket.lottery.data",),
    "filelock": ("edgeticket.lottery.run",),
    "safetensors": ("edgeticket.ticket.store",),
    "msgspec": ("edgeticket.ticket.store", "edgeticket.lottery.summary"),
    "click": ("edgeticket.cli",),
    "pytest": ("edgeticket.pytest_plugin",),
    "rich": ("edgeticket.cli",),
}


def imported(path: Path) -> Iterator[str]:
    """Every module a file names in an import, wherever it stands; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """'edgeticket.lottery.run' -> 'find'."""
    return module.split(".")[1]


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - PUBLIC))
def test_a_module_imports_from_the_layers_above_it(module: str) -> None:
    here = part(module)
    for name in imported(MODULES[module]):
        if name not in MODULES or name == "edgeticket" or part(name) == here:
            continue
        there = part(name)
        lower = layer(there) < layer(here)
        same = layer(there) == layer(here) and (layer(here) < 1)
        assert lower or same, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_packages_stay_behind_their_fences(module: str) -> None:
    for name in imported(MODULES[module]):
        package = name.partition(".")[0]
        if package in FENCES:
            homes = FENCES[package]
            assert any(module == home or module.startswith(f"{home}.") for home in homes), f"{module} imports {name}"


def test_every_module_is_in_a_layer() -> None:
    assert {part(module) for module in MODULES if module not in PUBLIC} <= set().union(*LAYERS)


PURE = (
    "errors", "text", "ticket.mask", "ticket.record", "graph.storing.gaps", "ticket.pruning", "ticket.metrics", "files",
    "measure.measurement", "engine",
)  # fmt: skip


def test_nouns_and_pure_layers_need_numpy_at_most() -> None:
    for module in PURE:
        outside = {name.partition(".")[0] for name in imported(MODULES[f"edgeticket.{module}"])} - {"edgeticket"}
        assert outside - set(sys.stdlib_module_names) <= {"numpy"}, module


HEAVY = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "numpy", "matplotlib", "msgspec", "safetensors",
         "jinja2", "sklearn", "ruptures", "filelock", "pooch", "rich.progress")  # fmt: skip


def loaded(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter holds after `code`."""
    report = f"\nimport sys; print('LOADED', *[n for n in {HEAVY!r} if n in sys.modules], file=sys.__stdout__)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code + report], env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["find", "--help"], ["export", "--help"], ["check", "--help"], ["inspect", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import contextlib, io; from edgeticket.cli import main\n"
        f"with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main({arguments!r})"
    )
    assert loaded(code) == set()


def test_importing_edgeticket_loads_nothing_heavy_and_reading_a_mask_no_torch() -> None:
    assert loaded("import edgeticket") == set()
    assert loaded("import edgeticket; edgeticket.Mask") == {"numpy"}


def test_reading_a_ticket_needs_no_torch() -> None:
    assert not loaded("import edgeticket.ticket.store") & {"torch", "onnx", "onnxruntime", "matplotlib"}
