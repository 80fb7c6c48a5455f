"""Latency, load time, first inference and peak memory of models, side by side, in fresh processes.

What is measured is the stock CPU provider as it comes, with denormals as zero, and on request the sparse engine. A
model that a process cannot run within its time limit is reported, not raised: an export does not fail because this host
is busy.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeticket import text
from edgeticket.artifact import checks
from edgeticket.engine import EP_NAME
from edgeticket.measure.arm import write_feed as write_feed
from edgeticket.measure.measurement import Measurement
from edgeticket.measure.process import NoAnswerError, ask

LIMIT_S = 3.0  # of one latency run, after which no new block begins
TIMEOUT_S = 120.0  # of one process
LOADS = 3  # fresh processes per model
BLOCKS, SLOT = 15, {"runs": 5, "ms": 20.0, "most": 200}

LATENCY_METHOD = (
    "one fresh process per thread count; all models in it, timed in up to 15 blocks of one slot each in random order; "
    "a slot is one discarded inference, then 5 or more until 20 ms or 200 inferences; every inference is a sample"
)
LOAD_METHOD = (
    "three fresh processes per model, in random order, file in the page cache; an empty runtime is started first, and "
    "memory is the peak resident size above it, from loading to the end of the first inference"
)


@dataclass(frozen=True)
class Bench:
    """What was measured on this host, and a sentence for each thing that could not be."""

    host: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    failures: tuple[str, ...]

    def get(self, what: str, model: str, threads: int = 1, provider: str = "cpu") -> Measurement | None:
        """The measurement of one quantity, if it was made."""
        wanted = (what, model, threads, provider)
        return next((m for m in self.measurements if (m.what, m.model, m.threads, m.provider) == wanted), None)


@dataclass(frozen=True)
class _Arm:
    """A model on a provider, as the worker is asked for it."""

    model: str
    provider: str
    spec: Mapping[str, str]


def _arms(paths: Mapping[str, str], sparse: Sequence[str]) -> dict[str, _Arm]:
    """By the name that a failure gives them."""
    arms = {name: _Arm(name, "cpu", {"path": path}) for name, path in paths.items()}
    return arms | {
        f"{name} on the sparse engine": _Arm(name, "sparse", {"path": paths[name], "provider": EP_NAME})
        for name in sparse
    }


def measure(
    models: Mapping[str, bytes],
    feed: checks.Feed,
    seed: int = 0,
    sparse: Sequence[str] = (),
    threads: Sequence[int] = (),
    loads: bool = True,
) -> Bench:
    """Measure models (name -> ONNX bytes) on one feed, those named in `sparse` on the sparse engine as well.

    By default at one thread and at one for each core. About 10 s for two small models.
    """
    host = checks.host()
    found: list[Measurement] = []
    failures: list[str] = []
    method = f"{LATENCY_METHOD}; {_fed(feed)}"
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        paths = {name: str(Path(folder) / f"{i}.onnx") for i, name in enumerate(models)}
        for name, path in paths.items():
            Path(path).write_bytes(models[name])
        inputs = write_feed(Path(folder) / "feed.npz", feed)
        arms = _arms(paths, sparse)
        for count in threads or sorted({1, host["cores"]}):
            what = f"latency at {checks.plural(count, 'thread')}"
            answer = _asked(_latency_request(arms, inputs, count, seed), what, failures)
            for name, arm in arms.items() if answer else ():
                samples = tuple(sample for block in answer["blocks"] for sample in block["samples_ms"][name])
                about = ("ms", samples, method, host["fingerprint"], arm.provider)
                found.append(Measurement("latency", arm.model, count, *about))
        if loads:
            found += _loads(arms, inputs, host["fingerprint"], seed, failures)
    return Bench(host, tuple(found), tuple(failures))


def _latency_request(arms: Mapping[str, _Arm], inputs: str, threads: int, seed: int) -> dict[str, Any]:
    return {
        "kind": "blocks",
        "arms": {name: arm.spec for name, arm in arms.items()},
        "feed": inputs,
        "threads": threads,
        "seed": seed,
        "blocks": BLOCKS,
        "cpus": None,
        "slot": SLOT,
        "spinning": True,
        "samples": True,
        "reload": False,
        "limit_s": LIMIT_S,
        "instructions": False,
    }


def _fed(feed: checks.Feed) -> str:
    """On what, as in: input 'x' of 1×784."""
    shown = [f"{name!r} of {'×'.join(map(str, array.shape)) or 'one value'}" for name, array in feed.items()]
    return f"{'input' if len(shown) == 1 else 'inputs'} {text.listing(shown, 4)}" if shown else "no inputs"


def _loads(arms: Mapping[str, _Arm], inputs: str, host: str, seed: int, failures: list[str]) -> list[Measurement]:
    order = list(arms) * LOADS
    random.Random(seed).shuffle(order)  # noqa: S311
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for name in order:
        request = {"kind": "load", "arms": {name: arms[name].spec}, "feed": inputs, "threads": 1}
        answer = _asked(request, f"load time of {name}", failures)
        if answer:
            answers[name].append(answer)
    found = []
    for what, key, unit in (
        ("load", "load_ms", "ms"),
        ("first-inference", "first_inference_ms", "ms"),
        ("peak-memory", "peak_memory_bytes", "bytes"),
    ):
        for name, given in answers.items():
            samples = tuple(float(answer[key]) for answer in given if answer[key] is not None)
            if samples:
                arm = arms[name]
                found.append(Measurement(what, arm.model, 1, unit, samples, LOAD_METHOD, host, arm.provider))
    return found


def _asked(request: Mapping[str, Any], what: str, failures: list[str]) -> dict[str, Any]:
    """One question to a fresh worker; {} and a sentence in `failures` where it gives no answer."""
    try:
        return ask(request, TIMEOUT_S)
    except NoAnswerError as error:
        failures.append(f"{what}: not measured, {f'{error.arm} ' if error.kind == 'model' else ''}{error}")
        return {}
