"""A ticket's folder on disk: ticket.json and safetensors, never a pickle; nothing is read that was not verified.

    ticket.json                    the Record; carries the SHA-256 of itself and of every file below
    graph.onnx                     the traced network, its parameters as graph inputs
    rewind.safetensors             θ0, or θk with `--rewind K`, dense, once
    rewind-optimizer.safetensors   the optimiser's moments at k, with `--rewind K`
    test.safetensors               the test set as the network sees it
    rounds/NN/                     mask, early_stop, end, curve .safetensors
    checkpoint-SHA256.safetensors  where a killed run goes on; named by its own hash

ticket.json is replaced atomically after the files it lists, so a killed process leaves the previous or the next state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from edgeticket.errors import FolderError, InputError, IntegrityError
from edgeticket.files import read_verified, sha256, write_atomic
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.record import FORMAT, VERSION, Record, Round, TestSet, Ticket

Array = NDArray[Any]
RECORD = "ticket.json"
_CHECKPOINT = re.compile(r"checkpoint-([0-9a-f]{64})\.safetensors")
_SEALED = re.compile(rb'\{"record":\n(.*)\n,"sha256":"([0-9a-f]{64})"\}\n', re.DOTALL)


def write_record(folder: Path, record: Record) -> None:
    """Replace ticket.json."""
    body = msgspec.json.format(msgspec.json.encode(record), indent=1)
    write_atomic(folder / RECORD, b'{"record":\n' + body + b'\n,"sha256":"' + sha256(body).encode() + b'"}\n')


def read_record(folder: Path) -> Record:
    """ticket.json, verified byte for byte.

    Raises:
        FolderError: there is none, or a newer edgeticket wrote it.
        IntegrityError: it is truncated or altered.
    """
    path = folder / RECORD
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FolderError(f"{folder}: no {RECORD} in it: not a ticket; `edgeticket find` makes one") from error
    except OSError as error:
        raise FolderError(f"{path}: unreadable ({error.strerror}); check its permissions") from error
    sealed = _SEALED.fullmatch(data)
    if sealed is None or sha256(sealed[1]) != sealed[2].decode():
        raise IntegrityError(
            f"{path}: truncated or altered, not loaded. Restore it from a copy, or find the ticket again"
        )
    body = json.loads(sealed[1])
    version = body.get("version") if isinstance(body, dict) else None
    if version != VERSION:
        raise FolderError(
            f"{path}: format version {version}, this edgeticket reads {VERSION}; use the version that wrote it"
        )
    try:
        record = msgspec.json.decode(sealed[1], type=Record)
    except msgspec.ValidationError as error:
        raise IntegrityError(
            f"{path}: its fields are not a ticket's ({error}). It is as it was written: use the edgeticket that "
            "wrote it, or find the ticket again"
        ) from error
    if record.format != FORMAT:
        raise FolderError(f"{path}: holds {record.format!r}, not {FORMAT!r}")
    return record


def encode_arrays(arrays: Mapping[str, Array], note: Mapping[str, Any] | None = None) -> bytes:
    """Encode arrays as safetensors, the same bytes every time. Metadata hold one entry: several have no fixed order."""
    metadata = {"edgeticket": json.dumps(note, sort_keys=True)} if note is not None else None
    return safetensors.save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)


def decode_arrays(data: bytes, path: Path) -> dict[str, Array]:
    """The arrays of safetensors bytes that came from `path`, by name."""
    try:
        return dict(sorted(safetensors.load(data).items()))  # safetensors gives them in another order every time
    except SafetensorError as error:
        raise IntegrityError(f"{path}: not a whole safetensors file ({error})") from error


def write_arrays(folder: Path, name: str, arrays: Mapping[str, Array]) -> tuple[str, str]:
    """Write one safetensors file of a ticket; returns its entry for `Record.files`."""
    return name, write_atomic(folder / name, encode_arrays(arrays))


def read_listed(folder: Path, record: Record, name: str) -> bytes:
    """One of the files that ticket.json lists, verified."""
    if name not in record.files:
        raise IntegrityError(f"{folder / name}: not listed in {RECORD}; the folder is incomplete")
    return read_verified(folder / name, record.files[name])


def read_arrays(folder: Path, record: Record, name: str) -> dict[str, Array]:
    """One of the safetensors files that ticket.json lists, verified."""
    return decode_arrays(read_listed(folder, record, name), folder / name)


def round_file(number: int, name: str) -> str:
    """Return a round's file, as 'rounds/03/mask.safetensors'."""
    return f"rounds/{number:02d}/{name}.safetensors"


def read_mask(folder: Path, record: Record, number: int) -> Mask:
    """The mask round `number` trained with."""
    return Mask(read_arrays(folder, record, round_file(number, "mask")))


def write_checkpoint(folder: Path, arrays: Mapping[str, Array], note: Mapping[str, Any]) -> None:
    """Write a checkpoint named by its hash, then remove the older ones."""
    data = encode_arrays(arrays, note)
    new = folder / f"checkpoint-{sha256(data)}.safetensors"
    write_atomic(new, data)
    clear_checkpoints(folder, keep=new)


def read_checkpoint(folder: Path) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """The newest checkpoint and its note, verified; None where there is none.

    Raises:
        IntegrityError: a checkpoint is truncated or altered; deleting it costs the running round only.
    """
    newest: tuple[dict[str, Array], dict[str, Any]] | None = None
    for path in sorted(folder.glob("checkpoint-*.safetensors")):
        named = _CHECKPOINT.fullmatch(path.name)
        data = path.read_bytes()
        if named is None or sha256(data) != named[1]:
            raise IntegrityError(
                f"{path}: truncated or altered, not loaded. Delete it to start the unfinished round again; "
                "finished rounds are not touched"
            )
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        note = json.loads(header["__metadata__"]["edgeticket"])
        if newest is None or (note["sequence"] > newest[1]["sequence"]):
            newest = decode_arrays(data, path), note
    return newest


def clear_checkpoints(folder: Path, keep: Path | None = None) -> None:
    """Remove all checkpoints, or all but one."""
    for path in folder.glob("checkpoint-*.safetensors"):
        if path != keep:
            path.unlink(missing_ok=True)


def trials(folder: Path) -> list[Path]:
    """Return the ticket folders in a run's folder, in order, or the folder itself where it is one."""
    if (folder / RECORD).exists():
        return [folder]
    found = [path for path in folder.glob("trial-*") if path.name[6:].isdigit() and (path / RECORD).exists()]
    return sorted(found, key=lambda path: int(path.name[6:]))


def verify_all(folder: Path, record: Record) -> None:
    """Read every listed file once.

    Raises:
        IntegrityError: one is missing, truncated or altered.
    """
    for name in record.files:
        read_listed(folder, record, name)


def read_ticket(path: Path, number: int | None = None) -> Ticket:
    """A ticket for export: the chosen round, or round `number`. Of a run with several trials, the best by validation.

    Raises:
        FolderError: no ticket is there.
        InputError: no round was chosen, or there is no round `number`.
        IntegrityError: a file is missing, truncated or altered.
    """
    folders = trials(path)
    if not folders:
        raise FolderError(
            f"{path}: no {RECORD} in it and no trial-N folders: not a ticket; `edgeticket find` makes one"
        )
    candidates = [(folder, read_record(folder)) for folder in folders]
    usable = [
        (folder, record, chosen) for folder, record in candidates if (chosen := _round(record, number)) is not None
    ]
    if not usable:
        rounds = max(len(record.rounds) for _, record in candidates) - 1
        if number is None:
            raise InputError(
                f"{path}: no round is a ticket at this tolerance. Export one all the same with --round 1..{rounds}"
            )
        raise InputError(f"{path}: there is no round {number}; it holds rounds 0 to {rounds}")
    sign = 1 if candidates[0][1].metric.higher_is_better else -1
    folder, record, chosen = max(usable, key=lambda item: sign * item[2].at(item[1].choice.at).validation_metric)
    at = record.choice.at.file
    return Ticket(
        path=folder,
        record=record,
        round=chosen,
        mask=read_mask(folder, record, chosen.number),
        weights=read_arrays(folder, record, round_file(chosen.number, at)),
        dense_weights=read_arrays(folder, record, round_file(0, at)),
        graph=read_listed(folder, record, "graph.onnx"),
        test=_test_set(folder, record),
    )


def _round(record: Record, number: int | None) -> Round | None:
    wanted = record.ticket if number is None else number
    return record.rounds[wanted] if wanted is not None and 0 <= wanted < len(record.rounds) else None


def _test_set(folder: Path, record: Record) -> TestSet:
    """The test set, as the network sees it: uint8 inputs are scaled, as `find` scaled them."""
    arrays = read_arrays(folder, record, "test.safetensors")
    inputs = arrays["inputs"]
    if "scale" in arrays:
        inputs = scaled(inputs, arrays["scale"], arrays["offset"])
    return TestSet(inputs, arrays["targets"], record.input.test_size, arrays)


def scaled(inputs: Array, scale: Array, offset: Array) -> Array:
    """uint8 [n, c, ...] -> float32(inputs) * scale + offset; scale and offset are scalars or one value a channel."""
    extra = [1] * (inputs.ndim - 2)
    scale, offset = (value.reshape(-1, *extra) if value.ndim else value for value in (scale, offset))
    return np.ascontiguousarray(inputs.astype(np.float32) * scale + offset)
