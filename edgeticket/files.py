"""Writing so that a killed process leaves the old file or the new one, and hashing what was written."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from edgeticket.errors import IntegrityError, StorageError


def write_atomic(path: Path, data: bytes, way_out: str = "choose another --out") -> str:
    """Write `data` to `path` through a temporary file beside it, synced and renamed. Returns its sha256.

    `way_out` is what a command's user can do beside freeing space.

    Raises:
        StorageError: the disk is full, read-only or forbidden; an older `path` is still whole.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}). "
            f"What was there before is untouched; free some space or {way_out}."
        ) from error
    return sha256(data)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def why_no_file(path: Path, sought: str = "file") -> str:
    """Why there is no file to read at `path`, in a clause; `sought` is what could have been there."""
    if path.is_dir():
        return "this is a folder"
    if path.exists():
        return "a pipe, a socket or a device, and no file; write what it gives into one"
    return f"no such {sought}"


def sha256(data: bytes) -> str:
    """The hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def read_verified(path: Path, expected_sha256: str) -> bytes:
    """The bytes of `path`, only if they are what was written.

    Raises:
        IntegrityError: the file is missing, truncated or altered.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{path}: missing or unreadable ({error.strerror}). Restore it from a copy, or find the ticket again."
        ) from error
    if sha256(data) != expected_sha256:
        raise IntegrityError(
            f"{path}: its SHA-256 is not the recorded one ({expected_sha256[:12]}...): truncated or altered, "
            "not loaded. Restore it from a copy, or delete the folder and start again."
        )
    return data


def clean_temporaries(folder: Path) -> None:
    """Remove what a killed writer may have left in `folder`."""
    for leftover in folder.rglob(".tmp-*"):
        with suppress(OSError):
            leftover.unlink()
