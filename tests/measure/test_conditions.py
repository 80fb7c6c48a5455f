"""What makes a block void: stolen and shared CPUs, throttling, clocks that jump; and instructions, where they count."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from edgeticket.measure import conditions, instructions
from edgeticket.measure.conditions import HostState

CLOCKS = {"monotonic": 10.0, "CLOCK_MONOTONIC_RAW": 20.0, "CLOCK_BOOTTIME": 30.0}
BEFORE = HostState(5, 1.0, 2, CLOCKS)


def later(seconds: float = 0.1, **clocks: float) -> dict[str, float]:
    return {name: value + clocks.get(name, seconds) for name, value in CLOCKS.items()}


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (HostState(5, 1.0, 2, later()), None),
        (HostState(6, 1.0, 2, later()), conditions.STOLEN),
        (HostState(5, 1.0, 3, later()), conditions.THROTTLED),
        (HostState(5, 1.0019, 2, later()), None),  # 1.9 % of the time: an idle kernel's own doings
        (HostState(5, 1.003, 2, later()), conditions.WAITED),
        (HostState(5, 1.0, 2, later(CLOCK_BOOTTIME=60.0)), conditions.CLOCK),  # suspended for a minute
        (HostState(5, 1.0, 2, later(monotonic=0.2)), conditions.CLOCK),  # set forward
        (HostState(5, 1.0, 2, later(monotonic=-0.1)), conditions.CLOCK),  # and back
        (HostState(5, 1.0, 2, later(CLOCK_MONOTONIC_RAW=0.1001)), None),  # slewed by NTP
        (HostState(None, None, None, later()), None),  # a system that tells nothing
    ],
)
def test_why_a_block_is_dropped(after: HostState, reason: str | None) -> None:
    assert conditions.fault(BEFORE, after) == reason


def test_stolen_time_is_read_for_the_cpus_in_use() -> None:
    text = "cpu  1 2 3 4 5 6 7 99 0 0\ncpu0 1 1 1 1 1 1 1 30 0 0\ncpu1 1 1 1 1 1 1 1 4 0 0\nintr 1\n"
    assert conditions.stolen_ticks([1], text) == 4
    assert conditions.stolen_ticks([0, 1], text) == 34
    assert conditions.stolen_ticks([7], text) is None


def test_throttling_is_counted_where_the_system_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu1" / "thermal_throttle").mkdir(parents=True)
    (tmp_path / "cpu1" / "thermal_throttle" / "core_throttle_count").write_text("17\n")
    monkeypatch.setattr(conditions, "CPUS", tmp_path)
    assert conditions.throttle_count([1]) == 17
    assert conditions.throttle_count([0]) is None


def burn(cpu: int, begun: Event) -> None:
    os.sched_setaffinity(0, {cpu})
    begun.set()
    while True:
        pass


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_shared_cpu_is_noticed() -> None:
    """A real process beside us on the same CPU."""
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    hog = spawn.Process(target=burn, args=(cpu, begun), daemon=True)
    hog.start()
    try:
        assert begun.wait(300)
        os.sched_setaffinity(0, {cpu})
        for _ in range(200):  # the kernel shares as it likes, in the end
            # CPU time that a hypervisor takes would be told first, so no CPU is asked for it.
            before, start = conditions.read([], 1), time.perf_counter()
            while time.perf_counter() - start < 0.05:
                pass
            if conditions.fault(before, conditions.read([], 1)) == conditions.WAITED:
                return
        pytest.fail("half of a CPU was gone and nothing showed")
    finally:
        os.sched_setaffinity(0, allowed)
        hog.kill()
        hog.join()


def test_sentences_on_the_host() -> None:
    assert conditions.remarks({"governor": "performance"}, 0.5, 2, 0.0, throttled=False) == []
    said = " ".join(conditions.remarks({"governor": "powersave"}, 4.0, 2, 0.5, throttled=True))
    for word in ("powersave", "a load of 4.0 on 2 cores", "50 % of the blocks", "throttled"):
        assert word in said


def test_one_core_is_no_cores() -> None:
    assert "on 1 core before" in conditions.remarks({}, 8.0, 1, 0.0, throttled=False)[0]


def counted(numbers: int) -> int | str:
    try:
        return instructions.count(lambda: sum(range(numbers)))
    except instructions.NotCountedError as error:
        return str(error)


def test_instructions_are_counted_or_the_reason_is_told() -> None:
    few, many = counted(1000), counted(100_000)
    if isinstance(few, str) or isinstance(many, str):
        assert "the kernel answers" in str(few) or "not known for" in str(few)
    else:
        assert 10 * few < many
        assert many >= 100_000


def test_another_system_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan 9")
    with pytest.raises(instructions.NotCountedError, match="not known for Plan 9"):
        instructions.Counter()
