"""docs/evidence.md from docs/results/evidence.jsonl, which `make bench-evidence` fills; nothing is measured here.

python docs/make_evidence.py             writes the document
python docs/make_evidence.py --simulate  first makes docs/results/evidence-simulation.json anew (minutes)
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgeticket.measure.stats import ERROR, LOOKS, look_plan
from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION, judge

HERE = Path(__file__).resolve().parent
DATA, SIMULATED, DOCUMENT = (
    HERE / "results/evidence.jsonl",
    HERE / "results/evidence-simulation.json",
    HERE / "evidence.md",
)
VERDICTS = (PASS, REGRESSION, INCONCLUSIVE)
THRESHOLD = 1.05
EFFECTS, SPREADS, TRIALS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1), (0.01, 0.02, 0.03, 0.05), 2000
Entry = dict[str, Any]


# --- The other rules, on the same samples ---


def kept(process: Entry, arm: str) -> list[float]:
    """Undisturbed block medians in µs; all of them where none is undisturbed, since those rules drop nothing."""
    values = process["us"][arm]
    return [us for us, fault in zip(values, process["faults"], strict=True) if fault == "."] or list(values)


def pytest_benchmark(entry: Entry, field: Callable[[Sequence[float]], float]) -> str | None:
    """--benchmark-compare-fail=FIELD:5%: a field of one run against the same field of one stored run."""
    if len(entry["processes"]) < 2:
        return None
    stored, now = (process["us"] for process in entry["processes"][:2])
    return REGRESSION if field(now["candidate"]) > THRESHOLD * field(stored["baseline"]) else PASS


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    found = list(values)
    return sum(found) / len(found)


def mean_against_threshold(entry: Entry, previous: Entry | None) -> str | None:
    """The mean of everything against the stored mean of the last run of the same model, alert above 105 %."""
    if previous is None or not entry["processes"] or not previous["processes"]:
        return None
    now = mean(us for process in entry["processes"] for us in process["us"]["candidate"])
    stored = mean(us for process in previous["processes"] for us in process["us"]["baseline"])
    return REGRESSION if now > THRESHOLD * stored else PASS


# --- Tables ---


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def share(count: int, of: int) -> str:
    """'3 of 200 (1.5 %)'."""
    return f"{count} of {of} ({100 * count / of:.1f} %)" if of else "none yet"


def counted(entries: Sequence[Entry]) -> list[str]:
    """One cell for each verdict."""
    return [share(sum(entry["verdict"] == verdict for entry in entries), len(entries)) for verdict in VERDICTS]


def seconds(entries: Sequence[Entry]) -> str:
    """'17 s (13 to 60)'."""
    found = sorted(entry["seconds"] for entry in entries)
    return f"{median(found):.0f} s ({found[0]:.0f} to {found[-1]:.0f})" if found else ""


def company(hogs: int) -> str:
    """How a row says it."""
    return {0: "alone", 1: "one CPU hog", -1: "a CPU hog for each core"}[hogs]


def verdict_rows(injected: Sequence[Entry]) -> list[list[str]]:
    """By effect and company."""
    rows = []
    for effect, hogs in sorted(
        {(entry["effect"], entry["hogs"]) for entry in injected}, key=lambda k: (k[0], abs(k[1]), k[1])
    ):
        here = [entry for entry in injected if (entry["effect"], entry["hogs"]) == (effect, hogs)]
        realised = [entry["realised"] for entry in here if entry["realised"]]
        label = "none (A against A)" if effect == 0 else f"{100 * effect:g} %"
        middle = f"{100 * median(realised):.2f} %" if realised else ""
        rows.append([label, middle, company(hogs), *counted(here), seconds(here)])
    return rows


def rivals(injected: Sequence[Entry]) -> list[list[str]]:
    """Each rule: how often it says regression, by effect; comparisons that ran alone."""
    before: dict[str, Entry] = {}
    said: dict[tuple[str, float], list[str]] = defaultdict(list)
    for entry in injected:
        answers = {
            "edgeticket": entry["verdict"],
            "pytest-benchmark, min:5%": pytest_benchmark(entry, min),
            "pytest-benchmark, mean:5%": pytest_benchmark(entry, mean),
            "mean against the last run's, 105 %": mean_against_threshold(entry, before.get(entry["model"])),
        }
        before[entry["model"]] = entry
        for rule, answer in answers.items():
            if answer is not None:
                said[rule, entry["effect"]].append(answer)
    effects = sorted({effect for _, effect in said})
    rules = list(dict.fromkeys(rule for rule, _ in said))
    return [
        [rule, *(share(said[rule, effect].count(REGRESSION), len(said[rule, effect])) for effect in effects)]
        for rule in rules
    ]


def real_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """By what regressed."""
    rows = []
    for kind in dict.fromkeys(entry["kind"] for entry in entries):
        here = [entry for entry in entries if entry["kind"] == kind]
        effects = [entry["judgement"]["estimate"] for entry in here if entry["judgement"]]
        rows.append([kind, f"{100 * median(effects):+.1f} %" if effects else "", *counted(here), seconds(here)])
    return rows


# --- Simulation ---


def simulated(effect: float, spread: float, outliers: float, looks: Sequence[int], rng: np.random.Generator) -> str:
    """One comparison: three normal arms in each process, `outliers` of all values ten times as wide."""
    wide = np.where(rng.random((3, looks[-1])) < outliers, 10.0, 1.0)
    candidate, baseline, again = spread / math.sqrt(2) * wide * rng.standard_normal((3, looks[-1]))
    shifted = (candidate - baseline + math.log1p(effect)).tolist()
    controls = (again - baseline).tolist()
    for look in look_plan(ERROR, LOOKS):
        if look.processes > looks[-1]:
            break
        seen = judge(shifted, controls, 0.05, look)
        if seen.verdict != INCONCLUSIVE:
            return seen.verdict
    return INCONCLUSIVE


def simulate() -> list[Entry]:
    """Every cell, from a seed of its own."""
    cells = []
    looks = [look for look in LOOKS if look <= 40]
    for outliers in (0.0, 0.1):
        for spread in SPREADS:
            for effect in EFFECTS:
                rng = np.random.default_rng([1, round(1e4 * effect), round(1e4 * spread), round(100 * outliers)])
                found = [simulated(effect, spread, outliers, looks, rng) for _ in range(TRIALS)]
                cell = {"effect": effect, "spread": spread, "outliers": outliers, "trials": TRIALS}
                cells.append(cell | {verdict: found.count(verdict) for verdict in VERDICTS})
    return cells


def simulation_section() -> str:
    """The whole of it."""
    if not SIMULATED.exists():
        return ""
    cells = json.loads(SIMULATED.read_text(encoding="utf-8"))
    rows = []
    for spread, outliers in dict.fromkeys((cell["spread"], cell["outliers"]) for cell in cells):
        here = {cell["effect"]: cell for cell in cells if (cell["spread"], cell["outliers"]) == (spread, outliers)}
        shares = [
            " · ".join(f"{100 * here[effect][verdict] / here[effect]['trials']:.4g}" for verdict in VERDICTS)
            for effect in EFFECTS
        ]
        rows.append([f"{100 * spread:g} %", "10 %" if outliers else "none", *shares])
    head = ("spread between processes", "outliers", *(f"{100 * effect:g} % slower" for effect in EFFECTS))
    return f"""## Simulation, not measurement

{cells[0]["trials"]:,} trials a cell: three arms in each process with normal noise, so that differences have the spread named,
judged by the same code at the looks up to 40 processes; an outlier is an arm whose noise in a process is ten times as wide.
Cells: per cent of trials that ended as pass · regression · inconclusive.

{table(head, rows)}
"""


# --- The document ---


def document(entries: Sequence[Entry]) -> str:
    """docs/evidence.md."""
    injected = [entry for entry in entries if entry["kind"] == "injected"]
    quiet = [entry for entry in injected if entry["hogs"] == 0]
    same = [entry for entry in injected if entry["effect"] == 0]
    five = [entry for entry in injected if entry["effect"] == 0.05]
    false = sum(entry["verdict"] == REGRESSION for entry in same)
    caught, passed = (sum(entry["verdict"] == verdict for entry in five) for verdict in (REGRESSION, PASS))
    hosts = sorted(
        {f"{e['host']['cpu']}, {e['host']['cores']} cores, onnxruntime {e['host']['onnxruntime']}" for e in entries}
    )
    effects = sorted({entry["effect"] for entry in quiet})
    names = [("none" if effect == 0 else f"{100 * effect:g} %") for effect in effects]
    return f"""<!-- Written by docs/make_evidence.py from docs/results/evidence.jsonl; `make bench-evidence` measures more. -->
# How often `edgeticket check --baseline` is right

{len(entries)} comparisons, all real runs with the defaults (tolerance 5 %, one thread, 60 s), on {"; ".join(hosts)}.
The raw samples of each, the block medians of every process, are in [evidence.jsonl](results/evidence.jsonl).

* The same model twice: {share(false, len(same))} called a regression.
* Slowed down by 5 %: {share(caught, len(five))} caught, {share(passed, len(five))} passed.

## Verdicts by slow-down

The candidate spins, inside the timed slot, for a share of its own time; *realised* is the median of what was spun. 5 % is what
must be caught and not what is allowed: between 2.5 and 5 % either verdict may come.

{table(("slow-down", "realised", "beside it", *VERDICTS, "what a verdict cost"), verdict_rows(injected))}

## The same samples judged by other rules

How often each rule says *regression*, of comparisons that ran alone. pytest-benchmark's `--benchmark-compare-fail` compares a
field of one run with that of one stored run: here the candidate in a comparison's second process with the baseline in its first.
The mean rule compares the mean over everything with the stored mean of the same model's last run, and alerts above 105 %
(github-action-benchmark's rule, at a tighter threshold than its 200 %). The rules were applied to our samples; the tools were
not run. Neither has a third answer.

{table(("rule", *names), rivals(quiet))}

## Regressions that happen to people

{table(("what", "median estimate", *VERDICTS, "what a verdict cost"), real_rows([e for e in entries if e["kind"] != "injected"]))}

{simulation_section()}"""


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulate", action="store_true", help="make the simulation anew")
    if parser.parse_args().simulate:
        SIMULATED.write_text("[\n" + ",\n".join(json.dumps(cell) for cell in simulate()) + "\n]\n", encoding="utf-8")
    lines = DATA.read_text(encoding="utf-8").splitlines() if DATA.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    DOCUMENT.write_text(document(entries).rstrip() + "\n", encoding="utf-8")
    print(f"{DOCUMENT.name}: {len(entries)} comparisons")


if __name__ == "__main__":
    main()
