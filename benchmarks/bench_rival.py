"""`make bench-rival`: what the fp32 rival's figure at one thread depends on, apart from the network.

On a Xeon ONNX Runtime fp32 gained 2.4 to 2.9 times from a second thread, more than two cores should give, so its figure
at one thread is suspect. Here VGG-16 and ResNet-18, dense and on the CPU provider, are timed in fresh processes at one
and two threads: alone or with twelve other sessions that take turns, after 2.5 ms or 60 ms that are not counted, pinned
to as many cores as threads or not, with idle threads that spin or sleep, and with turns that begin when the threads of
the session before rest, or at once. docs/results/rival.json keeps the result.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import arms
import networks
from arms import Arm, as_json, quartiles, raw_us, take_turns
from bench_engine import ROOT, child, keep_rounds, write
from machine import Neighbours, identity, pin

from edgeticket import runtime

RESULTS = ROOT / "docs" / "results" / "rival.json"
NETWORKS = ("VGG-16", "ResNet-18")
OTHERS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
ROUNDS, BLOCK_S = 15, 15e-3


def conditions() -> list[dict[str, Any]]:
    """Every condition at one and two threads: all pairs of company and warm-up, then one change at a time."""
    made = [
        {"others": others, "warm_ms": warm_ms, "pinned": True, "spinning": True, "apart": False}
        for others, warm_ms in itertools.product((False, True), (2.5, 60.0))
    ]
    made += [{**made[1], "pinned": False}, {**made[1], "spinning": False}, {**made[3], "apart": True}]
    return [{**each, "threads": threads} for each in made for threads in (1, 2)]


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time the dense network in this process, under one condition."""
    threads = request["threads"]
    if request["pinned"]:
        pin(threads)
    runtime.register()
    dense = networks.network(request["network"])
    feed = dense.feed()
    sessions = {"fp32": runtime.cpu_session(dense.serialized(), threads=threads, spinning=request["spinning"])}
    if request["others"]:
        for share in OTHERS:
            model = networks.network(request["network"], share).serialized()
            for isa in ("", "avx2"):
                options = {"threads": threads, "provider_options": {"isa": isa} if isa else {}}
                sessions[f"{share:.0%} {isa}"] = runtime.session(model, **options)
    arms.WARM_S, arms.FEWEST = request["warm_ms"] / 1e3, 1
    sides = {name: Arm(session, feed) for name, session in sessions.items()}
    times = take_turns(sides, request["rounds"], BLOCK_S, apart=request["apart"])
    return {"us": as_json(quartiles(times["fp32"]), 1e6), "raw_us": raw_us({"fp32": times["fp32"]})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the request of a measuring process
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(json.loads(options.one))))
        return
    others, here, cases = Neighbours.start(), identity(), []
    for name in NETWORKS:
        for condition in conditions():
            answer = child({**condition, "network": name, "rounds": options.rounds}, Path(__file__), "--one")
            case = {**condition, "network": name, "us": answer["us"]}
            keep_rounds(options.out, json.dumps({**condition, "network": name}), {"rounds_us": answer["raw_us"]})
            cases.append(case)
            print(f"{name} {condition}: {case['us']['median']:.0f} µs", flush=True)
    write(options.out, {"identity": here, "busy_others": others.share(), "cases": cases})
    for name in NETWORKS:
        here_us = {json.dumps({**case, "us": 0}): case["us"]["median"] for case in cases if case["network"] == name}
        for case in cases:
            if case["network"] == name and case["threads"] == 1:
                gain = case["us"]["median"] / here_us[json.dumps({**case, "threads": 2, "us": 0})]
                words = {key: case[key] for key in ("others", "warm_ms", "pinned", "spinning", "apart")}
                print(f"{name} {words}: the second thread gives {gain:.2f} times")


if __name__ == "__main__":
    main()
