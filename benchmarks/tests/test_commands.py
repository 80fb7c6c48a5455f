"""The programs of this folder load with the package as it is, say what they can be asked, and stand in README.md."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))
WITH_OPTIONS = [name for name in MODULES if "argparse" in (FOLDER / f"{name}.py").read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", MODULES)
def test_it_loads(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_its_help_can_be_read(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {name}.py")


def test_the_readme_names_every_file_and_its_command() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+)\.py`", readme)) == set(MODULES)
    rules = (FOLDER.parent / "Makefile").read_text(encoding="utf-8")
    for name, target in re.findall(r"^\| `(\w+\.py)` \| `make ([\w-]+)` \|", readme, re.MULTILINE):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", rules, re.MULTILINE)
        assert recipe is not None, target
        assert f"benchmarks/{name}" in recipe[1]
