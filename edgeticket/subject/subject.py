"""What a gate is given: an artifact folder or an ONNX file, opened, and the inputs that two of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.artifact.manifest import Port
from edgeticket.errors import FolderError, InputError, IntegrityError, ModelError
from edgeticket.measure.arm import read_feed, write_feed
from edgeticket.measure.process import NoAnswerError
from edgeticket.subject.tryout import ask

PROCESS_S = 60.0
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

    def unchanged(self) -> bool:
        """Whether the file that is run is still the one that was opened."""
        try:
            return hashlib.sha256(self.model.read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False

    def about(self) -> dict[str, Any]:
        """For a document."""
        kind = "artifact" if self.opened else "onnx"
        return {"path": str(self.path), "kind": kind, "sha256": self.sha256, "size_bytes": self.size_bytes}


def open_subject(path: Path, folder: Path, label: str, process_s: float = PROCESS_S) -> Subject:
    """Open an artifact (or a ticket's or run's folder with one inside) or an ONNX file.

    An artifact's model is run from a copy in `folder`, written from the very bytes whose hash was checked. It is loaded
    in a process of its own, which may take `process_s`.

    Raises:
        FolderError: a folder without an artifact.
        IntegrityError: a file of the artifact is missing or altered.
        ModelError: the runtime cannot load the model, hangs on it, or is killed by it.
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
    try:
        ports = ask({"kind": "ports", "arms": {label: {"path": str(model)}}}, process_s)
    except NoAnswerError as error:
        raise ModelError(f"{path}: it cannot be loaded: {error}") from error
    inputs, outputs = (tuple(_port(*port) for port in ports[what]) for what in ("inputs", "outputs"))
    name = str(opened.manifest["name"]) if opened else path.stem
    return Subject(path, name, model, hashlib.sha256(data).hexdigest(), len(data), inputs, outputs, opened)


def _port(name: str, kind: str, shape: Sequence[int | None]) -> Port:
    kind = kind.removeprefix("tensor(").removesuffix(")")
    return Port(name, _TYPES.get(kind, kind), tuple(shape))


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


def shared_feed(
    subjects: Mapping[str, Subject], shapes: Mapping[str, tuple[int, ...]], path: Path, process_s: float = PROCESS_S
) -> checks.Feed:
    """What all are timed on, written to `path`: an artifact's first golden input at batch 1, else numbers drawn.

    Each has run on it once when this returns, in one process that may take `process_s`.

    Raises:
        InputError: no inputs could be made, or one of the models does not run on them.
        NoAnswerError: the process hung or was killed; `arm` is a name in `subjects`.
    """
    feed = _golden(subjects.values()) if not shapes else None
    first = next(iter(subjects.values()))
    if feed is None:
        feed = _drawn_here(first, shapes)
    if feed is not None:
        write_feed(path, feed)
    arms = {name: {"path": str(subject.model)} for name, subject in subjects.items()}
    request = {"kind": "try", "arms": arms, "feed": str(path), "draw": feed is None, "shapes": dict(shapes)}
    try:
        drawn = ask(request, process_s)["drawn"]
    except NoAnswerError as error:
        if error.kind != "model":
            raise
        which = subjects.get(error.arm or "", first).path
        ways = "; --input-shape NAME=1x3x32x32 gives an input a shape that suits every model"
        raise InputError(f"{which}: it {error}{ways if _has_free_axes(subjects.values()) else ''}") from error
    if not drawn:
        raise InputError(
            f"{first.path}: no inputs could be made up for its free axes or types; give shapes with "
            "--input-shape NAME=1x3x32x32"
        )
    return read_feed(str(path))


def _has_free_axes(subjects: Iterable[Subject]) -> bool:
    return any(None in port.shape for subject in subjects for port in subject.inputs)


def _golden(subjects: Iterable[Subject]) -> checks.Feed | None:
    for subject in subjects:
        if subject.opened is not None and subject.opened.manifest["golden"]["atol"]:
            feed = next(checks.golden_feeds(subject.opened))[0]
            single = subject.opened.manifest["golden"]["single"]
            return checks.single(subject.opened.manifest["inputs"], feed) if single else feed
    return None


def _drawn_here(subject: Subject, shapes: Mapping[str, tuple[int, ...]]) -> checks.Feed | None:
    """Normal numbers at batch 1 where onnx, which the worker draws with, is not installed; None where it is."""
    try:
        import edgeticket.graph.proving.probes  # noqa: F401
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
    return None
