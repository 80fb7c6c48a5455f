"""`make bench-baseline`: the dense networks that reports compare with, beside what PyTorch's exporters write of them.

For each network: the traced graph that 0.1.0 called dense, the same passes with a free batch and with a batch of 1,
torch.onnx.export both ways, and the older exporter where it can. All run on the CPU provider at batch 1, one thread, in
turns. Nodes are those that ONNX Runtime leaves. docs/results/baseline.json and baseline-rounds.jsonl keep the result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch_networks
from arms import Arm, as_json, open_session, paired, quartiles, raw_us, take_turns
from bench_engine import ROOT, keep_rounds, write
from machine import Neighbours, identity, pin

from edgeticket.graph.optimised import operators, optimised
from edgeticket.graph.reading.bind import bind
from edgeticket.graph.serialize import serialize
from edgeticket.lottery.trace import trace

RESULTS = ROOT / "docs" / "results" / "baseline.json"
OURS = ("same passes", "same passes, batch of 1")


def networks() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield name, network and the shape of an input: the built-in ones, then the kinds."""
    torch.manual_seed(0)
    yield from torch_networks.built_in()
    for name, (make, shape) in torch_networks.NETWORKS.items():
        yield name, make(), shape


def forms(network: Any, shape: tuple[int, ...]) -> dict[str, bytes]:
    """Every file of a network, by what wrote it."""
    weights = {key: np.asarray(value) for key, value in network.state_dict().items()}
    graph = torch_networks.quietly(lambda: trace(network, torch.randn(2, *shape), "task"))
    found = {"traced graph": serialize(bind(graph, weights, None))}
    found |= dict(zip(OURS, torch_networks.ours(network, shape), strict=True))
    for name, free in (("torch, free batch", True), ("torch, batch of 1", False)):
        found[name] = torch_networks.theirs(network, shape, free=free)
    try:
        found["older exporter, batch of 1"] = torch_networks.legacy(network, shape)
    except Exception as error:  # of which class depends on the operator that it does not know
        print(f"the older exporter cannot: {type(error).__name__}", file=sys.stderr)
    return found


def measure(network: Any, shape: tuple[int, ...], rounds: int, block_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the facts of each form, and all rounds."""
    files = forms(torch_networks.randomised(network), shape)
    array = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
    arms = {name: Arm(open_session(model, 1), {_input(model): array}) for name, model in files.items()}
    times = take_turns(arms, rounds, block_s)
    facts = {}
    for name, model in files.items():
        graph = optimised(model)
        assert graph is not None
        nodes = operators(graph).total()
        facts[name] = {"bytes": len(model), "nodes": nodes, "us": as_json(quartiles(times[name]), 1e6)}
    best = min(OURS, key=lambda name: quartiles(times[name]).median)
    for name in files:
        facts[name]["times_ours"] = as_json(paired(times[name], times[best]))
    return {"best": best, "forms": facts}, raw_us(times)


def _input(model: bytes) -> str:
    graph = onnx.load_from_string(model).graph
    held = {tensor.name for tensor in graph.initializer}
    return str(next(value.name for value in graph.input if value.name not in held))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=lambda text: text.split(","), help="names, with commas")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter blocks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rounds, block_s = (9, 3e-3) if options.quick else (31, 10e-3)
    pin(1)
    others, here, cases = Neighbours.start(), identity(), {}
    for name, network, shape in networks():
        if options.networks and name not in options.networks:
            continue
        cases[name], rounds_us = measure(network, shape, rounds, block_s)
        keep_rounds(options.out, name, {"identity": here, "rounds_us": rounds_us})
        shown = {
            form: (facts["nodes"], round(facts["us"]["median"], 1)) for form, facts in cases[name]["forms"].items()
        }
        print(f"{name}: {shown}", flush=True)
    write(options.out, {"identity": here, "busy_others": others.share(), "cases": cases})


if __name__ == "__main__":
    main()
