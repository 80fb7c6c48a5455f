"""Writes docs/results.md and its picture from docs/results/*.json, so that no number in it was typed by hand.

python benchmarks/make_results.py          the document, from the JSON that is there
python benchmarks/make_results.py --run    first the runs behind it (hours; they go on where they were), then the document
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from edgeticket import text
from edgeticket.lottery.plot import picture
from edgeticket.lottery.summary import RoundRow, from_json, rows
from edgeticket.ticket.record import Control, Record, Round

DOCS = Path(__file__).resolve().parents[1] / "docs"
NUMBERS = DOCS / "results"
ROUNDS = "3,7,9,12,15,18"
FIND_MNIST = (
    "edgeticket find lenet-mnist --trials 3 --threads 1 --control reinit --control random-mask "
    f"--control-trials 1 --control-rounds {ROUNDS} --json docs/results/lenet-mnist.json"
)
FIND_CONV2 = "edgeticket find conv2-cifar10 --threads 1 --json docs/results/conv2-cifar10.json"
EXPORT_ROUND = 15
PROVENANCE = """The trainings were made on 2026-11-20 with an earlier commit of this version; the hashes of the task's code in the
recorded settings were added to the three tickets afterwards. Rounds 0 to 15 of seed 0, trained again on 2026-11-29
with the later code and on another processor (`edgeticket find lenet-mnist --rounds 15 --threads 1`), came out with the
same numbers to the last digit; round 15 of them is what is exported below."""
EXPORTS = {
    weights: f"edgeticket export runs/lenet-mnist/trial-0 --round {EXPORT_ROUND} --weights {weights} "
    f"--out runs/lenet-{weights} --json docs/results/export-lenet-{weights}.json"
    for weights in ("fp32", "fp16", "int8")
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="make the runs first")
    if parser.parse_args().run:
        for command in (FIND_MNIST, *EXPORTS.values(), FIND_CONV2):
            print(f"$ {command}", flush=True)
            words = command.split()
            subprocess.run([sys.executable, "-m", *words], check=True, cwd=DOCS.parent)
    document = "\n\n".join(part for part in (head(), lenet(), sizes(), conv2()) if part)
    (DOCS / "results.md").write_text(document + "\n", encoding="utf-8")
    print(f"wrote {DOCS / 'results.md'}")


def head() -> str:
    return """# Results

`make results` (`benchmarks/make_results.py --run`) makes this page: it runs the commands below each heading and writes
what is here from their JSON in `docs/results/`. Accuracies are in %, on the real test sets; a ticket is chosen on
validation and reported on test. "at stopping" is the iteration of least validation loss, "at the end" the last one."""


def load(name: str) -> Any:
    path = NUMBERS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def spread(table: list[RoundRow], kind: str, number: int) -> RoundRow | None:
    return next((row for row in table if row.kind == kind and row.round == number), None)


def lenet() -> str:
    document = load("lenet-mnist")
    records = from_json(document)
    table = rows(records)
    (DOCS / "lenet-mnist.png").write_bytes(picture(records))
    tickets = [row for row in table if row.kind == "ticket"]
    dense, trials = tickets[0], tickets[0].trials
    seconds = sum(row.seconds.mean for row in tickets) / len(tickets)
    lines = [
        "## LeNet-300-100 on MNIST, the paper's settings",
        f"    {FIND_MNIST}",
        f"There are {trials} seeds and {len(tickets) - 1} rounds down to {text.percent(tickets[-1].density)}; "
        f"a round took {text.duration(seconds)} on\none core on average, of two that were shared with other work.",
        PROVENANCE,
        "![accuracy and early stopping over the share of weights left](lenet-mnist.png)",
        "\n".join(
            [
                "| round | weights left | stops at | test at stopping | test at the end | validation at stopping |",
                "|---:|---:|---:|---:|---:|---:|",
                *(
                    f"| {row.round} | {text.percent(row.density)} | {row.stop_iteration.shown(0)} | "
                    f"{row.test_metric.shown()} | {row.test_metric_end.shown()} | {row.validation_metric.shown()} |"
                    for row in tickets
                ),
            ]
        ),
        "A cell shows the mean (minimum-maximum) over the seeds.",
        controls(table),
        claims(records, table, dense),
        chosen(document),
    ]
    return "\n\n".join(lines)


def controls(table: list[RoundRow]) -> str:
    numbers = sorted({row.round for row in table if row.kind != "ticket"})
    if not numbers:
        return ""
    header = (
        "| weights left | ticket | same mask, fresh weights | random mask | ticket stops | fresh stops | random stops |"
    )
    lines = ["### Controls: test accuracy at stopping, and where they stop", "", header, "|---:|" + "---:|" * 6]
    for number in numbers:
        cells = [spread(table, kind, number) for kind in ("ticket", "reinit", "random-mask")]
        assert cells[0] is not None
        accuracy = [f"{row.test_metric.shown()}" if row else "not run" for row in cells]
        stops = [f"{row.stop_iteration.shown(0)}" if row else "not run" for row in cells]
        lines.append(f"| {text.percent(cells[0].density)} | {' | '.join(accuracy)} | {' | '.join(stops)} |")
    count = max(row.trials for row in table if row.kind != "ticket")
    lines += ["", f"Of each control, {count} were trained for each density, one for each seed."]
    return "\n".join(lines)


T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for a 95 % interval, by the number of seeds


@dataclass(frozen=True)
class Claim:
    """One number a seed, and what is claimed of it: to lie above `limit`, or below it where not `above`."""

    seeds: tuple[float, ...]
    limit: float = 0.0
    above: bool = True

    @property
    def mean(self) -> float:
        return sum(self.seeds) / len(self.seeds)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean over seeds, by Student's t."""
        half = T_95[len(self.seeds)] * stdev(self.seeds) / math.sqrt(len(self.seeds))
        return self.mean - half, self.mean + half

    @property
    def verdict(self) -> str:
        """Seen or not where the seeds' interval lies on one side of the limit, else not decided by them."""
        low, high = self.interval
        if low > self.limit or high < self.limit:
            return "seen" if (low > self.limit) == self.above else "**not seen**"
        agree = sum((seed > self.limit) if self.above else (seed < self.limit) for seed in self.seeds)
        words = {len(self.seeds): ", though each of them says so", 0: ", though none of them says so"}
        return f"not decided by {COUNTS.get(len(self.seeds), len(self.seeds))} seeds{words.get(agree, '')}"

    def shown(self, form: str = "+.2f") -> str:
        """The mean and the number of each seed: '+0.15 (-0.02, +0.52, -0.04)'."""
        return f"{self.mean:{form}} ({', '.join(format(seed, form) for seed in self.seeds)})"

    def size(self, papers: float, form: str) -> str:
        """Whether the seeds' interval holds the paper's own number."""
        low, high = self.interval
        word = "lies in" if low <= papers <= high else "lies outside"
        return f"the paper's {papers:g} {word} the seeds' interval, {low:{form}} to {high:{form}}"


COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}


def claims(records: Sequence[Record], table: list[RoundRow], dense: RoundRow) -> str:
    """The paper's claims, each by the differences within the seeds."""

    def points(number: int, kind: str = "ticket", *, end: bool = False) -> tuple[float, ...]:
        """Test accuracy above the same seed's dense network, for each seed."""
        found = []
        for record in records:
            here, whole = made(record, number, kind), record.rounds[0]
            at = (lambda item: item.end) if end else (lambda item: item.early_stop)
            found.append(at(here).test_metric - at(whole).test_metric)
        return tuple(found)

    def stops(number: int, kind: str = "ticket") -> tuple[float, ...]:
        return tuple(float(made(record, number, kind).early_stop.iteration) for record in records)

    def mean_points(row: RoundRow) -> float:
        return row.test_metric.mean - dense.test_metric.mean

    tickets = [row for row in table if row.kind == "ticket"]
    best = max(tickets[1:], key=lambda row: row.test_metric.mean)
    fastest = min(tickets, key=lambda row: row.stop_iteration.mean)
    fifth = next(row for row in tickets if row.round == 7)
    faster_rows = sum(row.stop_iteration.mean < fifth.stop_iteration.mean for row in tickets)
    better, quicker = Claim(points(3)), Claim(_less(stops(0), stops(3)))
    earlier = Claim(tuple(100 * (1 - here / whole) for here, whole in zip(stops(7), stops(0), strict=True)))
    later = Claim(_less(stops(7), stops(fastest.round)), above=False)
    seventh, small = Claim(points(9), 0.3), Claim(points(15))
    lines = [
        "### The paper's claims (Frankle & Carbin 2019, section 2), at early stopping",
        "",
        "A claim is seen, or not seen, where the 95 % interval of the differences within the seeds (Student's t) lies on one",
        "side. Else the seeds do not decide it. Numbers are means with each seed's in brackets.",
        "",
        "| the paper | here | |",
        "|---|---|---|",
        f"| 51.3 % of the weights learn better than dense | {better.shown()} points | {better.verdict} |",
        f"| and faster | {quicker.shown(',.0f')} iterations earlier | {quicker.verdict} |",
        f"| 21.1 % stop 38 % earlier than dense | {earlier.shown('.0f')} % earlier | {earlier.verdict}; "
        f"{earlier.size(38, '.0f')} |",
        f"| and are the fastest of all | {faster_rows} rounds stop earlier in the mean, first that of "
        f"{text.percent(fastest.density)}: {later.shown(',.0f')} iterations earlier | "
        f"{later.verdict if faster_rows else 'seen'} |",
        f"| more than 0.3 points above dense at 13.5 % | {seventh.shown()} points | {seventh.verdict} |",
        f"| back to dense at 3.6 % | {small.shown()} points at 3.58 %; {crossing(tickets, mean_points)} | "
        f"{'**not seen** there' if small.interval[0] > 0 else Claim(small.seeds, 0.0, above=False).verdict} |",
    ]
    if spread(table, "reinit", 7) is not None:
        below = Claim(points(7, "reinit"), above=False)
        end = Claim(points(7, "reinit", end=True), above=False)
        fresh = [row for row in table if row.kind == "reinit"]
        ahead = Claim(_less(points(7), points(7, "reinit")))
        factor = Claim(tuple(a / b for a, b in zip(stops(7, "reinit"), stops(7), strict=True)), 1.0)
        lines += [
            f"| reinitialised, below dense already at 21.1 % | {below.shown()} points at stopping "
            f"({crossing(fresh, mean_points)}), {end.shown()} at the end | at stopping {below.verdict}; "
            f"at the end {end.verdict} |",
            f"| there the ticket is 0.5 points better | {ahead.shown()} points | {ahead.verdict}; "
            f"{ahead.size(0.5, '.2f')} |",
            f"| and 2.51 times faster | {factor.shown('.2f')} times | {factor.verdict}; {factor.size(2.51, '.2f')} |",
        ]
    lines += [
        "",
        f"The best here is {text.percent(best.density)} with {best.test_metric.shown()} ({mean_points(best):+.2f} points).",
    ]
    return "\n".join(lines)


def made(record: Record, number: int, kind: str) -> Round | Control:
    """A round of a record, or a control of it."""
    if kind == "ticket":
        return record.rounds[number]
    return next(control for control in record.controls if (control.kind.value, control.round) == (kind, number))


def _less(ones: Sequence[float], others: Sequence[float]) -> tuple[float, ...]:
    return tuple(one - other for one, other in zip(ones, others, strict=True))


def crossing(ordered: list[RoundRow], points: Callable[[RoundRow], float]) -> str:
    """From which density on a line, densest first, stays below dense."""
    above = [place for place, row in enumerate(ordered) if points(row) >= 0]
    last = above[-1] if above else -1
    if last + 1 == len(ordered):
        return f"not below dense down to {text.percent(ordered[-1].density)}"
    return f"below dense from {text.percent(ordered[last + 1].density)} on"


def chosen(document: Any) -> str:
    said = []
    records = from_json(document)
    for number, record in enumerate(records):
        if record.ticket is None:
            said.append(f"seed {number}: none")
            continue
        result = record.rounds[record.ticket]
        said.append(f"seed {number}: round {result.number}, {text.percent(result.density)}")
    tolerance = records[0].choice.tolerance
    return (
        f"`find` chooses the sparsest round within {tolerance:g} points of dense on validation as the ticket.\n"
        f"Here these are: {'; '.join(said)}."
    )


def sizes() -> str:
    shown = {weights: load(f"export-lenet-{weights}") for weights in EXPORTS}
    if not all(shown.values()):
        return ""
    lines = [
        f"## Exported: seed 0, round {EXPORT_ROUND}",
        "\n".join(f"    {command}" for command in EXPORTS.values()),
        "\n".join(export_table(shown)),
        "The limits were 55 kB with fp32 and 25 kB with int8 at rest, and 20 kB to reach for.",
    ]
    return "\n\n".join(lines)


def export_table(shown: dict[str, Any]) -> list[str]:
    first = shown["fp32"]
    dense, sizes = first["manifest"]["dense_size_bytes"], first["sizes"]
    zipped = sizes["original.gz"]
    plain = "masked" if "masked" in sizes else "dense"  # before 0.2.0 only the network after removal was written
    pruned, pruned_zipped = sizes[plain], sizes[f"{plain}.gz"]
    pruned_words = "pruned, stored densely" if plain == "masked" else "pruned and without dead units, stored densely"
    lines = [
        "| at rest | model.onnx | times smaller | gzip | gzip against gzip | test accuracy | "
        "top-1 agreement with the masked network | max abs. change |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        f"| dense, fp32 | {text.size(dense)} | 1 | {text.size(zipped)} | 1 | {tested(first, 'dense')} | | |",
        f"| {pruned_words}, fp32 | {text.size(pruned)} | {dense / pruned:.1f} | {text.size(pruned_zipped)} | "
        f"{zipped / pruned_zipped:.1f} | {tested(first, 'exported file')} | 100.00 % | |",
    ]
    for weights, report in shown.items():
        sizes_, proof, test = report["sizes"], report["manifest"]["proof"], tested(report, "exported file")
        lines.append(
            f"| {report['manifest']['storage']}, {weights} | {text.size(sizes_['exported'])} | "
            f"{dense / sizes_['exported']:.1f} | {text.size(sizes_['exported.gz'])} | "
            f"{zipped / sizes_['exported.gz']:.1f} | {test} | "
            f"{100 * proof['top1_agreement']:.2f} % | {proof['max_abs_delta']:.2g} |"
        )
    sparse = first["sizes"]["sparse-initializer"]
    lines += [
        "",
        f"For comparison: ONNX's own sparse initializers take {text.size(sparse)}. An archive alone makes "
        f"{text.size(pruned_zipped)} of the pruned network:\nbeside it the exported file in an archive is "
        f"{pruned_zipped / sizes['exported.gz']:.2f} times smaller.\nWith fp32 at rest the proof's tolerance, derived from float64, "
        f"was {first['manifest']['proof']['tolerance']:.2g}.",
    ]
    return lines


def tested(report: Any, network: str) -> str:
    """Test accuracy of one network, at the iteration compared."""
    score = next(s for s in report["scores"] if s["network"] == network and s["compared"])
    return f"{score['test']:.2f}"


def conv2() -> str:
    document = load("conv2-cifar10")
    if document is None:
        return f"""## CIFAR-10: not run

    {FIND_CONV2}

This command would make this section. On one core of the machine of these results its `--dry-run` predicted 1 h 15 min
a round, a day for the 18 rounds down to 1.93 %: no round of Conv-2 was trained, and none of Conv-4, Conv-6, ResNet-20
and VGG-19. What the tests show of them: their settings, layers, counts and P_m are the paper's, and they trace to
ONNX."""
    table = [row for row in rows(from_json(document)) if row.kind == "ticket"]
    (DOCS / "conv2-cifar10.png").write_bytes(picture(from_json(document)))
    dense = table[0]
    lines = [
        "## Conv-2 on CIFAR-10, the paper's settings, one seed",
        f"    {FIND_CONV2}",
        "![accuracy and early stopping over the share of weights left](conv2-cifar10.png)",
        "\n".join(
            [
                "| round | weights left | stops at | test at stopping | beside dense | test at the end |",
                "|---:|---:|---:|---:|---:|---:|",
                *(
                    f"| {row.round} | {text.percent(row.density)} | {row.stop_iteration.shown(0)} | {row.test_metric.shown()} "
                    f"| {row.test_metric.mean - dense.test_metric.mean:+.2f} | {row.test_metric_end.shown()} |"
                    for row in table
                ),
            ]
        ),
    ]
    return "\n\n".join(lines)


if __name__ == "__main__":
    main()
