"""docs/evidence.md from docs/results/evidence.jsonl, which `make bench-evidence` fills; nothing is measured here.

python benchmarks/make_evidence.py [FILE]      writes the document; with FILE (a copy of evidence.jsonl) to standard output
python benchmarks/make_evidence.py --simulate  first makes docs/results/evidence-simulation.json anew (minutes)
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import evidence_tables as tables
from evidence_file import FILE, VOID, Entry, counted, read
from evidence_rules import side_by_side
from evidence_simulation import EFFECTS, MOST_PROCESSES, SIMULATED, simulate

from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENT = DOCS / "evidence.md"
EVEN = "2026-11-28"  # since then the baseline runs the code that spins too


def simulation_section() -> str:
    """Return the section about the simulation, or nothing where it was not made."""
    if not SIMULATED.exists():
        return ""
    cells = json.loads(SIMULATED.read_text(encoding="utf-8"))
    rows = []
    for spread, outliers in dict.fromkeys((cell["spread"], cell["outliers"]) for cell in cells):
        here = {cell["effect"]: cell for cell in cells if (cell["spread"], cell["outliers"]) == (spread, outliers)}
        shares = [
            " · ".join(f"{100 * here[effect][verdict] / here[effect]['trials']:.4g}" for verdict in tables.VERDICTS)
            for effect in EFFECTS
        ]
        rows.append([f"{100 * spread:g} %", "10 %" if outliers else "none", *shares])
    head = ("spread between processes", "outliers", *(f"{100 * effect:g} % slower" for effect in EFFECTS))
    return f"""## Simulation, not measurement

Each cell has {cells[0]["trials"]:,} trials. A trial has three arms in each process with normal noise, so that differences have the
spread named, and the same code judges it at the looks up to {MOST_PROCESSES} processes. An outlier is an arm whose noise in a process
is ten times as wide. A cell shows the per cent of trials that ended as pass · regression · inconclusive.

{tables.table(head, rows)}
"""


def void_section(void: Sequence[Entry], kept: Sequence[Entry]) -> str:
    """Return the paragraph about the comparisons that are in the file and not counted."""
    if not void:
        return ""
    five = [entry for entry in void if entry["effect"] == 0.05]
    verdicts = ", ".join(f"{tables.tally(five, verdict)} {verdict}" for verdict in (REGRESSION, INCONCLUSIVE, PASS))
    made = {entry["key"] for entry in kept}
    again = sum(entry["key"].removeprefix("void|") in made for entry in void)
    rest = (
        "all of them were made again"
        if again == len(void)
        else f"{again} of them were made again, {len(void) - again} not"
    )
    return "\n" + textwrap.fill(
        f"{len(void)} more comparisons are in the file as *void* and counted nowhere: an interruption during one injected "
        "spin shortened the spins of many inferences after it, so that the candidate was slowed down by less than was "
        f"asked for. That is mended, and {rest}. What they said at 5 %: {verdicts}.",
        118,
    )


def hogs_section(same: Sequence[Entry]) -> str:
    """Return what became of the plan to measure beside hogs."""
    beside = [entry for entry in same if entry["hogs"]]
    closed = len(beside) - tables.tally(beside, INCONCLUSIVE)
    return textwrap.fill(
        "Of 200 comparisons of a model with itself 40 were to have hogs beside them. While it was measured on 2026-11-21 "
        "that was cut to 20 and then to 12, because most of them took the whole time and ended without a verdict. There "
        f"are {len(beside)} now, of which {closed} came to a verdict: they say little about false alarms beside hogs.",
        118,
    )


def interleaving(injected: Sequence[Entry]) -> str:
    """Return what wins, as a sentence that counts it."""
    answered = list(side_by_side(injected))
    name = next(
        (rule for _, answers in answered for rule in answers if rule.startswith("ratio of medians") and "2.5%" in rule),
        None,
    )
    if name is None:
        return ""
    quiet = [(entry, answers[name]) for entry, answers in answered if entry["hogs"] == 0]
    false, caught = (
        [said == REGRESSION for entry, said in quiet if entry["effect"] == effect] for effect in (0.0, 0.05)
    )
    return "\n" + textwrap.fill(
        "The last row judges by a plain ratio of medians, at half the tolerance, over the very processes that `check` ran: "
        f"it catches {tables.share(sum(caught), len(caught))} of the slow-downs of 5 %, and without hogs it calls a model "
        f"slower than itself in {tables.share(sum(false), len(false))}. So what wins against the rules above it is that both "
        "models take turns in the same processes. The statistics of `check` add the bound on false alarms, the third "
        "answer, and an end as soon as the verdict is certain.",
        118,
    )


def of_earlier(kept: Sequence[Entry]) -> str:
    """Return the paragraph on comparisons in which the candidate alone ran the code that spins."""
    earlier = [entry for entry in kept if entry["created"] < EVEN]
    five = [entry for entry in kept if entry["kind"] == "injected" and entry["effect"] == 0.05]
    if not earlier or not five:
        return ""
    slowed = sum(entry["created"] < EVEN for entry in five)
    return (
        "\n"
        + textwrap.fill(
            f"{len(earlier)} of the {len(kept)} comparisons were made before {EVEN}, when only the candidate ran the code that "
            f"spins. So were {slowed} of the {len(five)} at 5 %: what they came to stands below, and on LeNet-300-100 it is more.",
            118,
        )
        + "\n"
    )


def document(entries: Sequence[Entry]) -> str:
    """Return docs/evidence.md, made of everything in the file."""
    kept = counted(entries)
    injected = [entry for entry in kept if entry["kind"] == "injected"]
    quiet = [entry for entry in injected if entry["hogs"] == 0]
    same = [entry for entry in injected if entry["effect"] == 0]
    real = [entry for entry in kept if entry["kind"] != "injected"]
    days = sorted({entry["created"][:10] for entry in kept})
    when = f", measured on {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    return f"""<!-- Written by benchmarks/make_evidence.py from docs/results/evidence.jsonl; `make bench-evidence` measures more. -->
# How often `edgeticket check --baseline` is right

These are {len(kept)} comparisons{when}. All are real runs with the defaults: tolerance 5 %,
one thread, 60 s. [evidence.jsonl](results/evidence.jsonl) has each with its samples, which are block medians (a block:
at least 5 inferences and 20 ms of each model) of every process in µs.

{tables.table(("what", "target", "found", ""), tables.target_rows(injected))}

Bounds of a true share are exact (Clopper and Pearson) with 95 %.
{of_earlier(kept)}{void_section([entry for entry in entries if entry["kind"] == VOID], kept)}

## The same model twice

{tables.table(("beside it", REGRESSION, INCONCLUSIVE, PASS), tables.same_rows(same))}

{hogs_section(same)}

{tables.busy(quiet)}

## Verdicts by slow-down

The candidate spins, inside the timed slot, for a share of its own time; *spun* is the median and the range of what
that was, and *came to* by how much the candidate was slower than the baseline in the same processes. The two differ for
a model of a few µs, on which the code that spins weighs too: until 2026-11-28 only the candidate ran that code, so that
its slow-downs were larger than their names, and since then both run it. 5 % is what must be caught and not what is
allowed: between 2.5 and 5 % either verdict may come. Comparisons beside hogs are left out.

{tables.table(("slow-down", "model", "spun", "came to", PASS, REGRESSION, "true share of regressions, 95 %", INCONCLUSIVE), tables.power_rows(quiet))}

## What a verdict cost

A comparison ends at the first look at which the verdict is certain, or when the time is over.

{tables.table(("", "comparisons", "median", "9 of 10 within", "longest", "processes, median"), tables.cost_rows(kept))}

## The same runs judged by other rules

The table says how often each rule says *regression*, which is right never without a slow-down and always at 5 %. The
others know no third answer, so what they do not call a regression they let pass. A threshold of 5 % catches half of
the slow-downs of 5 % by construction, and `check` may call slower what is beyond half of its tolerance. So every rule
stands here with a threshold of 5 % and with one of 2.5 %.

* pytest-benchmark's `--benchmark-compare-fail` compares a field of one run with that of one stored run: here the
  candidate in a comparison's second process with the baseline in its first. The two are seconds apart, where people's
  are days apart.
* The mean rule compares the mean over everything with the stored mean of the last run of the same model on the same
  host, and alerts above 105 % (github-action-benchmark's rule, at a tighter threshold than its 200 %).

The rules were applied to our samples; the tools were not run. Those are block medians, so *min* is the smallest of the
medians of one process, not of single inferences, which are not kept.

{tables.rival_table(injected)}
{interleaving(injected)}

## Regressions that happen to people

These candidates are slower for a reason, and by whatever that makes: each should be called a regression.

{tables.table(("what", "median estimate", REGRESSION, PASS, INCONCLUSIVE), tables.real_rows(real))}

## Where it was measured

A fingerprint covers the processor, the cores that the process may use and the runtime's version: a machine on which
fewer cores are allowed counts as another host. No comparison mixes two. Where one core was allowed, the other was at
work: in part with a comparison of its own, so that two ran at a time, in part with builds and tests. *Same model* is
with hogs and without.

{tables.table(("fingerprint", "host", "cores allowed", "comparisons", "same model: regression", "inconclusive",
               "5 %: regression", "pass"), tables.host_rows(kept))}

{simulation_section()}"""  # fmt: skip


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="print the document of this file, and write nothing")
    parser.add_argument("--simulate", action="store_true", help="make the simulation anew")
    given = parser.parse_args()
    if given.simulate:
        SIMULATED.write_text("[\n" + ",\n".join(json.dumps(cell) for cell in simulate()) + "\n]\n", encoding="utf-8")
    entries = read(given.file or FILE)
    made = document(entries).rstrip() + "\n"
    if given.file:
        sys.stdout.write(made)
        return
    DOCUMENT.write_text(made, encoding="utf-8")
    print(f"{DOCUMENT.name}: {len(counted(entries))} comparisons")


if __name__ == "__main__":
    main()
