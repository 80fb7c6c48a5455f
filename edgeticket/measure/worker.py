"""The process in which models are timed: one JSON request on standard input, one answer on standard output.

Request {"kind": "latency", "models": {name: path}, "feed": npz path, "threads": n, "seed": n, "limit_s": s}
Answer  {"samples_ms": {name: [[ms, ...] for each block]}}
Request {"kind": "load", "model": path, "feed": npz path, "threads": n}
Answer  {"load_ms": x, "first_inference_ms": x, "peak_memory_bytes": n}
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.measure import checks

BLOCKS, SLOT_RUNS, SLOT_MS, SLOT_MOST = 15, 5, 20.0, 200
# An ONNX model of one Identity (IR 8, opset 18): opened first, it leaves an idle runtime with nothing loaded.
EMPTY_MODEL = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201655a0f0a0178120a0a08"
    "080112040a020801620f0a0179120a0a08080112040a02080142040a001012"
)


def latency(request: dict[str, Any]) -> dict[str, Any]:
    """Time every model in blocks; in a block each has one slot, in random order, after one discarded inference.

    A slot is 5 inferences or more, until 20 ms or 200 inferences. Ends after 15 blocks, or after `limit_s` and 3.
    """
    feed = _feed(request["feed"])
    running = {name: checks.session(path, request["threads"]) for name, path in request["models"].items()}
    samples: dict[str, list[list[float]]] = {name: [] for name in running}
    order, chance, begin = list(running), random.Random(request["seed"]), time.perf_counter()  # noqa: S311
    for block in range(BLOCKS):
        if block >= 3 and time.perf_counter() - begin > request["limit_s"]:
            break
        chance.shuffle(order)
        for name in order:
            samples[name].append(_slot(running[name], feed))
    return {"samples_ms": samples}


def _slot(running: Any, feed: checks.Feed) -> list[float]:
    running.run(None, feed)
    times: list[float] = []
    total = 0.0
    while len(times) < SLOT_MOST and (len(times) < SLOT_RUNS or total < SLOT_MS):
        start = time.perf_counter_ns()
        running.run(None, feed)
        times.append((time.perf_counter_ns() - start) / 1e6)
        total += times[-1]
    return times


def load(request: dict[str, Any]) -> dict[str, Any]:
    """Load one model in a runtime that has held an empty one; the memory counts from there to the peak."""
    feed = _feed(request["feed"])
    empty = checks.session(EMPTY_MODEL, request["threads"])
    empty.run(None, {"x": np.zeros(1, np.float32)})
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew: proc(5)
    before = _memory("VmRSS")
    start = time.perf_counter_ns()
    running = checks.session(request["model"], request["threads"])
    loaded = time.perf_counter_ns()
    running.run(None, feed)
    done = time.perf_counter_ns()
    after = _memory("VmHWM")
    peak = None if before is None or after is None else max(0, after - before)
    return {"load_ms": (loaded - start) / 1e6, "first_inference_ms": (done - loaded) / 1e6, "peak_memory_bytes": peak}


def _memory(field: str) -> int | None:
    """A figure of /proc/self/status in bytes; None where the system has no such file."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def _feed(path: str) -> checks.Feed:
    with np.load(path, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        return {name: arrays[f"input.{i}"] for i, name in enumerate(names)}


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    print(json.dumps({"latency": latency, "load": load}[request["kind"]](request)))
