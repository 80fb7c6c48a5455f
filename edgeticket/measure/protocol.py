"""What a worker is asked and what it answers. wire.py writes both as JSON.

Paths are those of the machine that holds the request; relocated() makes them another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

from edgeticket.engine import CPU_PROVIDER

WORKER, TRYOUT = "edgeticket.measure.worker", "edgeticket.subject.tryout"  # the modules whose main() answers

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Arm:
    """A model file on a provider. `slowdown` spins for that share of its own time (self-test and evidence only)."""

    path: str
    provider: str = CPU_PROVIDER
    slowdown: float = 0.0


@dataclass(frozen=True)
class Slot:
    """One model's turn in a block: `runs` inferences, more until `ms` milliseconds, never above `most`."""

    runs: int = 5
    ms: float = 20.0
    most: int | None = None


@dataclass(frozen=True)
class Failure:
    """The answer where a model could not be loaded or run; the sentence `error` continues its name."""

    error: str
    arm: str


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """A request: models by name, and what is done with them in one process.

    `reads` and `writes` name the fields that hold paths, beside the arms' own: whoever runs a request on another
    machine carries those files there, and back.
    """

    kind: ClassVar[str]
    worker: ClassVar[str] = WORKER
    reads: ClassVar[tuple[str, ...]] = ("feed",)
    writes: ClassVar[tuple[str, ...]] = ()

    arms: Mapping[str, Arm]


# --- Timing, answered by measure/worker.py ---


@dataclass(frozen=True)
class TimedBlock:
    """The median of each arm in ms, why the block does not count (None: it does), and the samples if asked for."""

    ms: Mapping[str, float]
    fault: str | None = None
    samples_ms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class BlocksAnswer:
    """The blocks that were timed, and the terms.

    `pinned` are the CPUs of the process, None where it may move; `placements` counts how often all models were loaded;
    `slowdown` has the share that was really spun by arm; `instructions` those of one inference by arm, or `not_counted`
    the reason why there are none.
    """

    blocks: tuple[TimedBlock, ...]
    pinned: tuple[int, ...] | None = None
    placements: int = 1
    slowdown: Mapping[str, float] = field(default_factory=dict)
    instructions: Mapping[str, int] = field(default_factory=dict)
    not_counted: str | None = None


@dataclass(frozen=True)
class BlocksRequest(Request[BlocksAnswer]):
    """Time every arm in blocks, on the feed (an npz of measure/feed.py); the defaults are those of a duel.

    `pin` keeps the process on as many CPUs as it has threads; `reload` loads all models anew before a block where
    time allows; after `limit_s` seconds no block begins, but three are made: models beyond 20 ms get fewer blocks.
    """

    kind = "blocks"

    feed: str
    threads: int = 1
    seed: int = 0
    blocks: int = 15
    slot: Slot = field(default_factory=Slot)
    pin: bool = True
    spinning: bool = False
    samples: bool = False
    reload: bool = True
    limit_s: float | None = 6.0
    instructions: bool = False


@dataclass(frozen=True)
class LoadAnswer:
    """The time and memory of one load; `peak_memory_bytes` is above an empty runtime, None where nobody tells."""

    load_ms: float
    first_inference_ms: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class LoadRequest(Request[LoadAnswer]):
    """Load one arm in a runtime that has held an empty model, and run it once."""

    kind = "load"

    feed: str
    threads: int = 1


# --- Outputs, answered by subject/tryout.py ---


@dataclass(frozen=True)
class RuntimePort:
    """An input or output as the runtime names it: its type like 'tensor(float)', free axes None."""

    name: str
    type: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class PortsAnswer:
    """The inputs and outputs of a model."""

    inputs: tuple[RuntimePort, ...]
    outputs: tuple[RuntimePort, ...]


@dataclass(frozen=True)
class PortsRequest(Request[PortsAnswer]):
    """Load one arm and say what its inputs and outputs are."""

    kind = "ports"
    worker = TRYOUT
    reads = ()


@dataclass(frozen=True)
class TryAnswer:
    """The answer that every arm ran; `drawn` is False where no feed could be made up, and then none did."""

    drawn: bool


@dataclass(frozen=True)
class TryRequest(Request[TryAnswer]):
    """Run every arm once on the feed. With `draw` it is made up for the first arm and written to its path before."""

    kind = "try"
    worker = TRYOUT
    writes = ("feed",)

    feed: str
    draw: bool = False
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputsAnswer:
    """The answer that all outputs were written."""


@dataclass(frozen=True)
class OutputsRequest(Request[OutputsAnswer]):
    """Run every arm on all samples of the feed, one input [n, ...], in batches, and write one output [n, ...] each.

    `batches` has the arm's fixed batch size, None where it takes any; `out` the path of its npy.
    """

    kind = "outputs"
    worker = TRYOUT
    writes = ("out",)

    feed: str
    output: str
    batches: Mapping[str, int | None]
    out: Mapping[str, str]


# --- Paths ---


def relocated(request: Request[Answer], where: Callable[[str], str]) -> Request[Answer]:
    """The same request with each of its paths replaced by what `where` says of it."""
    changes: dict[str, Any] = {name: replace(arm, path=where(arm.path)) for name, arm in request.arms.items()}
    changes = {"arms": changes}
    for name in {*request.reads, *request.writes}:
        held = getattr(request, name)
        changes[name] = where(held) if isinstance(held, str) else {key: where(path) for key, path in held.items()}
    return replace(request, **changes)
