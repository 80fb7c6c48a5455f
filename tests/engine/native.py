"""The C++ tests: built by CMake once a kind of build, into build/, where the next run finds its objects again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "libedgeticket_ep.so"
# A sanitizer that found something ends the program with its report.
ENVIRONMENT = {
    **os.environ,
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def build(name: str, *targets: str, sanitize: str = "") -> Path:
    """The folder of a build's executables; skips the test, in words, where there is no compiler or no sanitizer."""
    compiler = next((found for tool in ("c++", "g++", "clang++") if (found := shutil.which(tool))), None)
    beside = Path(sys.executable).parent / "cmake"
    cmake = shutil.which("cmake") or (str(beside) if beside.exists() else None)
    if compiler is None or cmake is None:
        pytest.skip(f"no {'C++ compiler' if compiler is None else 'cmake'}")
    folder = ROOT / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    if sanitize:
        flags = [f"-fsanitize={sanitize}", "-x", "c++", "-", "-o", str(folder / "probe")]
        probe = subprocess.run([compiler, *flags], input="int main() {}", capture_output=True, text=True, check=False)
        if probe.returncode or subprocess.run([folder / "probe"], capture_output=True, check=False).returncode:
            pytest.skip(f"{compiler} has no -fsanitize={sanitize} here: {probe.stderr.strip()[-200:]}")
    options = [f"-DCMAKE_BUILD_TYPE={'None' if sanitize else 'Release'}", f"-DEDGETICKET_SANITIZE={sanitize}"]
    configure = [cmake, "-S", str(ROOT / "export"), "-B", str(folder), *options, "-DEDGETICKET_BUILD_TESTS=ON"]
    with filelock.FileLock(folder.with_name(f"{name}.lock")):  # another test run may build the same folder
        for command in (configure, [cmake, "--build", str(folder), "--parallel", "2", "--target", *targets]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


def run(*command: str | Path, timeout_s: int = 900) -> str:
    """What a test program says; its failure, with the end of its output, is that of the test."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stdout[-3000:]}{done.stderr[-5000:]}"
    return done.stdout
