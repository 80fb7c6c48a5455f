"""What a report is made of: numbers only, no formatting. report.json is this, whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeticket.artifact.manifest import Manifest
from edgeticket.measure.measurement import Measurement

RUNS = (("dense", "cpu"), ("exported", "cpu"), ("exported", "sparse"))  # a model on a provider, in reading order
REMOVAL = "remove-dead"  # the pass, as its notes name it


@dataclass(frozen=True)
class Score:
    """The metric of one network: on the validation set where `find` measured it, and on the test set."""

    network: str  # 'dense', 'ticket' or 'exported file'
    where: str  # 'early stopping', 'end' or 'ONNX Runtime'
    compared: bool  # whether the headline quotes it
    validation: float | None
    test: float
    test_samples: int


@dataclass(frozen=True)
class Content:
    """Everything the report says.

    `passes` hold pass_name, changed and sentence; `sizes` the bytes of the whole file for each storage and of its gzip;
    layers and tensors stand in the manifest. `measurements` is empty and `host` None where nothing was timed. `engine`
    is what parity.py found (state, sentence, claimed, nodes, max_abs_delta, tolerance, within), None without golden
    inputs. `storage_notes` are those of the remarks that say what the storage declined. `names` gives the network's own
    name of a tensor, where the file's is one that an exporter made up.
    `baseline` says in sentences what the dense network is that stands beside, and what was tried for it.
    """

    manifest: Manifest
    created: str
    passes: tuple[Mapping[str, Any], ...]
    sizes: Mapping[str, int]
    scores: tuple[Score, ...]
    measurements: tuple[Measurement, ...]
    failures: tuple[str, ...]
    host: Mapping[str, Any] | None
    remarks: tuple[str, ...] = ()
    storage_notes: tuple[str, ...] = ()
    engine: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    baseline: tuple[str, ...] = ()

    def parameter(self, tensor: str) -> str:
        """The network's own name of a tensor of the file."""
        return self.names.get(tensor, tensor)

    def measured(self, what: str, model: str, threads: int = 1, provider: str = "cpu") -> Measurement | None:
        """The measurement of one quantity, if it was made."""
        wanted = (what, model, threads, provider)
        return next((m for m in self.measurements if (m.what, m.model, m.threads, m.provider) == wanted), None)

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The thread counts at which latency was measured."""
        return tuple(sorted({m.threads for m in self.measurements if m.what == "latency"}))

    @property
    def removed_dead(self) -> bool:
        """Whether a unit, channel or branch was removed because it was dead."""
        return any(each["changed"] for each in self.passes if each["pass_name"] == REMOVAL)

    @property
    def packed(self) -> bool:
        """Whether the runtime rebuilds a tensor at load."""
        return any(each.storage != "dense" or each.rounded for each in self.manifest.tensors)

    @property
    def weights_held(self) -> tuple[int, int]:
        """The elements of all weights, zeros included, before and after the removal of what is dead."""
        before = sum(elements(layer.shape_before) for layer in self.manifest.layers)
        return before, sum(elements(layer.shape_after) for layer in self.manifest.layers)

    @property
    def zeros(self) -> tuple[int, int]:
        """The zeros in all weights, before and after."""
        before, after = self.weights_held
        layers = self.manifest.layers
        return (
            before - sum(layer.nonzeros_before for layer in layers),
            after - sum(layer.nonzeros_after for layer in layers),
        )

    @property
    def repeated_elsewhere(self) -> tuple[int, int]:
        """Of the file's constants that are no layers' weights: zeros and values that repeat, and all numbers.

        Of a tensor one value may repeat: that which most of its numbers have.
        """
        layers = {layer.name for layer in self.manifest.layers}
        others = [each for each in self.manifest.tensors if each.name not in layers and each.storage != "computed"]
        numbers = sum(elements(each.shape) for each in others)
        return numbers - sum(each.nonzeros for each in others), numbers


def elements(shape: Sequence[int]) -> int:
    """The number of elements of a weight; 0 for one that was removed, whose shape is ()."""
    return math.prod(shape) if shape else 0
