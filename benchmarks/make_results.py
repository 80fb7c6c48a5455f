"""Writes docs/results.md and its picture from docs/results/*.json, so that no number in it was typed by hand.

python benchmarks/make_results.py          the document, from the JSON that is there
python benchmarks/make_results.py --run    first the runs behind it (hours; they go on where they were), then the document
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeticket import text
from edgeticket.lottery.plot import picture
from edgeticket.lottery.summary import RoundRow, from_json, rows

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
recorded settings were added to the three tickets afterwards. Rounds 0 and 1 of seed 0, trained again with the later
code (`edgeticket find lenet-mnist --rounds 1 --threads 1 --out runs/again`), came out bit-identical."""
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
    table = rows(from_json(document))
    (DOCS / "lenet-mnist.png").write_bytes(picture(from_json(document)))
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
        claims(table, dense),
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


def claims(table: list[RoundRow], dense: RoundRow) -> str:
    def at(number: int, kind: str = "ticket") -> RoundRow:
        row = spread(table, kind, number)
        assert row is not None
        return row

    def points(row: RoundRow) -> float:
        return row.test_metric.mean - dense.test_metric.mean

    def seen(true: bool) -> str:
        return "seen" if true else "**not seen**"

    best = max((row for row in table if row.kind == "ticket" and row.round > 0), key=lambda row: row.test_metric.mean)
    fastest = min((row for row in table if row.kind == "ticket"), key=lambda row: row.stop_iteration.mean)
    tickets = [row for row in table if row.kind == "ticket"]
    half, fifth, seventh, small = at(3), at(7), at(9), at(15)
    reinit = spread(table, "reinit", 7)
    earlier = 1 - fifth.stop_iteration.mean / dense.stop_iteration.mean
    lines = [
        "### The paper's claims (Frankle & Carbin 2019, section 2), at early stopping, means over the seeds",
        "",
        "| the paper | here | |",
        "|---|---|---|",
        f"| 51.3 % of the weights learn better than dense | {points(half):+.2f} points | {seen(points(half) > 0)} |",
        f"| and faster | stops at {half.stop_iteration.mean:,.0f}, dense at {dense.stop_iteration.mean:,.0f} | "
        f"{seen(half.stop_iteration.mean < dense.stop_iteration.mean)} |",
        f"| fastest at 21.1 %, stopping 38 % earlier than dense | {100 * earlier:.0f} % earlier at 21.07 %; "
        f"fastest at {text.percent(fastest.density)} ({fastest.stop_iteration.mean:,.0f}) | {seen(earlier > 0)} |",
        f"| more than 0.3 points above dense at 13.5 % | {points(seventh):+.2f} points | {seen(points(seventh) > 0.3)} |",
        f"| back to dense at 3.6 % | {points(small):+.2f} points at {text.percent(small.density)}; "
        f"{crossing(tickets, points)} | {'seen' if abs(points(small)) <= 0.2 else '**not seen** there'} |",
    ]
    if reinit is not None:
        end = reinit.test_metric_end.mean - dense.test_metric_end.mean
        fresh = [row for row in table if row.kind == "reinit"]
        faster = reinit.stop_iteration.mean / fifth.stop_iteration.mean
        better = points(fifth) - points(reinit)
        lines += [
            f"| reinitialised, below dense already at 21.1 % | {points(reinit):+.2f} points at stopping "
            f"({crossing(fresh, points)}), {end:+.2f} at the end | {seen(points(reinit) < 0)} at stopping, "
            f"{seen(end < 0)} at the end |",
            f"| there the ticket is 0.5 points better | {better:+.2f} points | {seen(better >= 0.45)} in this size |",
            f"| and 2.51 times faster | {faster:.2f} times | {seen(faster > 2)} in this size |",
        ]
    lines += [
        "",
        f"The best here is {text.percent(best.density)} with {best.test_metric.shown()} ({points(best):+.2f} points).",
    ]
    return "\n".join(lines)


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
    dense = first["manifest"]["dense_size_bytes"]
    lines = [
        "| at rest | model.onnx | gzip | times smaller | test accuracy | top-1 agreement with the masked network | max abs. change |",
        "|---|---:|---:|---:|---:|---:|---:|",
        f"| dense, fp32 | {text.size(dense)} | {text.size(first['sizes']['original.gz'])} | 1 | {tested(first, 'dense')} | | |",
    ]
    for weights, report in shown.items():
        sizes_, proof, test = report["sizes"], report["manifest"]["proof"], tested(report, "exported file")
        lines.append(
            f"| {report['manifest']['storage']}, {weights} | {text.size(sizes_['exported'])} | "
            f"{text.size(sizes_['exported.gz'])} | {dense / sizes_['exported']:.1f} | {test} | "
            f"{100 * proof['top1_agreement']:.2f} % | {proof['max_abs_delta']:.2g} |"
        )
    sparse = first["sizes"]["sparse-initializer"]
    lines += [
        "",
        f"For comparison: ONNX's own sparse initializers take {text.size(sparse)}; the dense file with its zeros takes, "
        f"through gzip, {text.size(first['sizes']['dense.gz'])}.\nWith fp32 at rest the proof's tolerance, derived from float64, "
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
