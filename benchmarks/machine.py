"""The machine under a benchmark: who it is, what it can multiply and add at most, and what a process of ours takes."""

from __future__ import annotations

import ctypes
import datetime
import hashlib
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgeticket.artifact.checks import host
from edgeticket.engine import library_path
from edgeticket.errors import EngineError
from edgeticket.version import __version__

NATIVE = Path(__file__).parents[1] / "export" / "tests"


def identity() -> dict[str, Any]:
    """What a result holds for: the processor, the runtime, the engine's library by its hash, and the day."""
    return {
        **host(),
        "kernel": platform.release(),
        "engine": engine_hash(),
        "edgeticket": __version__,
        "commit": commit(),
        "hidden": "hide_avx512" in os.environ.get("LD_PRELOAD", ""),
        "date": datetime.date.today().isoformat(),
    }


def commit() -> str | None:
    """The commit of this checkout, with a + where something is changed; None where there is no git."""
    git = shutil.which("git")
    if git is None:
        return None
    told = [
        subprocess.run([git, *asked], cwd=NATIVE, capture_output=True, text=True, check=False).stdout.strip()
        for asked in (("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "../.."))
    ]
    changed = [line for line in told[1].splitlines() if "docs/" not in line]
    return f"{told[0]}{'+' if changed else ''}" if told[0] else None


def engine_hash() -> str | None:
    """The first 12 digits of the library's SHA-256; None where it is not built."""
    try:
        return hashlib.sha256(library_path().read_bytes()).hexdigest()[:12]
    except EngineError:
        return None


_folder = tempfile.TemporaryDirectory(prefix="edgeticket-native-")  # what is compiled here goes with the process


@cache
def _compiled(source: str, *flags: str) -> Path:
    """A file of export/tests, compiled."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise SystemExit(f"{NATIVE / source} is part of this measurement: install a C++ compiler, or name one in CXX")
    product = Path(_folder.name) / Path(source).stem
    plain = {
        key: value for key, value in os.environ.items() if key != "LD_PRELOAD"
    }  # gcc has a SIGSEGV handler of its own
    subprocess.run([*compiler.split(), *flags, str(NATIVE / source), "-o", str(product)], check=True, env=plain)
    return product


def hide_avx512() -> None:
    """From now on processes started here see a processor without AVX-512: both providers, and the peak."""
    os.environ["LD_PRELOAD"] = str(_compiled("hide_avx512.c", "-xc", "-O1", "-shared", "-fPIC"))
    if subprocess.run(["true"], check=False).returncode != 0:
        raise SystemExit("AVX-512 cannot be hidden here, see above")


def peak(milliseconds: int = 50) -> dict[str, dict[str, float]]:
    """{instruction set: {threads, as text: GMAC/s of fp32 multiply-accumulates in registers}} as it is right now."""
    program = _compiled("peak.cpp", "-std=c++17", "-O3", "-ffp-contract=fast", "-pthread")
    answer = subprocess.run([program, str(milliseconds)], check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, float]] = {}
    for line in answer.splitlines():
        name, threads, rate = line.split()
        found.setdefault(name, {})[threads] = float(rate)
    return found


def pin(threads: int) -> list[int]:
    """Keep this process on `threads` of its processors, the last ones: interrupts prefer the first. Returns them."""
    cpus = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, cpus)
    return cpus


@dataclass
class Neighbours:
    """How many processors were kept busy by processes that are not ours since `start()`: what spoils a measurement."""

    began: float
    busy: float
    ours: float

    @classmethod
    def start(cls) -> Neighbours:
        return cls(time.monotonic(), _busy_seconds(), _own_seconds())

    def share(self) -> float:
        theirs = (_busy_seconds() - self.busy) - (_own_seconds() - self.ours)
        return round(max(0.0, theirs / (time.monotonic() - self.began)), 3)


def _busy_seconds() -> float:
    """User, nice, system and interrupt time of all processors."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return sum(int(fields[i]) for i in (1, 2, 3, 6, 7)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def resident_bytes(key: str = "VmRSS") -> int:
    """VmRSS (now) or VmHWM (at most so far) of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def others_run() -> bool:
    """Does a thread of this process run, or wait for a processor, beside the one that asks? proc_pid_stat(5)"""
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            state = (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            if state == "R" and int(task.name) != threading.get_native_id():
                return True
    return False


def release_memory() -> None:
    """Give back to the system what this process has freed, and let VmHWM start anew: what is taken next is counted."""
    with suppress(AttributeError, OSError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5)
