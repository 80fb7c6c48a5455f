"""Artifact: the folder that leaves for the device. Its manifest, and writing it so that it is whole or not there.

    model.onnx      an ordinary ONNX file
    manifest.json   the Manifest below
    golden.npz      inputs, and the outputs that belong to them
    slice.npz       a labelled slice of the test set (tickets only)
    check.py        artifact/checks.py, to be run on the device
    verify/         runtime_tests/: the same checks as a pytest suite, and run.py, which does without pytest
    report.json     what was measured and how; report.md and report.html for people
    SHA256SUMS      for `sha256sum -c`

Format history of manifest.json
1  2026-11  first version
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgeticket.errors import FolderError, IntegrityError

FORMAT = "edgeticket-artifact"
VERSION = 1
SUMS, MANIFEST, MODEL = "SHA256SUMS", "manifest.json", "model.onnx"
GOLDEN, SLICE, CHECKER, VERIFY = "golden.npz", "slice.npz", "check.py", "verify"


@dataclass(frozen=True)
class Port:
    """An input or output of the model; an axis of None is free (symbolic)."""

    name: str
    dtype: str  # numpy's name
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Budget:
    """The latency allowed for the median inference (at batch 1 where the model takes it), and where that holds."""

    latency_ms: float
    threads: int = 1
    host: str = "any"  # or the fingerprint of one host


@dataclass(frozen=True)
class Manifest:
    """manifest.json: what the artifact is, and every value a check on the device needs."""

    name: str
    source: dict[str, Any]  # kind 'ticket' or 'onnx', file or task, round, density, sha256
    storage: str
    weights: str
    size_bytes: int
    dense_size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    preprocessing: Any  # what the task says; None for an ONNX source
    metric: dict[str, Any] | None  # name, unit, higher_is_better, builtin, slice_value, whole_value, whole_samples
    slice: dict[str, Any] | None  # samples, dtype, scale, offset, atol, masked_max_abs_delta
    golden: dict[str, Any]  # outputs compared, atol of each feed and output, rtol (always 0), single (batch 1 runs)
    proof: dict[str, Any]  # verdict, reason, max_abs_delta, top1_agreement, tolerance, float64_error, samples, ...
    budget: Budget | None
    layers: list[dict[str, Any]] = field(default_factory=list)
    tensors: list[dict[str, Any]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION

    @property
    def unproved(self) -> bool:
        """Nothing could be compared: the runtime cannot run the model, or it is random."""
        return bool(self.proof["verdict"] == "not proved")

    def to_json(self) -> str:
        """The document, format and version first."""
        body = asdict(self)
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
        known = {each.name for each in fields(cls)}
        if set(body) != known:
            odd = ", ".join(sorted(set(body) ^ known))
            raise IntegrityError(f"{path}: fields missing or unknown: {odd}; export the model again")
        try:
            for ports in ("inputs", "outputs"):
                body[ports] = tuple(Port(port["name"], port["dtype"], tuple(port["shape"])) for port in body[ports])
            body["budget"] = None if body["budget"] is None else Budget(**body["budget"])
        except (TypeError, KeyError) as error:
            raise IntegrityError(f"{path}: a value is of the wrong kind ({error!r}); export the model again") from error
        return cls(**body)
