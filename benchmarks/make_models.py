"""Writes docs/models.md: what is read, proved, packed and cut, by operator, type, operator set, shape and container.

python benchmarks/make_models.py [FILE]     docs/models.md by default; `make models` runs it

Every row is a small model that is built here and really exported. No cell is typed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import model_containers
import model_kinds
import model_operators
import model_standard
import model_types
from model_trial import Case, Trial, grouped, short, table, tried

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
MADE = "<!-- Written by benchmarks/make_models.py (`make models`). -->"

INTRODUCTION = f"""\
# Models

{MADE}

What `edgeticket export` makes of other people's models, in small: each row is a model that is built in code, exported,
and checked. "Read" means that an artifact was written. "Proved" is "yes" where the outputs were held to the original
network in float64, and "in float32 alone" where nothing but the runtime's own float32 could be compared. Sizes are of
the file as it was given and as it was exported, both without compression. What is not read, not proved or not packed
says why in the words of the export."""

TYPES = """\
## By the type of the weights

Three matrix products hold 50,432 weights, of which 90 % are 0. That leaves units that no weight reads, or whose own
weights are all 0; what is removed of them goes with all its weights, and the rest of the zeros is packed."""

VERSIONS = """\
## By operator set and format

The same network with float32 weights. Rows that came out the same stand together; the sizes are of the first."""

CUT = """\
## Dead channels, by the operator behind them

Two of the six channels of a first layer are constant at 1.5, or at 0 before what puts zeros beyond a border, and the
operator stands between it and a layer that reads the channels. Where they are removed, both layers lose them, and the
constant moves into the bias. "Removed" counts the channels of the first layer. A constant other than 0 stays where
zeros are put beyond the border: it is 1.5 inside and 0 outside then, which no bias can stand for.

Operators on quantised numbers read codes of that first layer. A constant other than 0 moves into a bias of int32 there;
it stays before padding, and where it makes the range that DynamicQuantizeLinear finds at inference."""

SHAPES = """\
## By shape"""

KINDS = """\
## By kind of input and output"""

CONTAINERS = """\
## By what contains the weights"""

STANDARD = """\
## By operator of the standard

For each operator of ONNX one of the standard's own tests of it is exported, the first that the runtime loads, with all
inputs but the first as weights. Operators that came out the same stand together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=PAGE, help="the page to write")
    parser.add_argument(
        "--quick", action="store_true", help="leave out the operators of the standard, half of the time"
    )
    asked = parser.parse_args()
    asked.file.write_text(document(quick=asked.quick), encoding="utf-8")
    print(f"wrote {asked.file}")


def document(*, quick: bool = False) -> str:
    """The whole page; `quick` leaves out its last part."""
    return "\n\n".join([INTRODUCTION, *sections(), *([] if quick else [by_operator()])]) + "\n"


def sections() -> Iterator[str]:
    """All of the page but its introduction and the operators of the standard."""
    yield f"{TYPES}\n\n{by_size('type', model_types.types())}"
    yield f"{VERSIONS}\n\n{by_version('operator set', model_types.opsets())}"
    yield by_version("IR version", model_types.formats())
    yield f"{SHAPES}\n\n{by_size('shape', model_kinds.shapes())}"
    yield f"{KINDS}\n\n{by_size('kind', model_kinds.kinds())}"
    yield f"{CONTAINERS}\n\n{by_size('container', model_containers.containers())}"
    yield f"{CUT}\n\n{by_channels(model_operators.followed())}"


def by_size(head: str, cases: Iterable[Case]) -> str:
    """One row a case."""
    rows = [(case.name, *outcome(tried(case))) for case in cases]
    return table((head, *OUTCOME), rows)


OUTCOME = ("read", "proved", "dead units removed", "as given → exported")


def outcome(trial: Trial) -> tuple[str, str, str, str]:
    """Read, proved, the units removed, and the sizes, with what was raised, or the reason where the zeros stayed."""
    stayed = trial.remarks[:1] if trial.proof and trial.ratio < PACKED else ()
    units = f"{trial.units:,}" if trial.proof else "–"
    return trial.read, trial.proved, units, "; ".join([trial.bytes, *trial.raised, *stayed])


PACKED = 1.5  # a file with 90 % zeros that did not even become so much smaller has a reason for it


def by_version(head: str, cases: Iterable[Case]) -> str:
    """Cases that came out the same share a row, whatever the last bytes of their sizes and the numbers in a reason."""
    trials = {case.name: tried(case) for case in cases}
    same = {name: tuple(re.sub(r"\d+", "", cell) for cell in outcome(trial)) for name, trial in trials.items()}
    rows = [(span(names), *outcome(trials[names[0]])) for names, _ in grouped(same)]
    return table((head, *OUTCOME), rows)


def span(names: list[str]) -> str:
    """['3', '4', '5', '8, by hand'] -> '3 to 5; 8, by hand': numbers that follow one another are drawn together."""
    parts: list[str] = []
    for index, name in enumerate(names):
        follows = name.isdigit() and index > 0 and names[index - 1] == str(int(name) - 1)
        if follows and " to " in parts[-1]:
            parts[-1] = f"{parts[-1].split()[0]} to {name}"
        elif follows:
            parts[-1] = f"{parts[-1]} to {name}"
        else:
            parts.append(name)
    return "; ".join(parts)


def by_channels(cases: Iterable[Case]) -> str:
    """How many dead channels were removed, and before which operators."""
    found = {}
    for case in cases:
        trial = tried(case)
        removed = f"{trial.removed} of 2" if trial.proof else trial.read
        found[case.name] = (removed, "; ".join(map(short, trial.kept)) or "–", trial.proved)
    return table(
        ("operators", "removed", "why not", "proved"), [(", ".join(names), *came) for names, came in grouped(found)]
    )


def by_operator() -> str:
    """The operators of the standard."""
    found = {
        case.name: (trial.read, trial.proved)
        for case, trial in ((case, tried(case)) for case in model_standard.standard())
    }
    rows = [(", ".join(names), *came) for names, came in grouped(found)]
    return f"{STANDARD}\n\n{table(('operators', 'read', 'proved'), rows)}"


if __name__ == "__main__":
    main()
