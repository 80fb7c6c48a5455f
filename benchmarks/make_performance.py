"""Writes the measured part of docs/performance.md and the pages of tables in docs/performance/, from docs/results/*.json.

python benchmarks/make_performance.py [FOLDER]     the folder of the documents, docs/ by default

In performance.md what stands between the two marks is replaced, and the text around them is written by hand. goals.md,
measurements.md and never-slower.md are written whole. `make bench-engine` and `make bench-never-slower` write the
numbers; here nothing is measured, and no number is typed but the goals.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import engine_tables as tables

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results"
BEGIN, END = "<!-- made by make_performance.py -->", "<!-- end -->"
MADE = "<!-- Written by benchmarks/make_performance.py from docs/results/. -->"
UNMEASURED = "Nothing is measured yet: `make bench-engine` writes docs/results/engine.json."
REACH = {
    "LeNet-300-100": 3.0,
    "auto-encoder": 3.0,
    "DS-CNN": 2.0,
    "ResNet-20": 7.0,
    "Conv-6": 8.0,
    "ResNet-18": 8.0,
    "VGG-16": 9.0,
    "MobileNetV1": 5.0,
}
CONVOLUTIONAL = ("DS-CNN", "ResNet-20", "Conv-6", "ResNet-18", "VGG-16", "MobileNetV1")
LARGEST = 4  # of which two threads must gain
SHORT_US, SLACK_US = 20.0, 0.3  # of bench_never_slower.py, which needs onnxruntime to be imported
Document = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """A number to reach. `most` turns it around: to stay below. `reach` is what was hoped for beyond it."""

    what: str
    network: str
    wanted: float
    found: float | None
    reach: float | None = None
    most: bool = False

    @property
    def verdict(self) -> str:
        """Met, missed by how much, or not measured."""
        if self.found is None:
            return "not measured"
        factor = self.found / self.wanted
        if (factor <= 1) if self.most else (factor >= 1):
            further = self.reach is not None and self.found >= self.reach
            return "met, and what was hoped for" if further else "met"
        return f"**missed** by {abs(1 - factor):.1%}".replace("%", " %")

    def row(self) -> str:
        wanted = f"{'≤' if self.most else '≥'} {self.wanted:g}" + (f" ({self.reach:g})" if self.reach else "")
        found = "–" if self.found is None else f"{self.found:.2f}"
        return f"| {self.what} | {self.network} | {wanted} | {found} | {self.verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DOCS, help="the folder of the documents")
    docs: Path = parser.parse_args().folder
    document = docs / "performance.md"
    document.write_text(filled(document.read_text(encoding="utf-8"), summary(RESULTS)), encoding="utf-8")
    (docs / "performance").mkdir(exist_ok=True)
    for name, text in pages(RESULTS).items():
        (docs / "performance" / name).write_text(text, encoding="utf-8")
    print(f"wrote {document} and {', '.join(pages(RESULTS))} in {docs / 'performance'}")


def filled(text: str, part: str) -> str:
    """The document with `part` between its marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"performance.md: the marks {BEGIN} and {END} must each stand there once")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{part}\n{END}{rest.split(END)[1]}"


def pages(results: Path) -> dict[str, str]:
    """Each page of tables, by its file's name."""
    made = {
        "goals.md": ("The goals of the sparse engine", [of_goals(load(results / "engine.json"))]),
        "measurements.md": ("The sparse engine, measured", measurements(results)),
        "never-slower.md": ("Never slower than the CPU provider", never_slower(results)),
    }
    return {name: "\n\n".join([f"{MADE}\n# {title}", *parts]) + "\n" for name, (title, parts) in made.items()}


def summary(results: Path) -> str:
    """One row a network, at 90 % zeros on one thread, and how many goals are met."""
    document = load(results / "engine.json")
    if document is None:
        return UNMEASURED
    rows = []
    for name, count, part in tables.parts(document):
        ours = part["ours"].get("90%")
        if count == 1 and ours and name in tables.GOALS:
            times = (tables.ratio(ours["times_fp32"]), tables.ratio(ours.get("times_int8")))
            shown = (tables.us(part["rivals_us"]["fp32"]), tables.us(ours["us"]), times[0])
            rows.append(f"| {' | '.join([name, *shown, f'{tables.GOALS[name]:g}', times[1]])} |")
    found = [goal for goal in goals(document) if goal.found is not None]
    met = sum(goal.verdict.startswith("met") for goal in found)
    lost = [(words, names) for words, names in (
        ("at 80 % zeros", lost_to_int8(document, "80%")), ("at 90 % on two threads", lost_to_int8(document, "90%", 2)),
    ) if names]  # fmt: skip
    against = "".join(f" Slower than int8 {words}: {', '.join(names)}." for words, names in lost)
    return "\n".join(
        [
            "| network | CPU provider, fp32 | sparse engine | times fp32 | goal | times int8 |",
            "|---|---:|---:|---:|---:|---:|",
            *rows,
            "",
            textwrap.fill(f"{met} of {len(found)} [goals](performance/goals.md) are met.{against}", 118),
        ]
    )


def measurements(results: Path) -> Iterator[str]:
    """What `make bench-engine` prints, table by table."""
    document, narrow = load(results / "engine.json"), load(results / "engine-avx2.json")
    yield UNMEASURED if document is None else tabulated(document, "engine")
    if narrow:
        yield "# The same, with AVX-512 hidden from both (`make bench-engine ARGS=--hide-avx512`)"
        yield tabulated(narrow, "engine-avx2")
    for name, title, table in (
        ("baseline", "Dense networks: what reports compare with, and what PyTorch writes", tables.baselines),
        ("rival", "What the fp32 rival's figure depends on", tables.rivals),
    ):
        found = load(results / f"{name}.json")
        if found:
            busy = f" Other processes kept {found['busy_others']:.2f} of a processor busy meanwhile."
            said = f"`make bench-{name}` printed this.{busy}{_rounds(name)}"
            who = block(tables.machine({"parts": {"": {"identity": found["identity"]}}}))
            yield f"## {title}\n\n{said}\n\n{who}\n\n{block(table(found))}"


def _rounds(name: str) -> str:
    kept = RESULTS / f"{name}-rounds.jsonl"
    return f" Every round is kept in\n[{kept.name}](../results/{kept.name})." if kept.exists() else ""


def tabulated(document: Document, name: str) -> str:
    """The machine, how it was measured, and a section for each table."""
    noisy = sorted(key for key, part in document["parts"].items() if part["busy_others"] > 0.05)
    remark = (
        f"Other processes were busy during: {', '.join(noisy)}." if noisy else "No other process was busy meanwhile."
    )
    sections = (
        ("Latency, through IO binding and through `run()`", tables.latency(document)),
        ("Ways of int8", tables.quantised(document)),
        ("Instruction sets", tables.instruction_sets(document)),
        ("Two threads", tables.threads(document)),
        ("Creating a session and running it once", tables.creation(document)),
    )
    parts = [
        "`make bench-engine` measures at batch 1, with random masks, through IO binding. All sessions are alive in one\n"
        "pinned process and are timed in turns. The tables show medians with quartiles, and ratios with their 95 %\n"
        f"interval. {remark}{_rounds(name)}",
        block(tables.machine(document)),
        *(f"## {title}\n\n{block(table)}" for title, table in sections if table),
    ]
    return "\n\n".join(parts)


def load(path: Path) -> Document | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def block(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def of_goals(document: Document | None) -> str:
    """All goals as a table."""
    if document is None:
        return UNMEASURED
    lines = [
        "These are medians of [the measurements](measurements.md), held against what was wanted, and in brackets against",
        "what was hoped for beyond it.",
        "",
        "| goal | network | wanted (hoped for) | found | |",
        "|---|---|---:|---:|---|",
        *(goal.row() for goal in goals(document)),
        "",
        *of_two_threads(document),
        *of_int8(document),
    ]
    return "\n".join(lines).rstrip()


def of_two_threads(document: Document) -> Iterator[str]:
    """At two threads there was no goal beside the rivals; the ratios stand here all the same."""
    rows = []
    for name, count, part in tables.parts(document):
        ours = part["ours"].get("90%")
        if count == 2 and ours and name in tables.GOALS:
            rows.append(f"| {name} | {tables.ratio(ours['times_fp32'])} | {tables.ratio(ours.get('times_int8'))} |")
    if rows:
        yield "## At two threads"
        yield ""
        yield "The goals above are for one thread where they say so. These are the same ratios at 90 % zeros with two threads on"
        yield "both sides."
        yield ""
        yield "| network | times fp32 | times int8 |"
        yield "|---|---:|---:|"
        yield from rows
        yield ""


def of_int8(document: Document) -> Iterator[str]:
    """Every network beside int8 at every share of zeros: below 1 the dense int8 network is faster."""
    rows = tables.beside_int8(document)
    if not rows:
        return
    lost = lost_to_int8(document, "80%")
    known = any(part.get("int8_is") for _, _, part in tables.parts(document))
    way = (
        "int8 is the fastest of three ways: scales per tensor, per channel, and dynamic"
        if known
        else "int8 is static with scales per channel; other ways were not timed, and some are faster"
    )
    yield "## Beside int8, at every share of zeros"
    yield ""
    text = f"A ratio below 1 says that the dense network in int8 is faster; {way}. On one thread at 80 % zeros "
    text += (
        f"{len(lost)} of {len({row[0] for row in rows})} networks lose to int8: {', '.join(lost)}."
        if lost
        else "none loses to int8."
    )
    yield textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)
    yield ""
    yield f"| network | threads | {' | '.join(tables.ZEROS)} |"
    yield "|---|---:|" + "---:|" * len(tables.ZEROS)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def lost_to_int8(document: Document, zeros: str, threads: int = 1) -> list[str]:
    """The networks that the dense int8 one outruns at this share of zeros."""
    return [
        name
        for name, count, part in tables.parts(document)
        if name in tables.GOALS and count == threads and (found := part["ours"].get(zeros, {}).get("times_int8"))
        if found["median"] < 1
    ]


def goals(document: Document) -> Iterator[Goal]:
    """Speed, two threads, AVX2, creation; ratios are medians."""
    by = {(name, count): part for name, count, part in tables.parts(document)}
    single = {name: by[name, 1]["ours"] for name in tables.GOALS if (name, 1) in by}

    def ratio(name: str, zeros: str, key: str) -> float | None:
        found = single.get(name, {}).get(zeros, {}).get(key)
        return found["median"] if found else None

    for name, wanted in tables.GOALS.items():
        yield Goal("times fp32 at 90 %, one thread", name, wanted, ratio(name, "90%", "times_fp32"), REACH[name])
    for name in CONVOLUTIONAL:
        yield Goal("times int8 at 90 %, one thread", name, 1.0, ratio(name, "90%", "times_int8"))
    for name in ("ResNet-20", "Conv-6", "ResNet-18", "VGG-16"):
        yield Goal("times fp32 at 80 %, one thread", name, 3.0, ratio(name, "80%", "times_fp32"))
    for name in ("ResNet-18", "Conv-6", "VGG-16"):
        yield Goal("times fp32 at 95 %, one thread", name, 9.0, ratio(name, "95%", "times_fp32"))
    yield from of_threads(by)
    for name in tables.GOALS:
        yield Goal(
            "AVX2's share of AVX-512's speed at 90 %, one thread", name, 0.6, ratio(name, "90%", "speed_of_avx2")
        )
    yield from of_creation(document)


def of_threads(by: dict[tuple[str, int], Document]) -> Iterator[Goal]:
    """Two threads beside one, as a share of what two threads give on the FMA peak in the same run."""
    sizes = {name: part["macs"] for (name, count), part in by.items() if count == 1 and name in tables.GOALS}
    for name in sorted(sizes, key=sizes.__getitem__)[-LARGEST:]:
        two, one = by.get((name, 2), {}).get("ours", {}).get("90%"), by[name, 1]["ours"].get("90%")
        share = None
        if one and two:
            rates = max(by[name, 2]["peak_gmac_per_s"].values(), key=lambda rates: rates["1"])
            share = one["us"]["median"] / two["us"]["median"] / (rates["2"] / rates["1"])
        yield Goal("two threads, share of the FMA peak's gain, at 90 %", name, 0.75, share)


def of_creation(document: Document) -> Iterator[Goal]:
    """Time of creation and memory after it, beside the CPU provider."""
    creations = [part for part in document["parts"].values() if part["request"]["kind"] == "creation"]
    new = any(part["samples"]["ours"].get("after_first_bytes") for part in creations)
    memory = ("memory after the first inference", "after_first_bytes", 1.0)
    if not new:  # before 0.2.0
        memory = ("memory after creation, before the first inference", "grown_bytes", 1.0)
    for what, key, wanted in (("first session of a process", "ms", 1.3), memory):
        for name in tables.GOALS:
            part = document["parts"].get(f"{name} | creation")
            samples = part["samples"] if part and part["samples"]["ours"].get(key) else {"ours": {key: []}}
            found = median(samples["ours"][key]) / median(samples["cpu"][key]) if samples["ours"][key] else None
            yield Goal(f"{what}, times the CPU provider's, at 90 %", name, wanted, found, most=True)


def never_slower(results: Path) -> Iterator[str]:
    """What `make bench-never-slower` found, and whoever offended."""
    for name, where in (("never_slower.json", ""), ("never_slower-avx2.json", " with AVX-512 hidden from both")):
        document = load(results / name)
        if document is None:
            if not where:
                yield "Nothing is measured yet: `make bench-never-slower` writes docs/results/never_slower.json."
            continue
        cases, who = document["cases"], document["identity"]
        bad = [case for case in cases if case["offends"]]
        claimed = sum(case["nodes"] > 0 for case in cases)
        unseen = len({case["name"] for case in cases if case["name"].startswith("random-")})
        known = len({case["name"] for case in cases}) - unseen
        worst = max(cases, key=lambda case: case["ratio"]["low"])
        open_cases = [case for case in cases if not case["offends"] and _maybe_slower(case, document["limit"])]
        shares = ", ".join(f"{100 * share:g}" for share in sorted({case["sparsity"] for case in cases}))
        said = (
            f"`make bench-never-slower` ran{where} on {who['cpu']} with ONNX Runtime {who['onnxruntime']} on {who['date']}. "
            f"It took {known} chosen networks and {unseen} random ones, in {len(cases)} cases of network, sparsity ({shares} % zeros) "
            f"and threads; in {claimed} of them nodes were claimed. A case is slower than allowed where the ratio's lower bound is "
            f"above {document['limit']}, or, where the CPU provider takes under 20 µs, where that of the difference is above "
            f"0.3 µs. A case that seems to be is measured again, three times as long, and that counts. {len(bad)} {'case is' if len(bad) == 1 else 'cases are'} slower than allowed. The largest lower bound is {worst['ratio']['low']:.3f}, that of "
            f"{worst['name']} at {worst['sparsity']:.0%}. In {len(open_cases)} more the median is beyond what is allowed, and the "
            "measurement was not certain of it."
        )
        yield textwrap.fill(said, 118, break_long_words=False, break_on_hyphens=False)
        if bad or open_cases:
            rows = "\n".join(
                f"| {case['name']} | {case['sparsity']:.0%} | {case['threads']} | {case['nodes']} | {case['cpu_us']['median']:.1f} | "
                f"{tables.ratio(case['ratio'])} | {'slower' if case['offends'] else 'not certain'} |"
                for case in (*bad, *open_cases)
            )
            head = "| network | zeros | threads | nodes claimed | CPU provider, µs | ours / CPU provider | |\n"
            head += "|---|---:|---:|---:|---:|---:|---|"
            yield f"{head}\n{rows}"


def _maybe_slower(case: Document, limit: float) -> bool:
    """Whether the middle of what was measured is slower than allowed, by the rule for its length."""
    if case["cpu_us"]["median"] < SHORT_US and "extra_us" in case:
        return bool(case["extra_us"]["median"] > SLACK_US)
    return bool(case["ratio"]["median"] > limit)


if __name__ == "__main__":
    main()
