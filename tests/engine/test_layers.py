"""The layers of the sources in C++: who includes whom. Nothing is compiled here; `#include` lines say it all."""

from __future__ import annotations

import re
import textwrap
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "export" / "src"

# The folders of export/src from the lowest layer up, each with what it holds. A file includes only from its own folder
# and from layers below. A folder that has no line of its own belongs to the one above it in the tree. They are written
# down here and nowhere else: DESIGN.md shows what `shown()` makes of them.
LAYERS = (
    {"simd": "what a vector is, and the activations on it"},
    {"kernels": "the loops; each `*.isa.cpp` is compiled once for every instruction set, in a namespace of its own"},
    {"isa": "the table of instruction sets, and what this processor does"},
    {"engine/region": "what is computed, the table of operators, and the reference in double precision"},
    {"engine/plan": "what both kinds of plan need: the placing of buffers, memory, reports"},
    {
        "engine/plan/maps": "plans over feature maps: layouts, tiles, packed weights, and the program made of them",
        "engine/plan/rows": "plans over rows of a matrix",
    },
    {"engine/run": "running a program"},
    {"engine/cost": "predictions of this engine's time and of the CPU provider's"},
    {"engine/choose": "which nodes to claim, and in which groups"},
    {"onnx": "graphs as plain data, a table of operators, and the import of a region"},
    {"ort": "the plugin, which alone knows ONNX Runtime"},
)
RANKS = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}


def folder_of(file: str) -> str:
    """The folder of LAYERS that a source file belongs to; '' for one that lies in none."""
    parents = [parent.as_posix() for parent in PurePosixPath(file).parents]
    return next((parent for parent in parents if parent in RANKS), "")


def includes(sources: Path) -> dict[str, list[str]]:
    """Source file -> the files of the tree that it includes, all relative to the tree."""
    found = {}
    for path in sorted([*sources.rglob("*.h"), *sources.rglob("*.cpp")]):
        named = re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        places = []
        for name in named:
            place = next((place for place in (path.parent / name, sources / name) if place.is_file()), None)
            assert place is not None, f"{path} includes {name}, which is not there"
            places.append(place.resolve().relative_to(sources.resolve()).as_posix())
        found[path.relative_to(sources).as_posix()] = places
    return found


def offences(tree: dict[str, list[str]]) -> list[str]:
    """A sentence for each file without a layer, each include that climbs, and each circle of files."""
    found = [f"{file} lies in no layer" for file in tree if folder_of(file) == ""]
    for file, included in tree.items():
        here = folder_of(file)
        for other in included:
            there = folder_of(other)
            if here and there and here != there and RANKS[there] >= RANKS[here]:
                found.append(f"{file} includes {other}, which is not below it")
    try:
        TopologicalSorter(tree).prepare()
    except CycleError as error:
        found.append(f"these include one another: {' <- '.join(error.args[1])}")
    return found


def test_no_include_climbs_and_none_goes_in_a_circle() -> None:
    assert offences(includes(SOURCES)) == []


def test_every_layer_holds_files() -> None:
    assert {folder_of(file) for file in includes(SOURCES)} == set(RANKS)


@pytest.mark.parametrize(
    ("files", "offence"),
    [
        ({"simd/a.h": '#include "kernels/b.h"\n', "kernels/b.h": ""}, "simd/a.h includes kernels/b.h"),
        ({"engine/cost/a.h": "", "engine/plan/rows/b.cpp": '#include "../../cost/a.h"\n'}, "b.cpp includes"),
        ({"engine/plan/maps/a.h": "", "engine/plan/rows/b.h": '#include "engine/plan/maps/a.h"\n'}, "b.h includes"),
        ({"simd/a.h": '#include "b.h"\n', "simd/b.h": '  # include "a.h"\n'}, "these include one another"),
        ({"engine/a.h": ""}, "engine/a.h lies in no layer"),
        ({"onnx/operators/a.cpp": '#include "ort/b.h"\n', "ort/b.h": ""}, "a.cpp includes ort/b.h"),
    ],
)
def test_what_breaks_a_rule_is_found(files: dict[str, str], offence: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (found,) = offences(includes(tmp_path))
    assert offence in found


def test_an_include_of_a_file_that_is_not_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "simd").mkdir()
    (tmp_path / "simd" / "a.h").write_text('#include "gone.h"\n', encoding="utf-8")
    with pytest.raises(AssertionError, match=r"gone\.h, which is not there"):
        includes(tmp_path)


def test_no_line_has_more_than_120_columns() -> None:
    kinds = (".h", ".cpp", ".c", ".cmake", ".txt")
    files = [path for path in sorted((ROOT / "export").rglob("*")) if path.is_file() and path.suffix in kinds]
    assert len(files) > 100
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert long == []


def shown() -> str:
    """The layers as a list in Markdown."""
    lines = []
    for number, folders in enumerate(LAYERS, 1):
        text = f"{number}. {'; '.join(f'`{folder}/`: {what}' for folder, what in folders.items())}"
        lines.append(textwrap.fill(text, 118, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False))
    return "\n".join(lines)


def test_design_shows_the_layers() -> None:
    design = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    begin, end = "<!-- shown() of tests/engine/test_layers.py -->\n", "\n<!-- end of shown() -->"
    assert design.partition(begin)[2].partition(end)[0] == shown(), f"DESIGN.md must hold this:\n{shown()}"
