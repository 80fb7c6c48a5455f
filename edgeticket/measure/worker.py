"""The process in which models are timed: one JSON request on standard input, one answer on standard output.

Arms are named models: {name: {"path": file, "provider": name, "slowdown": share}}; the last two may be left out.

Request {"kind": "blocks", "arms": arms, "feed": npz path, "threads": n, "seed": n, "blocks": n,
         "cpus": [n, ...] or null, "slot": {"runs": n, "ms": x, "most": n or null},
         "spinning": bool, "samples": bool, "reload": bool, "limit_s": s or null, "instructions": bool}
Answer  {"blocks": [{"ms": {name: median}, "fault": null | reason, "samples_ms": {name: [ms, ...]}}],
         "loads": {name: {"load_ms": x, "first_inference_ms": x}}, "pinned": [n, ...] or null, "placements": n,
         "slowdown": {name: realised share}, "instructions": {name: n}, "not_counted": reason or null}
Request {"kind": "load", "arms": {one}, "feed": npz path, "threads": n}
Answer  {"load_ms": x, "first_inference_ms": x, "peak_memory_bytes": n}
Every   "tell": the number of a pipe for the names of models as they begin to run, or left out
Either  {"error": sentence, "arm": name} where a model cannot be loaded or run
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.measure import conditions, instructions
from edgeticket.measure.arm import EMPTY_MODEL, Arm, ModelFailedError, read_feed, tell_through

LOAD_SHARE = 0.5  # of the time spent on timing may go into loading anew


def pin(cpus: list[int] | None) -> list[int] | None:
    """Stay on these CPUs; None where the system does not allow it."""
    if cpus is None or not hasattr(os, "sched_setaffinity"):
        return None
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:
        return None
    return cpus


def blocks(request: dict[str, Any]) -> dict[str, Any]:
    """Time every arm in blocks; in a block each has one slot, in random order.

    All models are loaded anew, in random order, before a block, where "reload" and LOAD_SHARE of the time allow: where
    weights come to lie in memory is then drawn again. With "limit_s" no block begins after that many seconds, but three
    are made.
    """
    pinned, chance = pin(request["cpus"]), random.Random(request["seed"])  # noqa: S311
    feed, threads, slot = read_feed(request["feed"]), int(request["threads"]), request["slot"]
    watched = pinned if pinned is not None else sorted(os.sched_getaffinity(0)) if _affinity() else []
    arms = [Arm(name, spec, feed, threads, bool(request["spinning"])) for name, spec in request["arms"].items()]
    found: list[dict[str, Any]] = []
    begin, timing_s = time.perf_counter(), 0.0
    for number in range(int(request["blocks"])):
        if request["limit_s"] is not None and number >= 3 and time.perf_counter() - begin > request["limit_s"]:
            break
        if number == 0 or (request["reload"] and _loading_s(arms) <= LOAD_SHARE * timing_s):
            _load_all(arms, chance)
        chance.shuffle(arms)
        before = conditions.read(watched, threads)
        samples = {arm.name: arm.slot(int(slot["runs"]), float(slot["ms"]), slot["most"]) for arm in arms}
        after = conditions.read(watched, threads)
        timing_s += after.clocks["monotonic"] - before.clocks["monotonic"]
        block: dict[str, Any] = {"ms": {name: float(np.median(times)) for name, times in samples.items()}}
        block |= {"fault": conditions.fault(before, after)} | ({"samples_ms": samples} if request["samples"] else {})
        found.append(block)
    loads = {arm.name: {"load_ms": arm.loads_ms[0], "first_inference_ms": arm.firsts_ms[0]} for arm in arms}
    answer: dict[str, Any] = {"blocks": found, "pinned": pinned, "loads": loads, "placements": len(arms[0].loads_ms)}
    answer["slowdown"] = {arm.name: float(np.median(arm.realised)) for arm in arms if arm.realised}
    return answer | (_instructions(arms) if request["instructions"] else {"instructions": {}, "not_counted": None})


def _load_all(arms: list[Arm], chance: random.Random) -> None:
    """Every old session goes before the first new one comes, so that all memory is dealt out again."""
    for arm in arms:
        arm.unload()
    chance.shuffle(arms)
    for arm in arms:
        arm.load()


def _loading_s(arms: list[Arm]) -> float:
    """Spent on loading so far, in seconds."""
    return sum(sum(arm.loads_ms) + sum(arm.firsts_ms) for arm in arms) / 1e3


def _affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


def _instructions(arms: list[Arm]) -> dict[str, Any]:
    try:
        counted = {arm.name: instructions.count(arm.run) for arm in sorted(arms, key=lambda arm: arm.name)}
    except instructions.NotCountedError as error:
        return {"instructions": {}, "not_counted": str(error)}
    return {"instructions": counted, "not_counted": None}


def load(request: dict[str, Any]) -> dict[str, Any]:
    """Load one model in a runtime that has held an empty one; the memory counts from there to the peak."""
    ((name, spec),) = request["arms"].items()
    feed, threads = read_feed(request["feed"]), int(request["threads"])
    empty = checks.session(EMPTY_MODEL, threads)
    empty.run(None, {"x": np.zeros(1, np.float32)})
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew: proc(5)
    before = _memory("VmRSS")
    arm = Arm(name, spec, feed, threads, spinning=True)
    arm.load()
    after = _memory("VmHWM")
    peak = None if before is None or after is None else max(0, after - before)
    return {"load_ms": arm.loads_ms[0], "first_inference_ms": arm.firsts_ms[0], "peak_memory_bytes": peak}


def _memory(field: str) -> int | None:
    """A figure of /proc/self/status in bytes; None where the system has no such file."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def end_with_parent() -> None:
    """Be killed when the parent is: PR_SET_PDEATHSIG of prctl(2). Elsewhere than on Linux nothing happens."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Answer the request on standard input."""
    serve({"blocks": blocks, "load": load})


def serve(kinds: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Answer it with what is for its kind."""
    end_with_parent()
    request = json.load(sys.stdin)
    tell_through(request.get("tell"))
    try:
        answer = kinds[request["kind"]](request)
    except ModelFailedError as error:
        answer = {"error": str(error), "arm": error.arm}
    print(json.dumps(answer))
