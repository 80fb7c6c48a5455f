"""The process in which models are timed: reads one request, answers it, and ends (protocol.py, wire.py)."""

from __future__ import annotations

import ctypes
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
from edgeticket.measure import conditions, instructions, wire
from edgeticket.measure.feed import read_feed
from edgeticket.measure.protocol import (
    BlocksAnswer,
    BlocksRequest,
    Failure,
    LoadAnswer,
    LoadRequest,
    Request,
    TimedBlock,
)
from edgeticket.measure.session import EMPTY_MODEL, ModelFailedError, tell_through
from edgeticket.measure.timed_model import TimedModel

LOAD_SHARE = 0.5  # of the time spent on timing may go into loading anew


def cpus_for(threads: int) -> list[int] | None:
    """Choose the last CPUs this process may use, as many as threads; None where they cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))[-threads:]


def pin(cpus: list[int] | None) -> list[int] | None:
    """Stay on these CPUs; None where the system does not allow it."""
    if cpus is None or not hasattr(os, "sched_setaffinity"):
        return None
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:
        return None
    return cpus


def blocks(request: BlocksRequest) -> BlocksAnswer:
    """Time every arm in blocks; in a block each has one slot, in random order.

    All models are loaded anew, in random order, before a block, where `reload` and LOAD_SHARE of the time allow: where
    weights come to lie in memory is then drawn again.
    """
    pinned = pin(cpus_for(request.threads)) if request.pin else None
    chance, feed = random.Random(request.seed), read_feed(request.feed)  # noqa: S311
    watched = pinned if pinned is not None else sorted(os.sched_getaffinity(0)) if _affinity() else []
    models = [TimedModel(name, arm, feed, request.threads, request.spinning) for name, arm in request.arms.items()]
    found: list[TimedBlock] = []
    begin, timing_s = time.perf_counter(), 0.0
    for number in range(request.blocks):
        if request.limit_s is not None and number >= 3 and time.perf_counter() - begin > request.limit_s:
            break
        if number == 0 or (request.reload and _loading_s(models) <= LOAD_SHARE * timing_s):
            _load_all(models, chance)
        chance.shuffle(models)
        before = conditions.read(watched, request.threads)
        samples = {model.name: tuple(model.slot(request.slot)) for model in models}
        after = conditions.read(watched, request.threads)
        timing_s += after.clocks["monotonic"] - before.clocks["monotonic"]
        medians = {name: float(np.median(times)) for name, times in samples.items()}
        found.append(TimedBlock(medians, conditions.fault(before, after), samples if request.samples else {}))
    counted, reason = _instructions(models) if request.instructions else ({}, None)
    return BlocksAnswer(
        tuple(found),
        None if pinned is None else tuple(pinned),
        len(models[0].loads_ms),
        {model.name: float(np.median(model.realised)) for model in models if model.realised},
        counted,
        reason,
    )


def _load_all(models: list[TimedModel], chance: random.Random) -> None:
    """Drop every old session before the first new one is made, so that all memory is dealt out again."""
    for model in models:
        model.unload()
    chance.shuffle(models)
    for model in models:
        model.load()


def _loading_s(models: list[TimedModel]) -> float:
    """Sum the seconds spent on loading so far."""
    return sum(sum(model.loads_ms) + sum(model.firsts_ms) for model in models) / 1e3


def _affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


def _instructions(models: list[TimedModel]) -> tuple[dict[str, int], str | None]:
    """Count the instructions of one inference by arm, or give the reason why nobody can."""
    try:
        return {each.name: instructions.count(each.run) for each in sorted(models, key=lambda each: each.name)}, None
    except instructions.NotCountedError as error:
        return {}, str(error)


def load(request: LoadRequest) -> LoadAnswer:
    """Load one model in a runtime that has held an empty one; the memory counts from there to the peak."""
    ((name, arm),) = request.arms.items()
    feed = read_feed(request.feed)
    empty = checks.session(EMPTY_MODEL, request.threads)
    empty.run(None, {"x": np.zeros(1, np.float32)})
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew: proc(5)
    before = _memory("VmRSS")
    model = TimedModel(name, arm, feed, request.threads, spinning=True)
    model.load()
    after = _memory("VmHWM")
    peak = None if before is None or after is None else max(0, after - before)
    return LoadAnswer(model.loads_ms[0], model.firsts_ms[0], peak)


def _memory(field: str) -> int | None:
    """Read a figure of /proc/self/status in bytes; None where the system has no such file."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def end_with_parent(parent: int) -> None:
    """Be killed when the parent is: PR_SET_PDEATHSIG of prctl(2). Elsewhere than on Linux nothing happens.

    A parent that went before the kernel was asked sends no signal, so this looks for it once.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def main(parent: int, tell: int | None = None) -> None:
    """Answer the request on standard input: see serve."""
    serve({BlocksRequest: blocks, LoadRequest: load}, parent, tell)


def serve(handlers: Mapping[type[Request[Any]], Callable[[Any], Any]], parent: int, tell: int | None) -> None:
    """Answer the request on standard input with the handler of its class.

    `parent` is the process to end with; `tell` is the number of a pipe for the names of running models.
    """
    end_with_parent(parent)
    tell_through(tell)
    request = wire.request_from_json(sys.stdin.buffer.read())
    try:
        answer = handlers[type(request)](request)
    except ModelFailedError as error:
        answer = Failure(str(error), error.arm)
    print(wire.answer_to_json(answer))
