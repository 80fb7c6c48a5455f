"""A missing extra is one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgeticket.cli import main
from edgeticket.errors import Exit
from edgeticket.extras import EXTRA_OF, explain

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"sklearn": "scikit-learn", "onnx_ir": "onnx-ir"}


def brings(extra: str) -> set[str]:
    """The distributions that an extra installs, those of the extras it names included."""
    found: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        if requirement.startswith("edgeticket["):
            found |= brings(requirement.partition("[")[2].partition("]")[0])
        else:
            found.add(requirement.partition(">")[0].partition("=")[0])
    return found


@pytest.mark.parametrize("package", EXTRA_OF)
def test_the_named_extra_brings_the_package(package: str) -> None:
    assert DISTRIBUTIONS.get(package, package) in brings(EXTRA_OF[package])


@pytest.mark.parametrize("package", EXTRA_OF)
@pytest.mark.parametrize("command", sorted(main.commands))
def test_a_command_is_advised_the_extra_with_which_it_works(command: str, package: str) -> None:
    error = explain(ModuleNotFoundError("?", name=package), command)
    assert error is not None
    (extra,) = set(re.findall(r"\[(\w+)\]'", str(error)))
    assert DISTRIBUTIONS.get(package, package) in brings(extra)
    if command in ("find", "tasks") and package != "ruptures":
        assert extra == "find", "one round of installing is enough"
    if command not in ("find", "tasks") and package != "torch":
        assert "torch" not in brings(extra) or EXTRA_OF[package] == "find", "nobody is made to install torch"


def test_find_in_a_base_install_names_its_extra() -> None:
    """As a process in which nothing is installed but what a device has."""
    absent = dict.fromkeys(sorted(EXTRA_OF))
    code = f"import sys; sys.modules.update({absent!r}); from edgeticket.cli import main; main(sys.argv[1:])"
    for command, extra in (("find", "find"), ("tasks", "find"), ("export", "export")):
        words = [command, "m.onnx"][: 1 + (command == "export")]
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == Exit.USAGE, done.stderr
        assert f"pip install 'edgeticket[{extra}]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_sentence_names_the_package_and_the_way_out() -> None:
    error = explain(ModuleNotFoundError("No module named 'torch'", name="torch.nn"), "find")
    assert error is not None
    assert error.exit_code == Exit.USAGE
    assert "`edgeticket find` needs the package 'torch'" in str(error)
    assert "pip install -c requirements.lock '.[find]'" in str(error)


def test_a_module_of_the_users_own_is_not_ours_to_explain() -> None:
    assert explain(ModuleNotFoundError("No module named 'mine'", name="mine"), "find") is None
    assert explain(ModuleNotFoundError("?"), "find") is None


def test_a_device_needs_no_extra() -> None:
    base = {requirement.partition(">")[0] for requirement in PROJECT["dependencies"]}
    assert base == {"click", "numpy", "onnxruntime", "rich"}


def test_from_python_a_missing_package_is_the_same_sentence() -> None:
    """An error of ours, which is an ImportError as well; help() shows what works without the packages."""
    absent = dict.fromkeys(sorted(EXTRA_OF))
    code = (
        f"import sys; sys.modules.update({absent!r}); import edgeticket, pydoc\n"
        "for call in (lambda: edgeticket.find, lambda: edgeticket.export('m.onnx')):\n"
        "    try: call()\n"
        "    except edgeticket.EdgeticketError as error: print(isinstance(error, ImportError), error)\n"
        "print('find' in dir(edgeticket), 'check' in dir(edgeticket))\n"
        "pydoc.render_doc(edgeticket)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, shown = done.stdout.splitlines()
    assert first.startswith("True `edgeticket find` needs the package")
    assert "[find]" in first
    assert second.startswith("True `edgeticket export` needs the package")
    assert "[export]" in second
    assert shown == "False True"
