"""The tests in C++: every kernel on fenced buffers, plans, the plugin under a host; plain, sanitized, under valgrind.

Emulated and instrumented runs take small counts: what varies is the tool that watches, not what is drawn.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from native import PLUGIN, build, run

PROGRAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {  # arguments of a full run, and of a slowed one
    "region_tests": (("500",), ("40",)),
    "row_region_tests": (("300",), ("30",)),
    "import_tests": ((), ()),
    "fc_tests": ((), ("20",)),
    "map_kernel_tests": (("60",), ("8",)),
    "cost_tests": (("300",), None),  # its decisions rest on the speed of this very build
}


@pytest.fixture(scope="module")
def plain() -> Path:
    return build("tests", *PROGRAMS, "host", "instructions", "edgeticket_ep")


@pytest.fixture(scope="module")
def sanitized() -> Path:
    return build("asan", *PROGRAMS, "host", "edgeticket_ep", sanitize="address,undefined")


def last_line(output: str) -> str:
    """Of a program that compares: it says how much, so that one that compared nothing does not pass."""
    line = output.strip().splitlines()[-1]
    counts = [int(number) for number in re.findall(r"^\d+|\d+(?= (?:failed|wrong))", line)]
    assert len(counts) == 2, line
    assert counts[0] > 0
    assert counts[1] == 0
    return line


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_plain(plain: Path, program: str) -> None:
    last_line(run(plain / program, *PROGRAMS[program][0]))


def test_eight_threads_share_a_region_and_warm_runs_do_not_allocate(plain: Path) -> None:
    output = run(plain / "host", plain / PLUGIN, "10")
    lines = output.strip().splitlines()
    assert len(lines) == 3
    for line in lines:
        assert re.search(r": 800 runs, 0 with other results; \d+ allocations in the first runs, 0 once", line), line


@pytest.mark.slow
@pytest.mark.parametrize("program", [name for name, (_, slowed) in PROGRAMS.items() if slowed is not None])
def test_address_and_undefined_behaviour_sanitizers(sanitized: Path, program: str) -> None:
    last_line(run(sanitized / program, *(PROGRAMS[program][1] or ())))


@pytest.mark.slow
def test_the_plugin_under_address_and_undefined_behaviour_sanitizers(sanitized: Path) -> None:
    assert "0 with other results" in run(sanitized / "host", sanitized / PLUGIN, "3")


@pytest.mark.slow
def test_thread_sanitizer() -> None:
    folder = build("tsan", "host", "edgeticket_ep", sanitize="thread")
    lines = run(folder / "host", folder / PLUGIN, "3").strip().splitlines()
    assert len(lines) == 3
    assert all("0 with other results" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "count"), [("region_tests", "4"), ("row_region_tests", "4"), ("map_kernel_tests", "1")]
)
def test_valgrind(plain: Path, program: str, count: str) -> None:
    """Its processor has no AVX-512, so what runs is AVX2 and portable; the uninitialised is what guard pages miss."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("valgrind is not installed")
    options = ["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    last_line(run(valgrind, *options, plain / program, count))


def test_callgrind_counts_fewer_instructions_for_wider_vectors(plain: Path, tmp_path: Path) -> None:
    """What a run of a sparse convolution takes: callgrind's count of eleven runs less that of one, no clock in it."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("valgrind is not installed")
    with Path("/proc/cpuinfo").open(encoding="ascii") as text:
        if " avx2" not in text.read():
            pytest.skip("no avx2 here")
    each = {}
    for isa in ("avx2", "portable"):
        totals = []
        for runs in (1, 11):
            written = tmp_path / f"{isa}.{runs}"
            options = ["--tool=callgrind", f"--callgrind-out-file={written}"]
            products = int(run(valgrind, *options, plain / "instructions", isa, str(runs)))
            found = re.search(r"^(?:summary|totals): (\d+)", written.read_text(), re.MULTILINE)
            assert found is not None
            totals.append(int(found[1]))
        each[isa] = (totals[1] - totals[0]) / 10 / products
    print({isa: f"{count:.3f} instructions a useful multiplication" for isa, count in each.items()})
    assert each["avx2"] < 1 / 8 * 4  # of eight lanes: an FMA, a share of two loads, and what surrounds them
    assert each["avx2"] < 0.7 * each["portable"]
