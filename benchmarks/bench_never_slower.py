"""`make bench-never-slower`: no network runs slower because the sparse engine is there.

On the eight networks and on random ones, at nine sparsities, one and two threads, batch 1: the ratio of this provider's
time (its own choice of what to claim) to the CPU provider's, both sessions alive, in blocks in turns. A network is
an offender if even the lower bound of the 95 % interval is above 1.03; where the CPU provider takes less than 20 µs,
if that of the difference is above 0.3 µs. Offenders are measured a second time, with three times the blocks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import networks
from arms import Arm, as_json, assigned, median_interval, open_session, paired, quartiles, raw_us, take_turns
from bench_engine import ROOT, child, keep_rounds, write
from builder import Network
from machine import Neighbours, hide_avx512, identity, pin
from random_networks import COUNT, random_network

from edgeticket import runtime

RESULTS = ROOT / "docs" / "results" / "never_slower.json"
SPARSITIES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
LIMIT, SHORT_US, SLACK_US = 1.03, 20.0, 0.3
ROUNDS, BLOCK_S = 15, 4e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=lambda text: text.split(","), help="of the eight, and random-SEED")
    parser.add_argument("--random", type=int, default=COUNT, help="how many random networks")
    parser.add_argument("--first-seed", type=int, default=0, help="of the random networks: others are as unseen")
    parser.add_argument("--sparsity", type=lambda text: [float(part) for part in text.split(",")], default=SPARSITIES)
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument(
        "--hide-avx512", action="store_true", help="on a processor that ends with AVX2, as far as CPUID says"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the request of a measuring process
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    options.out = options.out or (RESULTS.with_stem(RESULTS.stem + "-avx2") if options.hide_avx512 else RESULTS)
    if options.hide_avx512:
        hide_avx512()
    seeds = range(options.first_seed, options.first_seed + options.random)
    names = options.networks or [*networks.NETWORKS, *(f"random-{seed}" for seed in seeds)]
    cases: list[dict[str, Any]] = []
    others, here = Neighbours.start(), identity()
    for threads in options.threads:
        for name in names:
            request = {"name": name, "threads": threads, "sparsities": list(options.sparsity)}
            cases += child(request, Path(__file__), "--one")["cases"]
            for case in cases[-len(options.sparsity) :]:
                key = f"{case['name']} | {case['sparsity']:g} | {threads}"
                keep_rounds(options.out, key, {"identity": here, "rounds_us": case.pop("rounds_us")})
            for case in cases[-len(options.sparsity) :]:
                print(line(case), flush=True)
    document = {"identity": here, "busy_others": others.share(), "limit": LIMIT, "cases": cases}
    write(options.out, document)
    bad = [case for case in cases if case["offends"]]
    claimed = sum(case["nodes"] > 0 for case in cases)
    print(f"\n{len(cases)} cases, {claimed} with claimed nodes, {len(bad)} slower than allowed")
    for case in bad:
        print(line(case))
    sys.exit(1 if bad else 0)


def measure(name: str, threads: int, sparsities: list[float]) -> dict[str, Any]:
    """All sparsities of one network, in this process."""
    pin(threads)
    runtime.register()
    return {"cases": [case(name, sparsity, threads) for sparsity in sparsities]}


def build(name: str) -> Callable[[float], Network]:
    """sparsity -> network."""
    if name in networks.NETWORKS:
        return partial(networks.network, name)
    return partial(random_network, int(name.removeprefix("random-")))


def case(name: str, sparsity: float, threads: int) -> dict[str, Any]:
    """One pair of sessions; a suspect is measured once more before it is called an offender."""
    net = build(name)(sparsity)
    model, feed = net.serialized(), net.feed()
    ours = open_session(model, threads, {})
    arms = {"ours": Arm(ours, feed), "cpu": Arm(open_session(model, threads), feed)}
    found: dict[str, Any] = {"name": name, "sparsity": sparsity, "threads": threads, "nodes": assigned(ours)}
    for rounds in (ROUNDS, 3 * ROUNDS):
        times = take_turns(arms, rounds, BLOCK_S)
        ratio = paired(times["ours"], times["cpu"])
        extra = median_interval([1e6 * (a - b) for a, b in zip(times["ours"], times["cpu"], strict=True)])
        cpu = quartiles(times["cpu"])
        short = cpu.median * 1e6 < SHORT_US
        offends = extra.low > SLACK_US if short else ratio.low > LIMIT
        found |= {"cpu_us": as_json(cpu, 1e6), "ratio": as_json(ratio), "extra_us": as_json(extra), "offends": offends}
        found |= {"rounds_us": raw_us(times)}
        if not offends:
            break
    return found


def line(case: dict[str, Any]) -> str:
    ratio, cpu = case["ratio"], case["cpu_us"]["median"]
    mark = "  SLOWER" if case["offends"] else ""
    spread = f"{ratio['median']:.3f} ({ratio['low']:.3f}-{ratio['high']:.3f})"
    where = f"{case['name']:14} {case['sparsity']:>4.0%} {case['threads']} thr"
    return f"{where}  cpu {cpu:9.1f} µs  ours/cpu {spread:22} {case['nodes']:3} nodes{mark}"


if __name__ == "__main__":
    main()
