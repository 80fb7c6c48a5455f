"""What a gate is given: an artifact folder or an ONNX file, opened, and the inputs that two of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket import runtime
from edgeticket.artifact import Port
from edgeticket.errors import FolderError, InputError, IntegrityError
from edgeticket.measure import checks

_TYPES = {"float": "float32", "double": "float64"}  # the runtime's names where they are not numpy's


@dataclass(frozen=True)
class Subject:
    """One model that can be run. `opened` is its artifact, if it came as one; `path` is as the user gave it."""

    path: Path
    name: str
    model: Path  # the file to run
    sha256: str
    size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opened: checks.Opened | None

    @property
    def budget(self) -> Mapping[str, Any] | None:
        """The latency budget that an artifact carries."""
        return self.opened.manifest["budget"] if self.opened else None

    @property
    def has_slice(self) -> bool:
        """Whether it brings a labelled slice with a metric that is known here."""
        if self.opened is None:
            return False
        metric = self.opened.manifest["metric"]
        return bool(metric and metric["builtin"] and self.opened.manifest["slice"])

    def about(self) -> dict[str, Any]:
        """For a document."""
        kind = "artifact" if self.opened else "onnx"
        return {"path": str(self.path), "kind": kind, "sha256": self.sha256, "size_bytes": self.size_bytes}


def open_subject(path: Path, folder: Path, label: str) -> Subject:
    """Open an artifact (or a ticket's or run's folder with one inside) or an ONNX file.

    An artifact's model is run from a copy in `folder`, written from the very bytes whose hash was checked.

    Raises:
        FolderError: a folder without an artifact.
        IntegrityError: a file of the artifact is missing or altered.
        ModelError: the runtime cannot load the model.
    """
    opened: checks.Opened | None = None
    model = path
    if path.is_dir():
        inside = path / "artifact"
        root = inside if inside.is_dir() and not (path / checks.SUMS).exists() else path
        try:
            opened = checks.open_artifact(root)
        except checks.NotAnArtifactError as error:
            raise FolderError(f"{error}; `edgeticket export` makes one") from error
        except checks.DamagedError as error:
            raise IntegrityError(f"{root}: {error}. Copy the artifact again, or export it anew") from error
        model = folder / f"{label}.onnx"
        model.write_bytes(opened.files[checks.MODEL])
    elif not path.is_file():
        raise InputError(f"{path}: no such file or folder. Give an artifact's folder or an ONNX file.")
    data = model.read_bytes()
    session = runtime.cpu_session(path if opened is None else model)
    inputs, outputs = (tuple(map(_port, ports)) for ports in (session.get_inputs(), session.get_outputs()))
    name = str(opened.manifest["name"]) if opened else path.stem
    return Subject(path, name, model, hashlib.sha256(data).hexdigest(), len(data), inputs, outputs, opened)


def _port(port: Any) -> Port:
    kind = port.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(axis if isinstance(axis, int) and axis >= 0 else None for axis in port.shape)
    return Port(port.name, _TYPES.get(kind, kind), shape)


def require_alike(candidate: Subject, baseline: Subject) -> None:
    """Two models can be compared where inputs and outputs have the same names, types and shapes (free axes fit any).

    Raises:
        InputError: they have not; the sentence names the first difference.
    """
    for what in ("inputs", "outputs"):
        here, there = ({port.name: port for port in getattr(each, what)} for each in (candidate, baseline))
        if here.keys() != there.keys():
            raise InputError(
                f"{candidate.path} and {baseline.path} cannot be compared: the {what} of one are "
                f"{', '.join(here) or 'none'}, of the other {', '.join(there) or 'none'}; give two versions of a model"
            )
        for name, port in here.items():
            if not _fits(port, there[name]):
                raise InputError(
                    f"{candidate.path} and {baseline.path} cannot be compared: {what[:-1]} {name!r} is {_shown(port)} "
                    f"in one and {_shown(there[name])} in the other; give two versions of a model"
                )


def _fits(a: Port, b: Port) -> bool:
    if a.dtype != b.dtype or len(a.shape) != len(b.shape):
        return False
    return all(None in (x, y) or x == y for x, y in zip(a.shape, b.shape, strict=True))


def _shown(port: Port) -> str:
    return f"{port.dtype}[{', '.join('?' if axis is None else str(axis) for axis in port.shape)}]"


def shared_feed(subjects: tuple[Subject, ...], shapes: Mapping[str, tuple[int, ...]]) -> checks.Feed:
    """What both are timed on: an artifact's first golden input at batch 1, else numbers that were drawn.

    Raises:
        InputError: no inputs could be made, or one of the models does not run on them.
    """
    for subject in subjects:
        if subject.opened is not None and subject.opened.manifest["golden"]["atol"] and not shapes:
            feed = next(checks.golden_feeds(subject.opened))[0]
            if subject.opened.manifest["golden"]["single"]:
                feed = checks.single(subject.opened.manifest["inputs"], feed)
            break
    else:
        feed = _drawn(subjects[0], shapes)
    for subject in subjects:
        runtime.run(runtime.cpu_session(subject.model), feed)
    return feed


def _drawn(subject: Subject, shapes: Mapping[str, tuple[int, ...]]) -> checks.Feed:
    """Normal numbers at batch 1; with onnx installed, free axes and integers as graph/probes.py draws them."""
    try:
        from edgeticket.graph import load, probes
    except ModuleNotFoundError:
        if any(port.dtype not in ("float32", "float64", "float16") for port in subject.inputs):
            raise
        rng = np.random.default_rng(0)
        return {
            port.name: rng.standard_normal(shapes.get(port.name) or tuple(axis or 1 for axis in port.shape)).astype(
                port.dtype
            )
            for port in subject.inputs
        }
    made = probes.probes(load.load_model(subject.model), shapes)
    if not made:
        raise InputError(
            f"{subject.path}: no inputs could be made up for its free axes or types; give shapes with "
            "--input-shape NAME=1x3x32x32"
        )
    normal = [probe for probe in made if probe.name.startswith("normal")] or list(made)
    chosen = next((probe for probe in normal if probe.name == "normal, batch 1"), normal[0])
    return dict(chosen.feed)
