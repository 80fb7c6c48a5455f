"""manifest.json: what an artifact is, and every value that a check on the device needs.

These are the files of an artifact; folder.py writes them.
    model.onnx      an ordinary ONNX file
    manifest.json   the Manifest below
    golden.npz      inputs, and the outputs that belong to them
    slice.npz       a labelled slice of the test set (tickets only)
    check.py        artifact/checks.py, to be run on the device
    verify/         runtime_tests/: the same checks as a pytest suite, and run.py, which does without pytest
    report.json     what was measured and how; report.md and report.html for people
    SHA256SUMS      for `sha256sum -c`

A field that gets a default may be added without a new version: a manifest that lacks it is read with the default.

Format history of manifest.json
1  2026-11  first version
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgeticket.artifact.decode import decode
from edgeticket.artifact.proofs import GraphProof as GraphProof
from edgeticket.artifact.proofs import ProofInfo as ProofInfo
from edgeticket.artifact.proofs import Verdict as Verdict
from edgeticket.artifact.proofs import leave_out_absent
from edgeticket.errors import FolderError, IntegrityError

FORMAT = "edgeticket-artifact"
VERSION = 1
SUMS, MANIFEST, MODEL = "SHA256SUMS", "manifest.json", "model.onnx"
GOLDEN, SLICE, CHECKER, VERIFY = "golden.npz", "slice.npz", "check.py", "verify"


@dataclass(frozen=True)
class Port:
    """An input or output of the model; an axis of None is free (symbolic)."""

    name: str
    dtype: str  # numpy's name; of a sequence, map or optional the runtime's, such as seq(tensor(float))
    shape: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class OnnxSource:
    """The artifact was made from an ONNX file."""

    kind: Literal["onnx"] = "onnx"
    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TicketSource:
    """The artifact was made from one round of a ticket, with the weights of one of its two points."""

    kind: Literal["ticket"] = "ticket"
    task: str
    trial: str | None  # the trial's folder in a run; None where the ticket's own folder was given
    round: int
    at: str  # 'early-stop' or 'end'
    kept: int
    total: int
    density: float
    sha256: str  # of graph, mask and weights together


@dataclass(frozen=True)
class MetricInfo:
    """The task's metric, and its values in the metric's own unit for the exported file on ONNX Runtime.

    A value is None where it was not computed: the metric is the task's own, or some outputs are not finite.
    """

    name: str
    unit: str
    higher_is_better: bool
    builtin: bool
    slice_value: float | None = None
    whole_value: float | None = None
    whole_samples: int | None = None
    of: int | None = None  # the size of the whole test set, of which the ticket may hold a part


@dataclass(frozen=True)
class SliceInfo:
    """How slice.npz is to be read and judged. Inputs are float32(stored) * scale + offset, or as stored."""

    samples: int
    dtype: str  # of the stored inputs
    scale: float | tuple[float, ...] | None  # one number, or one for each channel
    offset: float | tuple[float, ...] | None
    atol: float  # how far the first output may lie from the one computed at export
    masked_max_abs_delta: float | None = None  # to the masked network's outputs, for a metric of the task's own


@dataclass(frozen=True)
class GoldenInfo:
    """Which outputs golden.npz holds, and the tolerance of each: `atol` by feed, then by output. rtol is always 0.

    A sequence or map is held flat, and `NAME (structure)` beside it: see flattened() of checks.py.
    """

    outputs: tuple[str, ...]
    atol: tuple[tuple[float, ...], ...]
    rtol: float = 0.0
    single: bool = False  # whether the model runs at batch 1

    @classmethod
    def none(cls) -> GoldenInfo:
        """No golden outputs: the runtime cannot run the model."""
        return cls((), ())


@dataclass(frozen=True)
class LayerInfo:
    """One weight before and after simplification: what the stored file must hold under the initializer's `name`.

    `shape_after` is () and `nonzeros_after` 0 where the whole layer was removed.
    """

    name: str
    op: str
    shape_before: tuple[int, ...]
    shape_after: tuple[int, ...]
    nonzeros_before: int
    nonzeros_after: int

    @property
    def removed(self) -> bool:
        """Nothing of this layer is left."""
        return self.shape_after == ()


@dataclass(frozen=True)
class TensorInfo:
    """How one tensor is stored. `size_bytes` holds its share of the nodes and constants that rebuild it."""

    name: str
    shape: tuple[int, ...]
    nonzeros: int  # of the stored codes; where zero points stand for zero, codes that differ from them
    storage: str  # 'dense', 'gaps', 'sparse-initializer', or 'computed' from another tensor
    weights: str  # how values rest: 'fp32', 'fp16' or 'int8' where dtype is float32, else dtype itself ('bf16', ...)
    size_bytes: int
    note: str
    dtype: str = "float32"  # the tensor's own, by numpy's name
    lossless: bool = False  # a narrower type holds all of its numbers

    @property
    def rounded(self) -> bool:
        """Values rest less precisely than the tensor holds them."""
        return self.dtype == "float32" and self.weights != "fp32" and not self.lossless


@dataclass(frozen=True)
class Budget:
    """The latency allowed for the median inference (at batch 1 where the model takes it), and where that holds."""

    latency_ms: float
    threads: int = 1
    host: str = "any"  # or the fingerprint of one host


@dataclass(frozen=True)
class Manifest:
    """manifest.json, whole. `provenance` holds labelled facts about the search that found the ticket."""

    name: str
    source: TicketSource | OnnxSource
    storage: str
    weights: str
    size_bytes: int
    dense_size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    preprocessing: Any  # what the task says; None for an ONNX source
    metric: MetricInfo | None
    slice: SliceInfo | None
    golden: GoldenInfo
    proof: ProofInfo
    budget: Budget | None
    layers: tuple[LayerInfo, ...] = ()
    tensors: tuple[TensorInfo, ...] = ()
    provenance: Mapping[str, str | float | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION

    @property
    def unproved(self) -> bool:
        """Nothing could be compared: the runtime cannot run the model, or it is random."""
        return self.proof.verdict == "not proved"

    def to_json(self) -> str:
        """The document, format and version first."""
        body = asdict(self)
        leave_out_absent(body["proof"])
        for tensor in body["tensors"]:
            for name, default in (("dtype", "float32"), ("lossless", False)):
                if tensor[name] == default:  # what 0.1.0 wrote stays as it was
                    del tensor[name]
        head = {key: body.pop(key) for key in ("format", "version")}
        return json.dumps(head | body, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, path: Path) -> Manifest:
        """Read the document back; `path` is named in errors.

        Raises:
            IntegrityError: it is no JSON, or a field is missing, unknown or of the wrong kind.
            FolderError: it is of another format or a newer version.
        """
        try:
            body = json.loads(text)
            kind, version = body["format"], body["version"]
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityError(f"{path}: not a manifest ({error!r}); export the model again") from error
        if kind != FORMAT or version != VERSION:
            here = f"this edgeticket reads {FORMAT!r} version {VERSION}"
            raise FolderError(f"{path}: {kind!r} version {version!r}, and {here}")
        try:
            return decode(cls, body)
        except ValueError as error:
            raise IntegrityError(f"{path}: {error}; export the model again") from error
