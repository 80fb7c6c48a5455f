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
from edgeticket.errors import FolderError, IntegrityError

FORMAT = "edgeticket-artifact"
VERSION = 1
SUMS, MANIFEST, MODEL = "SHA256SUMS", "manifest.json", "model.onnx"
GOLDEN, SLICE, CHECKER, VERIFY = "golden.npz", "slice.npz", "check.py", "verify"

Verdict = Literal["proved", "refuted", "not proved", "measured"]


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
class GraphProof:
    """The simplified network beside the original, both in float64; graph/proving/graph_proof.py derives the tolerance.

    verdict: 'proved', 'refuted', or 'not proved' where float64 could not be run: `reason` says why.
    max_abs_delta, tolerance: of the output and feed that came nearest to its tolerance.
    in_float32: operators that nothing here runs in float64: what depends on them is held to float32's tolerance.
    """

    verdict: Verdict
    reason: str
    max_abs_delta: float | None = None
    tolerance: float | None = None
    samples: int = 0
    in_float32: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProofInfo:
    """What running the exported file beside the masked network found; graph/proving/proof.py derives the tolerance.

    verdict: 'proved', 'refuted' (an output moved too far), 'not proved' (nothing could be compared), or 'measured'
        (values are stored as fp16 or int8: outputs move on purpose, and no tolerance applies to the file).
    max_abs_delta: largest |exported - original| over all finite float outputs.
    output: the one that came nearest to its tolerance, with `tolerance`, `delta` (how far the file lies from float64,
        or from the original where float64 was not run), float64_error (how far the original lies from float64 there)
        and output_range (its largest less its smallest value).
    top1_agreement: share of rows with the same argmax over axis 1, for the first two-dimensional float output.
    nonfinite: outputs of the original that are NaN or infinite; nonfinite_differ of them are not the same in the
        exported one (a removed zero no longer passes on a NaN or an infinity).
    discrete: outputs that are no floats (class numbers, flags); discrete_differ of them changed, which only rounding
        of stored values may do.
    graph: where values are stored rounded, the proof of the same graph with its values in fp32; None where the file
        itself was held to the tolerance.
    in_float64: the proof of the graph; None in an artifact of 0.1.0, which had none.
    """

    verdict: Verdict
    reason: str
    max_abs_delta: float | None = None
    top1_agreement: float | None = None
    tolerance: float | None = None
    delta: float | None = None
    float64_error: float | None = None
    samples: int = 0
    nonfinite: int = 0
    nonfinite_differ: int = 0
    discrete: int = 0
    discrete_differ: int = 0
    graph: ProofInfo | None = None
    output: str | None = None
    output_range: float | None = None
    in_float64: GraphProof | None = None

    @property
    def proved(self) -> bool:
        """No output moved by more than rounding."""
        return self.verdict == "proved"


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
        _leave_out_absent(body["proof"])
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


def _leave_out_absent(proof: dict[str, Any]) -> None:
    """Leave out what 0.1.0 did not know where there is nothing to say: its manifests are written back as they were."""
    for name in ("output", "output_range", "in_float64"):
        if proof[name] is None:
            del proof[name]
    if proof["graph"] is not None:
        _leave_out_absent(proof["graph"])
