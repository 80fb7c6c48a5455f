"""The engine is built by CMake and a C++ compiler alone: what a target would install is read from `make -n`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILERS = ("c++", "aarch64-linux-gnu-g++", "arm-linux-gnueabihf-g++")
BUILDS = ("engine", "engine-aarch64", "engine-armv7")

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


def planned(folder: Path, target: str, *programs: str) -> str:
    """What `make TARGET` would run on a machine that has the shell's own programs and these."""
    search = folder / "bin"
    search.mkdir()
    for name in ("sh", "find", "command", "touch", "cp", "mv", "echo"):
        found = shutil.which(name)
        if found is not None:
            (search / name).symlink_to(found)
    for name in programs:
        (search / name).write_text("#!/bin/sh\n")
        (search / name).chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    environment = {key: value for key, value in os.environ.items() if key not in ("CXX", "MAKEFLAGS", "CMAKE")}
    command = [make, "-n", target, f"TOOLS={folder / 'tools'}", f"VENV={folder / 'venv'}"]
    return subprocess.run(
        command, cwd=ROOT, env=environment | {"PATH": str(search)}, capture_output=True, text=True, check=True
    ).stdout


def installed(plan: str) -> list[str]:
    """What pip would install by the plan."""
    return [
        part
        for line in plan.splitlines()
        if "pip install" in line
        for part in line.partition("pip install")[2].split()
        if not part.startswith("-")
    ]


@needs_make
@pytest.mark.parametrize("target", BUILDS)
def test_with_a_compiler_and_cmake_nothing_is_installed(tmp_path: Path, target: str) -> None:
    plan = planned(tmp_path, target, "cmake", *COMPILERS)
    assert "-S export" in plan
    assert not re.search(r"\bpip\b|\bvenv\b", plan)


@needs_make
@pytest.mark.parametrize("target", BUILDS)
def test_without_a_compiler_its_wheel_alone_is_installed(tmp_path: Path, target: str) -> None:
    assert installed(planned(tmp_path, target, "cmake")) == ["ziglang"]


@needs_make
@pytest.mark.parametrize("target", BUILDS)
def test_without_cmake_its_wheel_is_the_only_other_one(tmp_path: Path, target: str) -> None:
    plan = planned(tmp_path, target)
    assert sorted(installed(plan)) == ["cmake", "ziglang"]
    assert f"{tmp_path}/tools/bin/cmake -S export" in plan


@needs_make
@pytest.mark.parametrize("target", ["test-arm-aarch64", "test-arm-armv7"])
def test_the_emulated_tests_need_the_compiler_alone(tmp_path: Path, target: str) -> None:
    assert installed(planned(tmp_path, target, "cmake", *COMPILERS)) == ["ziglang"]
