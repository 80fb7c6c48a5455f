"""`make bench-engine`: the sparse engine beside ONNX Runtime fp32 and int8, on eight networks and on real tickets.

Batch 1, through IO binding (the tiny networks through `run()` too), every session alive in one pinned process for each
network and number of threads, blocks in turns in random order; medians with quartiles, ratios within a round with their
95 % interval. GMAC/s count nonzero weights only; the FMA peak is measured before and after each process.

What was measured goes into docs/results/engine.json part by part, so parts can be run alone and a stopped run resumed;
every round of it stands in engine-rounds.jsonl beside it. int8 is the fastest of three ways to quantise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import networks
from engine_tables import tables
from machine import Neighbours, hide_avx512, identity, peak

ROOT = Path(__file__).parents[1]
CELL = Path(__file__).with_name("engine_cell.py")
RESULTS = ROOT / "docs" / "results" / "engine.json"
FORMAT = {"format": "edgeticket-bench-engine", "version": 1}
QUIET = 0.05  # processors that others may keep busy meanwhile
Peak = dict[str, dict[str, float]]


def main() -> None:
    options = arguments()
    document = read(options.out)
    here = identity()
    for request in [*latency_requests(options), *creation_requests(options)]:
        key = request.pop("key")
        kept = document["parts"].get(key)
        if options.resume and kept and is_good(kept, here, request):
            print(f"{key}: kept", file=sys.stderr)
            continue
        others, began = Neighbours.start(), time.perf_counter()
        answer = run_creation(request) if request["kind"] == "creation" else run_latency(request)
        raw = answer.pop("raw_us", None)
        document["parts"][key] = {"identity": here, "request": request, "busy_others": others.share(), **answer}
        write(options.out, document)
        if raw is not None:
            keep_rounds(options.out, key, {"identity": here, "rounds_us": raw})
        print(f"{key}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    stale = {key for key, part in document["parts"].items() if part["identity"]["engine"] != here["engine"]}
    if stale:
        print(f"measured with another build of the engine: {', '.join(sorted(stale))}", file=sys.stderr)
    noisy = {key for key, part in document["parts"].items() if part["busy_others"] > QUIET}
    if noisy:
        print(f"other processes were busy during {', '.join(sorted(noisy))}: measure again (--resume)", file=sys.stderr)
    print(tables(document))


def is_good(part: dict[str, Any], here: dict[str, Any], request: dict[str, Any]) -> bool:
    """Say whether a part was measured as asked, by this engine on this machine, and undisturbed."""
    unlike = {"date": "", "commit": ""}
    same = part["identity"] | unlike == here | unlike and part["request"] == request
    return bool(same and part["busy_others"] <= QUIET)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = {"type": lambda text: text.split(",")}
    numbers = {"type": lambda text: [float(part) for part in text.split(",")]}
    parser.add_argument("--networks", default=list(networks.NETWORKS), help="names, with commas", **words)
    parser.add_argument("--sparsity", default=list(networks.SPARSITIES), help="shares such as 0.8,0.9", **numbers)
    parser.add_argument("--threads", default=[1, 2], type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument(
        "--ticket", action="append", type=Path, help="an ONNX file; by default runs/*/artifact/model.onnx"
    )
    parser.add_argument("--quick", action="store_true", help="80, 90 and 95 %%, fewer rounds, shorter blocks: minutes")
    parser.add_argument("--hide-avx512", action="store_true", help="both on a processor that ends with AVX2, to CPUID")
    parser.add_argument("--no-creation", action="store_true", help="leave session creation out")
    parser.add_argument(
        "--resume", action="store_true", help="measure only what is missing, disturbed or of another engine"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    unknown = set(options.networks) - networks.NETWORKS.keys()
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}; there are {', '.join(networks.NETWORKS)}")
    options.out = options.out or (RESULTS.with_stem(RESULTS.stem + "-avx2") if options.hide_avx512 else RESULTS)
    if options.hide_avx512:
        hide_avx512()
    cores = len(os.sched_getaffinity(0))
    for threads in [threads for threads in options.threads if threads > cores]:
        print(f"{threads} threads: left out, this machine has {cores}", file=sys.stderr)
    options.threads = [threads for threads in options.threads if threads <= cores]
    if options.quick and options.sparsity == list(networks.SPARSITIES):
        options.sparsity = [0.8, 0.9, 0.95]
    if options.ticket is None:
        options.ticket = sorted(ROOT.glob("runs/*/artifact/model.onnx"))
        if not options.ticket:
            print("no real tickets: runs/*/artifact/model.onnx is not there", file=sys.stderr)
    return options


def latency_requests(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a request for each network or ticket and number of threads."""
    rounds, block_ms = (9, 6.0) if options.quick else (31, 15.0)
    common = {"kind": "latency", "rounds": rounds, "block_ms": block_ms, "sparsities": options.sparsity}
    for threads in options.threads:
        isas = ["avx2"] if threads == 1 and "avx512" in peak(5) else []
        for name in options.networks:
            yield {"key": f"{name} | {threads}", "network": name, "threads": threads, "isas": isas, **common}
        for path in options.ticket:
            name = f"ticket {path.resolve().relative_to(ROOT) if path.resolve().is_relative_to(ROOT) else path.name}"
            own = {"key": f"{name} | {threads}", "network": name, "ticket": os.path.relpath(path.resolve(), ROOT)}
            yield {**common, **own, "threads": threads, "isas": isas}


def creation_requests(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a request for each network."""
    for name in options.networks if not options.no_creation else ():
        yield {"key": f"{name} | creation", "kind": "creation", "network": name, "times": 3 if options.quick else 9}


def run_latency(request: dict[str, Any]) -> dict[str, Any]:
    """Measure in a process between two measurements of the FMA peak."""
    before = peak()
    answer = child(request)
    after = peak()
    between: Peak = {isa: {n: median([before[isa][n], after[isa][n]]) for n in rates} for isa, rates in before.items()}
    return {**answer, "peak_gmac_per_s": between}


def run_creation(request: dict[str, Any]) -> dict[str, Any]:
    """Create sessions at 90 % zeros, each in a fresh process, with the providers in turns."""
    samples: dict[str, list[dict[str, float]]] = {"cpu": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        path, warm = Path(folder) / "model.onnx", Path(folder) / "warm.onnx"
        path.write_bytes(networks.network(request["network"], 0.9).serialized())
        warm.write_bytes(networks.network(networks.WARM, 0.9).serialized())
        for turn in range(request["times"]):
            for provider in sorted(samples, reverse=bool(turn % 2)):
                asked = {"kind": "creation", "threads": 1, "provider": provider, "path": str(path)}
                asked |= {"network": request["network"], "warm": str(warm)}
                samples[provider].append(child(asked))
    keys = ("ms", "grown_bytes", "first_ms", "after_first_bytes", "peak_bytes")
    found = {
        name: {key: [each[key] for each in taken if key in each] for key in keys} for name, taken in samples.items()
    }
    return {"samples": found}


def child(request: dict[str, Any], program: Path = CELL, option: str | None = None) -> dict[str, Any]:
    """Return the answer of a measuring process: the last line it prints, as JSON."""
    command = [sys.executable, str(program), *([option] if option else []), json.dumps(request)]
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{program.name} {command[-1]}: failed with {done.returncode}, see above")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def read(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text()) if path.exists() else {**FORMAT, "parts": {}}
    if {key: document.get(key) for key in FORMAT} != FORMAT:
        raise SystemExit(f"{path}: not written by this program; move it away")
    return dict(document)


def keep_rounds(path: Path, key: str, found: dict[str, Any]) -> None:
    """Write the raw rounds of a part beside the document, one part a line, in place of an earlier one of this key."""
    rounds = path.with_name(f"{path.stem}-rounds.jsonl")
    lines = rounds.read_text(encoding="utf-8").splitlines() if rounds.exists() else []
    kept = [line for line in lines if json.loads(line)["key"] != key]
    rounds.write_text("\n".join([*kept, json.dumps({"key": key, **found})]) + "\n", encoding="utf-8")


def write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document, indent=1) + "\n")
    new.replace(path)


if __name__ == "__main__":
    main()
