"""What disturbs a timing while it is taken: a stolen or shared CPU, throttling, clocks that jump.

Everything is read before and after a block and compared; what a system does not offer is None and disturbs nothing.
An involuntary switch as such says little (an idle Linux makes dozens a second, each of microseconds), so what counts is
how long the threads were ready to run and did not: the kernel's run delay.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeticket import text

CPUS = Path("/sys/devices/system/cpu")
CLOCK_SLACK_S, CLOCK_SLACK_SHARE = 1e-3, 0.005  # two clocks may differ by this much and this share over a block
WAIT_SHARE = 0.02  # of a block, waited for a CPU
STOLEN, WAITED, THROTTLED, CLOCK = "CPU time stolen", "CPU shared", "throttled", "clock jumped"


@dataclass(frozen=True)
class HostState:
    """The state of the machine at one moment. Clocks in seconds; `monotonic` is the one that times inferences."""

    stolen_ticks: int | None
    waited_s: float | None
    throttled: int | None
    clocks: Mapping[str, float]


def clocks() -> dict[str, float]:
    """Read every clock that should advance alike. Wall time is not among them: nothing here is timed with it."""
    found = {"monotonic": time.perf_counter()}
    for name in ("CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME"):  # without the slewing of NTP; across a suspension
        if hasattr(time, name):
            found[name] = time.clock_gettime(getattr(time, name))
    return found


def stolen_ticks(cpus: Sequence[int], stat: str | None = None) -> int | None:
    """Count the ticks the hypervisor took from these CPUs since the start (proc(5), /proc/stat, eighth column)."""
    if stat is None:
        try:
            stat = Path("/proc/stat").read_text(encoding="ascii")
        except OSError:
            return None
    rows = {int(number): columns.split() for number, columns in re.findall(r"^cpu(\d+) (.+)$", stat, re.MULTILINE)}
    known = [int(rows[cpu][7]) for cpu in cpus if cpu in rows and len(rows[cpu]) > 7]
    return sum(known) if known else None


def throttle_count(cpus: Sequence[int]) -> int | None:
    """Count how often these CPUs were throttled for heat; None where the system does not count."""
    counts = []
    for cpu in cpus:
        try:
            counts.append(int((CPUS / f"cpu{cpu}/thermal_throttle/core_throttle_count").read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None


def waited(threads: int) -> float | None:
    """Sum the seconds that this process's threads were ready to run and waited for a CPU (schedstat, second number).

    Where the kernel does not say, and one thread does it all, it is the time in which that was not on a CPU.
    """
    try:
        tasks = [path.read_text(encoding="ascii").split() for path in Path("/proc/self/task").glob("*/schedstat")]
        if tasks:
            return sum(int(fields[1]) for fields in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        pass
    return time.perf_counter() - time.thread_time() if threads == 1 and hasattr(time, "thread_time") else None


def read(cpus: Sequence[int], threads: int) -> HostState:
    """Read the state of these CPUs now, for a model that runs on `threads` threads of this process."""
    return HostState(stolen_ticks(cpus), waited(threads), throttle_count(cpus), clocks())


def fault(before: HostState, after: HostState) -> str | None:
    """Say why what was measured between two snapshots is dropped; None where nothing showed."""
    if clock_jumped(before.clocks, after.clocks):
        return CLOCK
    for name, then, now in (
        (STOLEN, before.stolen_ticks, after.stolen_ticks),
        (THROTTLED, before.throttled, after.throttled),
    ):
        if then is not None and now is not None and now > then:
            return name
    if before.waited_s is not None and after.waited_s is not None:
        passed_s = after.clocks["monotonic"] - before.clocks["monotonic"]
        if after.waited_s - before.waited_s > WAIT_SHARE * passed_s:
            return WAITED
    return None


def clock_jumped(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether a clock went backwards, or two of them disagree on how long it took."""
    passed = {name: after[name] - before[name] for name in before.keys() & after.keys()}
    if min(passed.values(), default=0.0) < 0:
        return True
    longest, shortest = max(passed.values(), default=0.0), min(passed.values(), default=0.0)
    return longest - shortest > CLOCK_SLACK_S + CLOCK_SLACK_SHARE * shortest


def remarks(
    host: Mapping[str, object], load: float | None, cores: int, dropped_share: float, *, throttled: bool
) -> list[str]:
    """Say in sentences how a host is slow or noisy for reasons of its own."""
    said = []
    if host.get("governor") == "powersave":
        said.append("The CPU's governor is powersave: it may run below its full clock, and milliseconds vary.")
    if load is not None and load > cores + 0.5:
        said.append(
            f"The machine is busy: a load of {load:.1f} on {text.plural(cores, 'core')} before the measurement began."
        )
    if throttled:
        said.append(
            "The machine is throttled: a CPU became too hot and slowed down; blocks in which it did were dropped."
        )
    if dropped_share > 0.25:
        said.append(f"The machine is noisy: {100 * dropped_share:.0f} % of the blocks were disturbed and dropped.")
    return said
