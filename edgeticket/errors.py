"""Every error edgeticket raises on purpose, in one tree; each carries the exit code of the command.

EdgeticketError
├── InputError              2  something the user gave cannot be used
│   ├── TaskError              a task that does not import, lacks its name or is built wrong
│   ├── DataError              data that are missing, truncated or have a wrong magic number
│   ├── ModelError             an ONNX file that cannot be read or must not be followed
│   ├── FolderError            a folder that holds something else, other settings, or a running process
│   ├── StorageError           the disk refused a write (full, read-only, no permission)
│   ├── MissingExtraError      an optional package is not installed
│   ├── EngineError            the sparse engine's library is missing, or does not fit this ONNX Runtime
│   └── TrainingError          a loss that is not finite
├── ProofError              1  an exported file whose outputs moved too far; nothing was written
└── IntegrityError          4  a file that is missing, truncated or altered

A verdict (no ticket, over the budget, inconclusive) is a result, not an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """What a command's exit code says."""

    YES = 0
    NO = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INTEGRITY = 4
    INTERRUPTED = 130  # as a shell says it of Ctrl-C
    CLOSED_PIPE = 141  # as a shell says it of a command whose reader has gone, as in `edgeticket inspect M | head -1`


class EdgeticketError(Exception):
    """Base of all deliberate errors. The message names the file, the value and the way out."""

    exit_code: Exit = Exit.USAGE


class InputError(EdgeticketError):
    """Something the user gave cannot be used."""


class TaskError(InputError):
    """A task that does not import, lacks its name or is built wrong."""


class DataError(InputError):
    """Data that are missing, truncated or have a wrong magic number."""


class ModelError(InputError):
    """An ONNX file that cannot be read or must not be followed."""


class FolderError(InputError):
    """A folder that holds something else, other settings, or a running process."""


class StorageError(InputError):
    """The disk refused a write."""


class MissingExtraError(InputError, ImportError):
    """An optional package is not installed."""


class EngineError(InputError):
    """The sparse engine's library is missing, does not fit this ONNX Runtime, or was asked for what it has not."""


class TrainingError(InputError):
    """Training cannot go on: the loss is not finite."""


class ProofError(EdgeticketError):
    """The exported file's outputs moved too far from the masked network's."""

    exit_code = Exit.NO


class IntegrityError(EdgeticketError):
    """A file of ours is missing, truncated or altered."""

    exit_code = Exit.INTEGRITY


@contextmanager
def about(path: Path) -> Iterator[None]:
    """An error of ours names `path`, as the user gave it, also where whoever raised it had a graph and no file.

    Errors about folders and disks name what they are about, which may be another place.

    Raises:
        EdgeticketError: in place of one of the same class that does not name it.
    """
    try:
        yield
    except (FolderError, StorageError, MissingExtraError):
        raise
    except EdgeticketError as error:
        if re.search(rf"{re.escape(str(path))}($|[:/\\ ])", str(error)):
            raise
        raise type(error)(f"{path}: {error}") from error


@contextmanager
def refusals_explained() -> Iterator[None]:
    """What the system refuses (a name that is too long, a folder without permission) becomes a sentence.

    Raises:
        InputError: in place of an OSError that no closer place had words for.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read our output has gone: no one's mistake, and click's to handle
        raise
    except OSError as error:
        where = [str(name)[:200] for name in (error.filename, error.filename2) if name is not None]
        raise InputError(
            f"{' -> '.join(where) or 'the system'}: {error.strerror or error}; give another path, or change what "
            "stands in its way"
        ) from error
