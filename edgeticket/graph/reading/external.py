"""External data: read only from regular files inside the model's own folder, within their bounds.

Two places escape a folder: a name ('..', absolute) and a link. Names are refused as written, links after resolving.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from edgeticket.errors import ModelError
from edgeticket.graph.reading.tensors import expected_bytes


def read_external(tensor: onnx.TensorProto, folder: Path | None, where: str, left_bytes: int) -> int:
    """Move a tensor's external bytes into the tensor. Returns how many there are.

    Raises:
        ModelError: outside the folder, missing, no regular file, other than the shape's size, or above `left_bytes`.
    """
    fields = {entry.key: entry.value for entry in tensor.external_data}
    name, location = tensor.name or "(unnamed)", fields.get("location", "")
    path = _inside(location, folder, name, where)
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


def _inside(location: str, folder: Path | None, name: str, where: str) -> Path:
    refusal = (
        f"{where}: the tensor {name!r} keeps its data in {location!r}, outside the model's folder; not followed. "
        "Put the data beside the model, or save the model as one file."
    )
    if folder is None:
        raise ModelError(f"{where}: the tensor {name!r} has external data, but this model has no folder of its own.")
    pure, windows = PurePosixPath(location), PureWindowsPath(location)
    if not location or "\0" in location or pure.is_absolute() or windows.drive or windows.root:
        raise ModelError(refusal)
    if ".." in pure.parts or ".." in windows.parts:
        raise ModelError(refusal)
    try:
        home = folder.resolve(strict=True)
        path = (folder / location).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{where}: the external data {location!r} of tensor {name!r} are missing beside the model. "
            "Copy them there too."
        ) from error
    if not path.is_relative_to(home):
        raise ModelError(refusal)
    return path


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
