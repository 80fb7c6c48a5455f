"""What it takes to open a long network grows with its length: callgrind counts instructions, no clock is read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from native import build, run

# What a kind is made of (export/tests/growth.cpp), and the nodes of each that the engine takes a unit of length.
KINDS = {"groups": 1, "row outputs": 1, "map outputs": 1, "pools": 2, "sums": 3, "units": 1}
SHORT = 400


@pytest.fixture(scope="module")
def program() -> Path:
    return build("tests", "growth") / "growth"


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_length_takes_twice_the_instructions(program: Path, kind: str, tmp_path: Path) -> None:
    """From one length to twice and to four times: in proportion the second step takes twice the first, squares four."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("valgrind is not installed")
    totals = []
    for length in (SHORT, 2 * SHORT, 4 * SHORT):
        written = tmp_path / str(length)
        options = ["--tool=callgrind", f"--callgrind-out-file={written}"]
        assert int(run(valgrind, *options, program, kind, str(length))) == length * KINDS[kind]
        found = re.search(r"^(?:summary|totals): (\d+)", written.read_text(), re.MULTILINE)
        assert found is not None
        totals.append(int(found[1]))
    growth = (totals[2] - totals[1]) / (totals[1] - totals[0])
    print(f"{kind}: {totals} instructions, {growth:.2f}")
    assert growth < 2.5
