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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.engine import EP_NAME
from edgeticket.measure import checks, conditions, instructions

CPU_PROVIDER = checks.CPU_PROVIDER
MOST_CARRIED_NS = 2000.0  # from one spin to the next: a few turns of its loop
LOAD_SHARE = 0.5  # of the time spent on timing may go into loading anew
# An ONNX model of one Identity (IR 8, opset 18): opened first, it leaves an idle runtime with nothing loaded.
EMPTY_MODEL = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201655a0f0a0178120a0a08"
    "080112040a020801620f0a0179120a0a08080112040a02080142040a001012"
)


class ModelFailedError(Exception):
    """A model could not be loaded or run."""

    def __init__(self, arm: str, sentence: str) -> None:
        super().__init__(sentence)
        self.arm = arm


def _failed(arm: str, when: str, error: Exception) -> ModelFailedError:
    """The runtime raises a family of its own, and every one of them means the same here."""
    return ModelFailedError(arm, f"failed {when}: {type(error).__name__}: {' '.join(str(error).split())}")


class Arm:
    """A model that can be loaded anew and timed, slowed down on request by spinning inside the timed slot."""

    def __init__(self, name: str, spec: Mapping[str, Any], feed: checks.Feed, threads: int, spinning: bool) -> None:
        self.name, self.feed, self.runs = name, feed, 0
        self.slowdown = float(spec.get("slowdown", 0.0))
        self.realised: list[float] = []  # slow-down of each slot's median
        self._carried_ns = 0.0
        self.loads_ms: list[float] = []
        self.firsts_ms: list[float] = []
        self._open = (str(spec["path"]), str(spec.get("provider", CPU_PROVIDER)), threads, spinning)
        self._session: Any = None

    def load(self) -> None:
        """A new session in place of the old one, and its first inference."""
        self._session = None
        start = time.perf_counter_ns()
        try:
            self._session = open_session(*self._open)
        except Exception as error:
            raise _failed(self.name, "when loaded", error) from error
        loaded = time.perf_counter_ns()
        self.run()
        self.loads_ms.append((loaded - start) / 1e6)
        self.firsts_ms.append((time.perf_counter_ns() - loaded) / 1e6)

    def unload(self) -> None:
        """Give the session's memory back."""
        self._session = None

    def run(self) -> None:
        """One inference."""
        try:
            self._session.run(None, self.feed)
        except Exception as error:
            raise _failed(self.name, f"in run {self.runs + 1}", error) from error
        self.runs += 1

    def slot(self, runs: int, slot_ms: float, most: int | None) -> list[float]:
        """Milliseconds of each inference, `runs` of them or more until `slot_ms`, after one discarded."""
        self.run()
        run, feed, clock = self._session.run, self.feed, time.perf_counter_ns
        times: list[float] = []
        own_ns: list[int] = []
        total, until = 0, slot_ms * 1e6
        try:
            while (most is None or len(times) < most) and (len(times) < runs or total < until):
                start = clock()
                run(None, feed)
                end = clock()
                if self.slowdown:
                    own_ns.append(end - start)
                    end = self._spin(end, end - start)
                times.append((end - start) / 1e6)
                total += end - start
        except Exception as error:
            raise _failed(self.name, f"in run {self.runs + len(times) + 1}", error) from error
        self.runs += len(times)
        if own_ns:
            self.realised.append(float(np.median(times)) * 1e6 / float(np.median(own_ns)) - 1)
        return times

    def _spin(self, end: int, own: int) -> int:
        """Keep the CPU for a share of the model's own time; what one spin overshoots by a little, the next one saves.

        Only a little: one that was interrupted for long would save all spins of a block, and its median would be that
        of a model that is not slowed down.
        """
        wanted = self.slowdown * own - self._carried_ns
        now = end
        while now < end + wanted:
            now = time.perf_counter_ns()
        self._carried_ns = min(MOST_CARRIED_NS, now - end - wanted)
        return now


def open_session(path: str, provider: str, threads: int, spinning: bool) -> Any:
    """A session on a provider; denormals are zero on this thread from the first one on."""
    if provider != EP_NAME:
        return checks.session(path, threads, spinning=spinning, provider=provider)
    from edgeticket import runtime  # the plugin and its registration are there

    checks.session(EMPTY_MODEL, 1)  # the runtime's door makes sessions on a thread of its own
    runtime.register()  # raises where the plugin is missing; a session alone would fall back
    return runtime.session(path, threads=threads, spinning=spinning)


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
    feed, threads, slot = _feed(request["feed"]), int(request["threads"]), request["slot"]
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
    feed, threads = _feed(request["feed"]), int(request["threads"])
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


def _feed(path: str) -> checks.Feed:
    with np.load(path, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        return {name: arrays[f"input.{i}"] for i, name in enumerate(names)}


def end_with_parent() -> None:
    """Be killed when the parent is: PR_SET_PDEATHSIG of prctl(2). Elsewhere than on Linux nothing happens."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Answer the request on standard input."""
    end_with_parent()
    request = json.load(sys.stdin)
    try:
        answer = {"blocks": blocks, "load": load}[request["kind"]](request)
    except ModelFailedError as error:
        answer = {"error": str(error), "arm": error.arm}
    print(json.dumps(answer))
