"""What a report is made of: numbers only, no formatting. report.json is this, whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeticket.artifact import Manifest
from edgeticket.measurement import Measurement


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
    layers and tensors stand in the manifest. `measurements` is empty and `host` None where nothing was timed.
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

    def measured(self, what: str, model: str, threads: int = 1) -> Measurement | None:
        """The measurement of one quantity, if it was made."""
        wanted = (what, model, threads)
        return next((m for m in self.measurements if (m.what, m.model, m.threads) == wanted), None)

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The thread counts at which latency was measured."""
        return tuple(sorted({m.threads for m in self.measurements if m.what == "latency"}))

    @property
    def removed_units(self) -> int:
        """How many output units or channels are gone, over all layers that are left."""
        return sum(
            layer["shape_before"][axis] - layer["shape_after"][axis]
            for layer in self.manifest.layers
            if len(layer["shape_after"]) == len(layer["shape_before"])
            for axis in (_output_axis(layer),)
        )


def _output_axis(layer: Mapping[str, Any]) -> int:
    """The axis of the weight that counts outputs: the last for a MatMul [in, out], the first for Conv and Gemm."""
    return -1 if layer["op"] == "MatMul" else 0
