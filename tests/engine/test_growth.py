"""What it takes to open a long network grows with its length: callgrind counts instructions, no clock is read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from native import build, run
from small_models import model, node, reasons, sparse

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


def test_no_more_regions_are_claimed_than_the_runtime_fuses_in_seconds(tmp_path: Path) -> None:
    """ONNX Runtime's fusing takes the square of the regions times the nodes: all 750 would take four times as long."""
    pairs, width = 750, 64
    names = ["x", *(f"t{i}" for i in range(pairs))]
    nodes = [
        made
        for i in range(pairs)
        for made in (node("MatMul", [names[i], "w"], [f"m{i}"], name=f"m{i}"), node("Tanh", [f"m{i}"], [names[i + 1]]))
    ]
    proto = model(nodes, {"x": [1, width]}, {names[-1]: [1, width]}, {"w": sparse(1, width, width, density=0.02)})
    why = [reason for name, reason in reasons(proto, tmp_path).items() if name.startswith("m")]
    taken = why.count("")
    assert 1e8 < taken**2 * len(nodes) <= 3e8
    assert [reason for reason in why if reason] == [
        f"of {pairs} regions that pay, the {taken} that save most are taken: ONNX Runtime would fuse all of them too "
        "slowly"
    ] * (pairs - taken)
