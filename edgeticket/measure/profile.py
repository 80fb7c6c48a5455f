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
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.measurement import Measurement
from edgeticket.measure.protocol import Answer, Arm, BlocksRequest, LoadAnswer, LoadRequest, Request, Slot

LIMIT_S = 3.0  # of one latency run, after which no new block begins
TIMEOUT_S = 120.0  # of one process
LOADS = 3  # fresh processes per model
SLOT = Slot(runs=5, ms=20.0, most=200)

LATENCY_METHOD = (
    "one fresh process per thread count; all models in it, timed in up to 15 blocks of one slot each in random order; "
    "all are loaded anew before a block where time allows, so that where their weights lie in memory is drawn again; "
    "a slot is one discarded inference, then 5 or more until 20 ms or 200 inferences; every inference is a sample"
)
LOAD_METHOD = (
    "three fresh processes per model, in random order, file in the page cache; an empty runtime is started first, and "
    "memory is the peak resident size above it, from loading to the end of the first inference"
)


@dataclass(frozen=True)
class Profile:
    """What was measured on this host, and a sentence for each thing that could not be."""

    host: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    failures: tuple[str, ...]

    def get(self, what: str, model: str, threads: int = 1, provider: str = "cpu") -> Measurement | None:
        """The measurement of one quantity, if it was made."""
        wanted = (what, model, threads, provider)
        return next((m for m in self.measurements if (m.what, m.model, m.threads, m.provider) == wanted), None)


@dataclass(frozen=True)
class _Series:
    """What measurements of an arm are filed under, and the arm."""

    model: str
    provider: str  # 'cpu' or 'sparse'
    arm: Arm


def _series(paths: Mapping[str, str], sparse: Sequence[str]) -> dict[str, _Series]:
    """Make all series, by the name that a failure gives them."""
    found = {name: _Series(name, "cpu", Arm(path)) for name, path in paths.items()}
    return found | {
        f"{name} on the sparse engine": _Series(name, "sparse", Arm(paths[name], EP_NAME)) for name in sparse
    }


def measure(
    models: Mapping[str, bytes],
    feed: checks.Feed,
    seed: int = 0,
    sparse: Sequence[str] = (),
    threads: Sequence[int] = (),
    loads: bool = True,
    host: Host = LOCAL,
) -> Profile:
    """Measure models (name -> ONNX bytes) on one feed, those named in `sparse` on the sparse engine as well.

    By default at one thread and at one for each core. Two small models take about 10 s.
    """
    about = checks.host()
    found: list[Measurement] = []
    failures: list[str] = []
    method = f"{LATENCY_METHOD}; {_fed(feed)}"
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        paths = {name: str(Path(folder) / f"{i}.onnx") for i, name in enumerate(models)}
        for name, path in paths.items():
            Path(path).write_bytes(models[name])
        inputs = write_feed(Path(folder) / "feed.npz", feed)
        series = _series(paths, sparse)
        arms = {name: each.arm for name, each in series.items()}
        for count in threads or sorted({1, about["cores"]}):
            request = BlocksRequest(
                arms, inputs, count, seed,
                slot=SLOT, pin=False, spinning=True, samples=True, reload=True, limit_s=LIMIT_S,
            )  # fmt: skip
            answer = _asked(host, request, f"latency at {checks.plural(count, 'thread')}", failures)
            if answer is None:
                continue
            for name, each in series.items():
                samples = tuple(sample for block in answer.blocks for sample in block.samples_ms[name])
                blocks = tuple(block.ms[name] for block in answer.blocks)
                given = (samples, method, about["fingerprint"], each.provider, blocks)
                found.append(Measurement("latency", each.model, count, "ms", *given))
        if loads:
            found += _loads(host, series, inputs, about["fingerprint"], seed, failures)
    return Profile(about, tuple(found), tuple(failures))


def _fed(feed: checks.Feed) -> str:
    """Say on what was measured, as in: input 'x' of 1×784."""
    shown = [f"{name!r} of {'×'.join(map(str, array.shape)) or 'one value'}" for name, array in feed.items()]
    return f"{'input' if len(shown) == 1 else 'inputs'} {text.listing(shown, 4)}" if shown else "no inputs"


def _loads(
    host: Host, series: Mapping[str, _Series], inputs: str, fingerprint: str, seed: int, failures: list[str]
) -> list[Measurement]:
    """Measure load time, first inference and peak memory of every series in LOADS fresh processes, in random order."""
    order = list(series) * LOADS
    random.Random(seed).shuffle(order)  # noqa: S311
    answers: dict[str, list[LoadAnswer]] = {name: [] for name in series}
    for name in order:
        answer = _asked(host, LoadRequest({name: series[name].arm}, inputs), f"load time of {name}", failures)
        answers[name] += [answer] if answer else []
    found = []
    for what, field, unit in (
        ("load", "load_ms", "ms"),
        ("first-inference", "first_inference_ms", "ms"),
        ("peak-memory", "peak_memory_bytes", "bytes"),
    ):
        for name, each in series.items():
            samples = tuple(float(v) for v in (getattr(given, field) for given in answers[name]) if v is not None)
            if samples:
                filed = (what, each.model, 1, unit, samples, LOAD_METHOD, fingerprint, each.provider)
                found.append(Measurement(*filed))
    return found


def _asked(host: Host, request: Request[Answer], what: str, failures: list[str]) -> Answer | None:
    """Ask; None and a sentence in `failures` where there is no answer."""
    try:
        return host.ask(request, TIMEOUT_S)
    except NoAnswerError as error:
        failures.append(f"{what}: not measured, {f'{error.arm} ' if error.kind == 'model' else ''}{error}")
        return None
