"""External data: read only from regular files that belong to the model, within their bounds.

Two things lead out of a folder: a name ('..', absolute) and a link. Such names are refused as written. A link is
followed into the model's own folder, and into a store of files as model hubs and data versioning keep one; see
`_in_a_store`. A link to any other file is refused: whoever unpacks a stranger's archive gets the stranger's links too,
and what they point to would leave with the exported model.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from edgeticket.errors import ModelError
from edgeticket.graph.reading.tensors import expected_bytes, tensors_of

_HASH = re.compile(r"[0-9a-f]{30,}")  # a file named after its content: MD5 without its first byte, SHA-1, SHA-256


def read_external(tensor: onnx.TensorProto, model: Path | None, where: str, left_bytes: int) -> int:
    """Move a tensor's external bytes into the tensor. Returns how many there are. `model` is the file that names them.

    Raises:
        ModelError: outside the folder, missing, no regular file, other than the shape's size, or above `left_bytes`.
    """
    fields = {entry.key: entry.value for entry in tensor.external_data}
    name, location = tensor.name or "(unnamed)", fields.get("location", "")
    path = _followed(location, model, name, where)
    expected = expected_bytes(tensor)
    if expected is None or any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"{where}: the tensor {name!r} has a type or shape that external data cannot hold.")
    try:
        offset, length = int(fields.get("offset", "0")), int(fields.get("length", str(expected)))
    except ValueError as error:
        raise ModelError(f"{where}: the tensor {name!r} has an offset or length that is no number.") from error
    if offset < 0 or length != expected:
        raise ModelError(
            f"{where}: the tensor {name!r} of shape {list(tensor.dims)} needs {expected} bytes, "
            f"its external data name {length} from {offset}. Export the model again."
        )
    if length > left_bytes:
        raise ModelError(f"{where}: with {location!r} the model is larger than the 2 GiB an ONNX file can hold.")
    tensor.raw_data = _read(path, offset, length, location, name, where)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT
    return length


def linked_data(path: Path) -> dict[str, Path]:
    """The external data that ONNX Runtime does not follow from the model in `path`: location -> the file it means.

    ONNX Runtime (1.31) reads data in the folder of the model's own file, links resolved, and refuses others.

    Raises:
        ModelError: as read_external, where data lie outside the folder or are missing.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception:  # whoever loads it says what is wrong with it
        return {}
    found = dict(_locations(model, path))
    home = path.resolve().parent
    return found if any(not file.is_relative_to(home) for file in found.values()) else {}


def _locations(model: onnx.ModelProto, path: Path) -> Iterator[tuple[str, Path]]:
    for tensor in tensors_of(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            yield location, _followed(location, path, tensor.name or "(unnamed)", str(path))


def _followed(location: str, model: Path | None, name: str, where: str) -> Path:
    """The file that `location` means, links resolved."""
    refusal = f"{where}: the tensor {name!r} keeps its data in {location!r}, outside the model's folder; not followed. "
    beside = "Put the data beside the model, or save the model as one file."
    if model is None:
        raise ModelError(f"{where}: the tensor {name!r} has external data, but this model has no folder of its own.")
    pure, windows = PurePosixPath(location), PureWindowsPath(location)
    if not location or "\0" in location or pure.is_absolute() or windows.drive or windows.root:
        raise ModelError(refusal + beside)
    if ".." in pure.parts or ".." in windows.parts:
        raise ModelError(refusal + beside)
    try:
        home = model.parent.resolve(strict=True)
        path = (model.parent / location).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{where}: the external data {location!r} of tensor {name!r} are missing beside the model. "
            "Copy them there too."
        ) from error
    if not path.is_relative_to(home) and not _in_a_store(path, model.resolve(), home):
        raise ModelError(
            f"{refusal}It is a link to {path}, which is neither in a store that the model itself is linked from, nor "
            f"named after its content. {beside}"
        )
    return path


def _in_a_store(path: Path, model: Path, home: Path) -> bool:
    """Is `path` a file of a store, from which hubs and data versioning link models into the folder `home`?

    Either the model itself is a link, and both lie in one folder that does not hold `home`; or the file is named after
    its content, as in the caches of Hugging Face, DVC and git-annex, so that nothing private is meant by chance.
    """
    shared = Path(os.path.commonpath([path.parent, model.parent]))
    return bool(not home.is_relative_to(shared) or _HASH.search(path.name))


def _read(path: Path, offset: int, length: int, location: str, name: str, where: str) -> bytes:
    try:
        # Non-blocking, so that a named pipe cannot hang us; no link, so that a swapped file is not followed.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{where}: {location!r}, the external data of tensor {name!r}, is no regular file.")
            if offset + length > status.st_size:
                raise ModelError(
                    f"{where}: the tensor {name!r} needs bytes {offset} to {offset + length} of {location!r}, "
                    f"which has {status.st_size}: truncated. Copy it again."
                )
            stream.seek(offset)
            return stream.read(length)
    except OSError as error:
        raise ModelError(f"{where}: {location!r} cannot be read ({error.strerror or error}).") from error
