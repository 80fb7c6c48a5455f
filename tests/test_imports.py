"""The layers of the house, the fences around heavy packages, and what a command loads."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edgeticket"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PUBLIC = {"edgeticket", "edgeticket.__main__"}

# The layers of the package, each with its parts and what they hold; a module imports only from layers above its own, or
# from its own part; those of the first layer may import one another. They are written down here and nowhere else:
# DESIGN.md shows what `shown()` makes of them.
LAYERS = (
    {
        "arguments": "what public functions take, written once",
        "errors": "the tree of errors and their exit codes",
        "tables": "how results show themselves",
        "text": "numbers and messages as people read them",
        "version": "the version",
    },
    {
        "ahead": "work that is begun before its result is asked for",
        "files": "atomic writes and hashes",
        "extras": "which extra brings which package",
        "engine": "the plugin's library, and what it reports of a model",
    },
    {
        "ticket": "the mask, the record, pruning, and a ticket's folder",
        "runtime": "ONNX Runtime behind one door",
    },
    {
        "artifact": "the folder that leaves: its manifest, its golden data, and the checks that it carries",
    },
    {
        "lottery": "finding tickets",
        "graph": "reading, simplifying, storing and proving a network",
        "measure": "timings with their conditions, duels and verdicts",
    },
    {
        "report": "the report of an export",
        "subject": "a model as the user gave it, opened and tried once",
    },
    {
        "exporter": "one export, in its order",
        "gate": "one model against another",
        "benchmark": "models side by side, saved results and trends",
        "inspection": "what the engine makes of a model",
    },
    {
        "api": "each of these as a function",
    },
    {
        "cli": "the commands, without logic",
        "pytest_plugin": "an artifact as the subject of tests",
    },
)
# Who may import a heavy package. The linter's messages in pyproject.toml say the same to whoever breaks a fence.
FENCES = {
    "torch": ("edgeticket.lottery",),
    "onnx": ("edgeticket.graph", "edgeticket.lottery.trace"),
    "onnx_ir": ("edgeticket.graph",),
    "onnxscript": (),
    "onnxruntime": ("edgeticket.runtime", "edgeticket.artifact.checks"),
    "matplotlib": ("edgeticket.lottery.plot",),
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
    """'edgeticket.lottery.run' -> 'lottery'."""
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
        both_first = layer(there) == layer(here) == 0
        assert lower or both_first, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_packages_stay_behind_their_fences(module: str) -> None:
    for name in imported(MODULES[module]):
        package = name.partition(".")[0]
        if package in FENCES:
            homes = FENCES[package]
            assert any(module == home or module.startswith(f"{home}.") for home in homes), f"{module} imports {name}"


@pytest.mark.parametrize("package", sorted(FENCES))
def test_whoever_may_import_a_heavy_package_does(package: str) -> None:
    for home in FENCES[package]:
        inside = [path for module, path in MODULES.items() if module == home or module.startswith(f"{home}.")]
        assert any(package == name.partition(".")[0] for path in inside for name in imported(path)), home


def test_every_module_is_in_a_layer_and_every_layer_holds_modules() -> None:
    assert {part(module) for module in MODULES if module not in PUBLIC} == set().union(*LAYERS)


def place(module: str) -> str:
    """'edgeticket.lottery.trace' -> 'edgeticket/lottery/trace.py', 'edgeticket.graph' -> 'edgeticket/graph'."""
    path = ROOT / module.replace(".", "/")
    return path.relative_to(ROOT).as_posix() + ("" if path.is_dir() else ".py")


def test_the_linter_says_of_fences_what_stands_here() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    banned = settings["flake8-tidy-imports"]["banned-api"]
    for package, rule in banned.items():
        named = re.findall(r"edgeticket/[\w/]+(?:\.py)?", rule["msg"].partition(":")[0])
        assert sorted(named) == sorted(map(place, FENCES[package])), rule["msg"]
    exempt = {name.removesuffix("/*") for name, rules in settings["per-file-ignores"].items() if "TID251" in rules}
    homes = {place(home) for package in banned for home in FENCES[package]}
    covered = {name for name in homes if any(name.startswith(f"{other}/") for other in homes)}
    assert {name for name in exempt if name.startswith("edgeticket/")} == homes - covered


def shown() -> str:
    """The layers and the fences as Markdown: a list, and a paragraph."""

    def name(text: str) -> str:
        return f"`{text}/`" if (PACKAGE / text).is_dir() else f"`{text}`"

    def wrapped(text: str, indent: str = "") -> str:
        return textwrap.fill(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    lines = [
        wrapped(f"{number}. {'; '.join(f'{name(one)}: {what}' for one, what in parts.items())}", "   ")
        for number, parts in enumerate(LAYERS, 1)
    ]
    fences = [
        f"`{package}` in " + " and ".join(name(place(home).removeprefix("edgeticket/")) for home in homes)
        for package, homes in FENCES.items()
        if homes
    ]
    sentence = f"Heavy packages have fences, and these are the only places that import them: {'; '.join(fences)}."
    return "\n".join([*lines, "", wrapped(sentence)])


def test_design_shows_the_layers_and_the_fences() -> None:
    design = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    begin, end = "<!-- shown() of tests/test_imports.py -->\n", "\n<!-- end of shown() -->"
    assert design.partition(begin)[2].partition(end)[0] == shown(), f"DESIGN.md must hold this:\n{shown()}"


PURE = (
    "errors", "text", "ticket.mask", "ticket.record", "graph.storing.gaps", "ticket.pruning", "ticket.metrics", "files",
    "measure.measurement", "measure.protocol", "measure.wire", "engine", "ticket.kinds",
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


def test_no_two_classes_share_a_name() -> None:
    """One name, one thing. The networks of the built-in tasks are written as their papers name them."""
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        if not module.startswith("edgeticket.lottery.tasks."):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    homes.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}
