"""docs/results/engine.json as the tables that `make bench-engine` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

# The engine's goals: at 90 % zeros, on one thread with AVX-512, at least this many times ONNX Runtime fp32.
GOALS = {
    "LeNet-300-100": 2.0,
    "auto-encoder": 2.0,
    "DS-CNN": 1.5,
    "ResNet-20": 5.0,
    "Conv-6": 6.0,
    "ResNet-18": 6.0,
    "VGG-16": 6.0,
    "MobileNetV1": 3.5,
}
WAYS = ("per tensor", "per channel", "dynamic")  # of networks.INT8, which needs more than this file to be imported
ZEROS = ("50%", "70%", "80%", "90%", "95%")
Row = Sequence[str]
Document = dict[str, Any]


def tables(document: Document) -> str:
    """Return every table that the document has data for, as aligned text."""
    made = (latency(document), instruction_sets(document), threads(document), creation(document))
    return "\n\n".join([machine(document), *(part for part in made if part)])


def aligned(head: Row, rows: Sequence[Row]) -> str:
    """Columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )


def machine(document: Document) -> str:
    seen = {
        f"{who['cpu']}{' without AVX-512' * who['hidden']}, {who['cores']} cores, "
        f"ONNX Runtime {who['onnxruntime']}, {_code(who)}, {who['date']}"
        for who in (part["identity"] for part in document["parts"].values())
    }
    return "\n".join(sorted(seen))


def _code(who: Document) -> str:
    """Which code was measured: the library by its hash, and since 0.2.0 the version and the commit."""
    named = [f"edgeticket {who['edgeticket']}"] if "edgeticket" in who else []
    named += [f"commit {who['commit']}"] if who.get("commit") else []
    return ", ".join([*named, f"engine {who['engine']}"])


def parts(document: Document) -> Iterator[tuple[str, int, Document]]:
    """Yield (network, threads, part) of every latency measured."""
    for key, part in document["parts"].items():
        if part["request"]["kind"] == "latency":
            yield key.rpartition(" | ")[0], part["request"]["threads"], part


def us(value: Document) -> str:
    """A median and its quartiles, in µs below a millisecond and a half."""
    scale, unit, digits = (1, "µs", 1) if value["median"] < 1500 else (1e-3, "ms", 2)
    low, middle, high = (f"{value[key] * scale:.{digits}f}" for key in ("low", "median", "high"))
    return f"{middle} {unit} ({low}-{high})"


def ratio(value: Document | None) -> str:
    return f"{value['median']:.2f} ({value['low']:.2f}-{value['high']:.2f})" if value else "-"


def latency(document: Document) -> str:
    """Every network and sparsity: latency, times fp32 and int8, useful work and its share of the peak."""
    head = (
        "network",
        "thr",
        "fp32",
        "int8",
        "zeros",
        "this provider",
        "x fp32",
        "goal",
        "x int8",
        "GMAC/s",
        "of peak",
        "claimed",
    )
    rows: list[Row] = []
    for name, count, part in parts(document):
        rivals = part["rivals_us"]
        shown = [name, str(count), us(rivals["fp32"]), us(rivals["int8"]) if "int8" in rivals else "-"]
        best = max(rates[str(count)] for rates in part["peak_gmac_per_s"].values())
        if not part["ours"]:
            rows.append([*shown, *["-"] * (len(head) - len(shown))])
        for key, ours in part["ours"].items():
            if "avx2" in key:
                continue
            zeros = key if key.endswith("%") else f"{ours['sparsity']:.1%}"
            goal = f"{GOALS[name]:.1f}" if count == 1 and key == "90%" and name in GOALS else ""
            numbers = (ratio(ours["times_fp32"]), goal, ratio(ours.get("times_int8")), f"{ours['gmac_per_s']:.1f}")
            rows.append(
                [
                    *shown,
                    zeros,
                    us(ours["us"]),
                    *numbers,
                    f"{ours['gmac_per_s'] / best:.2f}",
                    f"{ours['claimed_macs']:.0%}",
                ]
            )
            if "run_us" in ours:
                through = ratio(ours["run_times_fp32"])
                head_run = ["  through run()", str(count), us(rivals["fp32 run()"]), ""]
                rows.append([*head_run, zeros, us(ours["run_us"]), through, "", "", "", "", ""])
    return aligned(head, rows) if rows else ""


def quantised(document: Document) -> str:
    """Every way of int8 that was timed, and which is the rival."""
    rows: list[Row] = []
    for name, count, part in parts(document):
        ways = {key.removeprefix("int8 "): value for key, value in part["rivals_us"].items() if key.startswith("int8 ")}
        if ways:
            best = part["int8_is"].removeprefix("int8 ")
            rows.append((name, str(count), *(us(ways[kind]) for kind in WAYS), best))
    return aligned(("network", "thr", *WAYS, "fastest"), rows) if rows else ""


def beside_int8(document: Document) -> list[list[str]]:
    """One row a network and number of threads: times int8 at each share of zeros; below 1 int8 is faster."""
    rows = []
    for name, count, part in parts(document):
        found = {key: ours.get("times_int8") for key, ours in part["ours"].items() if key in ZEROS}
        if name in GOALS and any(found.values()):
            cells = [f"{found[key]['median']:.2f}" if found.get(key) else "–" for key in ZEROS]
            rows.append([name, str(count), *(f"**{cell}**" if cell < "1" else cell for cell in cells)])
    return rows


def instruction_sets(document: Document) -> str:
    """AVX2 code beside AVX-512 code on one machine."""
    rows = [
        (name, key, us(ours["us"]), us(part["ours"][f"{key} avx2"]["us"]), ratio(ours["speed_of_avx2"]))
        for name, count, part in parts(document)
        for key, ours in part["ours"].items()
        if count == 1 and "speed_of_avx2" in ours
    ]
    return (
        aligned(("network", "zeros", "AVX-512", "AVX2", "AVX2's share of the speed (goal 0.6)"), rows) if rows else ""
    )


def threads(document: Document) -> str:
    """Two threads beside one: times one thread's speed, and the share of what two threads give on the FMA peak."""
    by = {(name, count): part for name, count, part in parts(document)}
    rows: list[Row] = []
    for (name, count), part in by.items():
        single = by.get((name, 1))
        if count != 2 or single is None:
            continue
        for key, ours in part["ours"].items():
            if key in single["ours"]:
                gain = single["ours"][key]["us"]["median"] / ours["us"]["median"]
                rates = max(part["peak_gmac_per_s"].values(), key=lambda rates: rates["1"])
                fma = rates["2"] / rates["1"]
                fp32 = single["rivals_us"]["fp32"]["median"] / part["rivals_us"]["fp32"]["median"]
                rows.append((name, key, f"{gain:.2f}", f"{fma:.2f}", f"{gain / fma:.2f}", f"{fp32:.2f}"))
    head = ("network", "zeros", "two threads / one", "on the FMA peak", "share (goal 0.75)", "fp32: two / one")
    return aligned(head, rows) if rows else ""


def creation(document: Document) -> str:
    """The first session of a process on a provider: times, and growth of the resident memory and its peak.

    Until 0.2.0 memory was taken before the first inference, and of the second session on the engine.
    """
    rows: list[Row] = []
    for key, part in document["parts"].items():
        if part["request"]["kind"] != "creation" or not part["samples"]["ours"]["ms"]:
            continue
        ours, cpu = (
            {name: median(taken) for name, taken in part["samples"][who].items() if taken} for who in ("ours", "cpu")
        )
        times = [f"{cpu['ms']:.1f}", f"{ours['ms']:.1f}", f"{ours['ms'] / cpu['ms']:.2f}"]
        names = ("grown_bytes", "after_first_bytes", "peak_bytes")
        memory = [f"{who[name] / 1e6:.1f}" if name in who else "–" for name in names for who in (cpu, ours)]
        rows.append((key.rpartition(" | ")[0], *times, *memory))
    head = (
        "network at 90 %",
        "CPU ms",
        "ours ms",
        "ratio (goal 1.30)",
        "CPU MB created",
        "ours",
        "CPU MB after 1 run",
        "ours",
        "CPU MB peak",
        "ours",
    )
    return aligned(head, rows) if rows else ""


def baselines(document: Document) -> str:
    """The dense networks of reports beside PyTorch's files: nodes that ONNX Runtime leaves, and medians in µs."""
    forms = list(dict.fromkeys(form for case in document["cases"].values() for form in case["forms"]))
    rows = []
    for name, case in document["cases"].items():
        cells = [case["forms"].get(form) for form in forms]
        rows.append([name, *(f"{cell['nodes']}: {cell['us']['median']:.1f} µs" if cell else "-" for cell in cells)])
    return aligned(("nodes: median", *forms), rows)


def rivals(document: Document) -> str:
    """The fp32 rival under each condition, and what a second thread gives."""
    by = {(*(case[key] for key in _CONDITION), case["threads"]): case["us"] for case in document["cases"]}
    rows = []
    for condition in dict.fromkeys(key[:-1] for key in by):
        name, others, warm_ms, *flags = condition
        one, two = by.get((*condition, 1)), by.get((*condition, 2))
        if one and two:
            words = ("twelve others" if others else "alone", f"{warm_ms:g} ms")
            answers = ("yes" if each else "no" for each in flags)
            rows.append((str(name), *words, *answers, us(one), us(two), f"{one['median'] / two['median']:.2f}"))
    told = _CONDITION[3:]
    return aligned(("fp32, dense", "sessions", "not counted", *told, "one thread", "two threads", "two / one"), rows)


_CONDITION = ("network", "others", "warm_ms", "pinned", "spinning", "apart")
