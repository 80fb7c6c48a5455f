"""Ticket: the chosen round of iterative magnitude pruning, made portable. These are the documents of ticket.json.

Format history of ticket.json
1  2026-11  first version (0.1.0). Settings may be added: one that a record does not hold is its default
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgeticket.ticket.kinds import At, ControlKind
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.pruning import PrunableLayer

FORMAT = "edgeticket-ticket"
VERSION = 1

Array = NDArray[Any]


@dataclass(frozen=True)
class Point:
    """The network at one iteration. Metrics in the metric's own unit (accuracy: percent)."""

    iteration: int
    validation_loss: float
    validation_metric: float
    test_loss: float
    test_metric: float


class _Trained:
    """What a round and a control have in common: a mask that was trained to the end."""

    kept: int
    total: int
    early_stop: Point
    end: Point

    @property
    def density(self) -> float:
        """The share of the prunable weights that is left (P_m of the paper)."""
        return self.kept / self.total if self.total else 1.0

    def at(self, where: At) -> Point:
        """The point compared."""
        return self.early_stop if where == At.EARLY_STOP else self.end


@dataclass(frozen=True)
class Round(_Trained):
    """One train, prune, rewind: the mask it trained with and what came of it. Round 0 is the dense network.

    Files, relative to the ticket's folder: `rounds/NN/mask.safetensors` (bool), `early_stop.safetensors`,
    `end.safetensors` (every parameter and buffer at the two iterations) and `curve.safetensors`.
    """

    number: int
    kept: int
    total: int
    early_stop: Point
    end: Point
    seconds: float
    started: str


@dataclass(frozen=True)
class Control(_Trained):
    """One control run: the masks of a round trained from fresh weights, or a random mask of the same counts."""

    kind: ControlKind
    round: int
    trial: int
    kept: int
    total: int
    early_stop: Point
    end: Point
    seconds: float
    started: str


@dataclass(frozen=True)
class Choice:
    """What the ticket was chosen by: the loss in points of the metric that it may have, and where it is compared."""

    tolerance: float
    at: At


@dataclass(frozen=True)
class RecordedMetric:
    """The task's metric. A `builtin` one is in ticket/metrics.py, so that export and check can compute it again."""

    name: str
    unit: str
    higher_is_better: bool
    builtin: bool


@dataclass(frozen=True)
class RecordedInput:
    """The network's input. `shape` is without the batch; scale and offset are those of edgeticket.Data, or None."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | tuple[float, ...] | None
    offset: float | tuple[float, ...] | None
    preprocessing: str
    test_size: int


@dataclass(frozen=True)
class RecordedOutput:
    """The network's output. `shape` is without the batch; None is an axis of no fixed size."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Record:
    """ticket.json, whole. `settings` decide the result bit by bit; `choice` may change on a later run.

    `settings` and `provenance` stay mappings: which settings there are grows from version to version, and what is
    recorded of a machine is compared with nothing.
    """

    format: str
    version: int
    task: str
    settings: dict[str, Any]
    choice: Choice
    provenance: dict[str, Any]  # versions, date, machine: recorded, never compared
    metric: RecordedMetric
    input: RecordedInput
    output: RecordedOutput
    layers: list[PrunableLayer]
    files: dict[str, str]  # path in the folder -> sha256
    rounds: list[Round] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    ticket: int | None = None  # the chosen round

    def dense(self) -> Round:
        """Round 0."""
        return self.rounds[0]


@dataclass(frozen=True)
class TestSet:
    """The test set as the network sees it: inputs [n, ...] float32 (or integers) and targets [n, ...].

    `stored` is what rests on disk: 'inputs' and 'targets', and 'scale' and 'offset' where the inputs are uint8.
    """

    __test__ = False  # not a pytest class

    inputs: Array
    targets: Array
    of: int  # the size of the whole test set; len(inputs) where nothing was capped
    stored: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A ticket read back: everything `export` needs, without torch.

    `graph` is an ONNX model whose parameters are graph inputs, named as in `weights`, `dense_weights` and `mask`.
    """

    path: Path
    record: Record
    round: Round
    mask: Mask
    weights: Mapping[str, Array]
    dense_weights: Mapping[str, Array]
    graph: bytes
    test: TestSet
