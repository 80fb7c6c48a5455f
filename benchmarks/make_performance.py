"""Fills "The sparse engine" in docs/performance.md from docs/results/engine*.json and never_slower*.json.

python benchmarks/make_performance.py [DOCUMENT]     what stands between the two marks is replaced; the log below them is written by hand

`make bench-engine` and `make bench-never-slower` write the numbers; here nothing is measured and no number typed, but the goals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import engine_tables as tables

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results"
BEGIN, END = "<!-- made by make_performance.py -->", "<!-- end -->"
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
            return "met, and what was to be reached for" if further else "met"
        return f"**missed** by {abs(1 - factor):.1%}".replace("%", " %")

    def row(self) -> str:
        wanted = f"{'≤' if self.most else '≥'} {self.wanted:g}" + (f" ({self.reach:g})" if self.reach else "")
        found = "–" if self.found is None else f"{self.found:.2f}"
        return f"| {self.what} | {self.network} | {wanted} | {found} | {self.verdict} |"


def main() -> None:
    document = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "performance.md"
    text = document.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{document}: the marks {BEGIN} and {END} must each stand there once")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    document.write_text(f"{head}{BEGIN}\n{section(RESULTS)}\n{END}{tail}", encoding="utf-8")
    print(f"wrote {document}")


def section(results: Path) -> str:
    """Everything between the marks."""
    parts = [engine(load(results / "engine.json")), *never_slower(results)]
    narrow = load(results / "engine-avx2.json")
    if narrow:
        parts += [
            "### The same, AVX-512 hidden from both (`make bench-engine ARGS=--hide-avx512`)",
            block(tables.tables(narrow)),
        ]
    return "\n\n".join(parts)


def load(path: Path) -> Document | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def block(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def engine(document: Document | None) -> str:
    """The goals, and the tables that `make bench-engine` prints."""
    if document is None:
        return "Not measured yet: `make bench-engine` writes docs/results/engine.json."
    noisy = sorted(key for key, part in document["parts"].items() if part["busy_others"] > 0.05)
    remark = (
        f"Other processes were busy during: {', '.join(noisy)}." if noisy else "No other process was busy meanwhile."
    )
    lines = [
        "`make bench-engine`: batch 1, random masks, through IO binding, all sessions alive in one pinned process and timed in turns;",
        f"medians with quartiles, ratios with their 95 % interval. {remark}",
        "",
        "| goal | network | wanted (to reach for) | found | |",
        "|---|---|---:|---:|---|",
        *(goal.row() for goal in goals(document)),
        "",
        block(tables.tables(document)),
    ]
    return "\n".join(lines)


def goals(document: Document) -> Iterator[Goal]:
    """Those of the issue, in its order; ratios are medians."""
    by = {(name, count): part for name, count, part in tables.parts(document)}
    single = {name: by[name, 1]["ours"] for name in tables.GOALS if (name, 1) in by}

    def ratio(name: str, zeros: str, key: str) -> float | None:
        found = single.get(name, {}).get(zeros, {}).get(key)
        return found["median"] if found else None

    for name, wanted in tables.GOALS.items():
        yield Goal("times fp32 at 90 %", name, wanted, ratio(name, "90%", "times_fp32"), REACH[name])
    for name in CONVOLUTIONAL:
        yield Goal("times int8 at 90 %", name, 1.0, ratio(name, "90%", "times_int8"))
    for name in ("ResNet-20", "Conv-6", "ResNet-18", "VGG-16"):
        yield Goal("times fp32 at 80 %", name, 3.0, ratio(name, "80%", "times_fp32"))
    for name in ("ResNet-18", "Conv-6", "VGG-16"):
        yield Goal("times fp32 at 95 %", name, 9.0, ratio(name, "95%", "times_fp32"))
    yield from of_threads(by)
    for name in tables.GOALS:
        yield Goal("AVX2's share of AVX-512's speed at 90 %", name, 0.6, ratio(name, "90%", "speed_of_avx2"))
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
    for what, key, wanted in (("session creation", "ms", 1.3), ("memory after creation", "grown_bytes", 1.0)):
        for name in tables.GOALS:
            part = document["parts"].get(f"{name} | creation")
            samples = part["samples"] if part else {"ours": {key: []}}
            found = median(samples["ours"][key]) / median(samples["cpu"][key]) if samples["ours"][key] else None
            yield Goal(f"{what}, times the CPU provider's, at 90 %", name, wanted, found, most=True)


def never_slower(results: Path) -> Iterator[str]:
    """What `make bench-never-slower` found, and whoever offended."""
    yield "### Never slower than the CPU provider"
    for name, where in (("never_slower.json", ""), ("never_slower-avx2.json", ", AVX-512 hidden from both")):
        document = load(results / name)
        if document is None:
            if not where:
                yield "Not measured yet: `make bench-never-slower` writes docs/results/never_slower.json."
            continue
        cases, who = document["cases"], document["identity"]
        bad = [case for case in cases if case["offends"]]
        claimed = sum(case["nodes"] > 0 for case in cases)
        unseen = len({case["name"] for case in cases if case["name"].startswith("random-")})
        known = len({case["name"] for case in cases}) - unseen
        worst = max(cases, key=lambda case: case["ratio"]["low"])
        yield (
            f"`make bench-never-slower`{where}, {who['cpu']}, ONNX Runtime {who['onnxruntime']}, {who['date']}: {known} of the eight networks "
            f"and {unseen} random ones, {len(cases)} cases of network, sparsity and threads, {claimed} with claimed nodes. "
            f"Slower than allowed (the ratio's lower bound above {document['limit']}, or 0.3 µs where the CPU provider takes under 20): {len(bad)}. "
            f"The largest lower bound: {worst['ratio']['low']:.3f}, {worst['name']} at {worst['sparsity']:.0%}."
        )
        if bad:
            rows = "\n".join(
                f"| {case['name']} | {case['sparsity']:.0%} | {case['threads']} | {case['cpu_us']['median']:.1f} | "
                f"{tables.ratio(case['ratio'])} |"
                for case in bad
            )
            yield f"| network | zeros | threads | CPU provider, µs | ours / CPU provider |\n|---|---:|---:|---:|---:|\n{rows}"


if __name__ == "__main__":
    main()
