"""A model as it was given: an artifact folder or an ONNX file, opened, and held against another for comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeticket.artifact import checks
from edgeticket.artifact.folder import artifact_in
from edgeticket.artifact.manifest import Port
from edgeticket.errors import FolderError, InputError, IntegrityError, ModelError
from edgeticket.files import why_no_file
from edgeticket.measure import protocol
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm, PortsRequest
from edgeticket.subject.laid_out import laid_out

PROCESS_S = 60.0
_TYPES = {"float": "float32", "double": "float64", "string": "str"}  # the runtime's names where they are not numpy's


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
        """Describe it for a document."""
        kind = "artifact" if self.opened else "onnx"
        return {"path": str(self.path), "kind": kind, "sha256": self.sha256, "size_bytes": self.size_bytes}


def open_subject(path: Path, folder: Path, label: str, process_s: float = PROCESS_S, host: Host = LOCAL) -> Subject:
    """Open an artifact (or a ticket's or run's folder with one inside) or an ONNX file.

    An artifact's model is run from a copy in `folder`, written from the bytes whose hash was checked; so is an ONNX
    file whose data are links that the runtime does not follow. It is loaded in a process of its own, which may take
    `process_s`.

    Raises:
        FolderError: a folder without an artifact.
        IntegrityError: a file of the artifact is missing or altered.
        ModelError: the runtime cannot load the model, hangs on it, or is killed by it.
    """
    opened: checks.Opened | None = None
    model = path
    if path.is_dir():
        root = artifact_in(path)
        try:
            opened = checks.open_artifact(root)
        except checks.NotAnArtifactError as error:
            raise FolderError(f"{error}; `edgeticket export` makes one") from error
        except checks.DamagedError as error:
            raise IntegrityError(f"{root}: {error}. Copy the artifact again, or export it anew") from error
        model = folder / f"{label}.onnx"
        model.write_bytes(opened.files[checks.MODEL])
    elif not path.is_file():
        raise InputError(f"{path}: {why_no_file(path, 'file or folder')}. Give an artifact's folder or an ONNX file.")
    else:
        model = laid_out(path, folder / label)
    data = model.read_bytes()
    try:
        ports = host.ask(PortsRequest({label: Arm(str(model))}), process_s)
    except NoAnswerError as error:
        raise ModelError(f"{path}: it cannot be loaded: {error}") from error
    inputs, outputs = (tuple(map(_port, given)) for given in (ports.inputs, ports.outputs))
    name = str(opened.manifest["name"]) if opened else path.stem
    return Subject(path, name, model, hashlib.sha256(data).hexdigest(), len(data), inputs, outputs, opened)


def _port(given: protocol.RuntimePort) -> Port:
    """The runtime's word for a port as a manifest has it."""
    kind = given.type.removeprefix("tensor(").removesuffix(")") if given.type.startswith("tensor(") else given.type
    return Port(given.name, _TYPES.get(kind, kind), given.shape)


def require_alike(candidate: Subject, baseline: Subject) -> None:
    """Refuse two models unless inputs and outputs have the same names, types and shapes (free axes fit any).

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
