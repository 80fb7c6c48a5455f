"""What can be exported: a ticket, or any ONNX file. Both become two models, the dense one and the masked one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgeticket.artifact.manifest import MANIFEST, SUMS, OnnxSource, Port, TicketSource
from edgeticket.errors import FolderError, InputError, ModelError
from edgeticket.files import sha256
from edgeticket.graph.protos import standard_version, without_default
from edgeticket.graph.reading.bind import bind
from edgeticket.graph.reading.fixed_shapes import with_fixed_shapes
from edgeticket.graph.reading.load import load_model
from edgeticket.ticket import store
from edgeticket.ticket.record import Ticket
from edgeticket.version import __version__

STAMP = "edgeticket"  # the key in the ONNX metadata


@dataclass(frozen=True)
class Source:
    """A dense model, and the masked one that every later file is compared with.

    For an ONNX file both are the model as given; `ticket` is None, `about` says what it was.
    """

    name: str
    default_out: Path
    dense: onnx.ModelProto
    masked: onnx.ModelProto
    ticket: Ticket | None
    about: TicketSource | OnnxSource

    @property
    def stamp(self) -> str:
        """One short line for the ONNX metadata, in which every byte counts. It holds no date and no path."""
        words = [__version__]
        if self.about.kind == "ticket":
            words += [self.name, f"round {self.about.round}", f"density {self.about.density:.4g}"]
        return " ".join([*words, "from", self.about.sha256[:12]])

    @property
    def provenance(self) -> dict[str, str | float | None]:
        """What `find` recorded of the run, as labelled facts; nothing for an ONNX file."""
        if self.ticket is None:
            return {}
        record = self.ticket.record
        facts = {"found": record.provenance.get("created"), "seed": record.settings.get("--seed")}
        facts |= {"rewind": record.settings.get("--rewind"), "data (sha256)": record.settings.get("data (sha256)")}
        return facts | {
            f"found with {name}": version for name, version in record.provenance.get("versions", {}).items()
        }


def read_source(
    path: Path, round_number: int | None, fixed_shapes: Mapping[str, Sequence[int]] | None = None
) -> Source:
    """The source at `path`: a ticket's folder, a run's folder (the best trial), or an ONNX file.

    `fixed_shapes` are written into the inputs of an ONNX file.

    Raises:
        InputError: there is nothing, no ticket in the run, a round was asked of an ONNX file, or an input cannot have
            the shape that is to be fixed.
        FolderError: the folder holds something else.
        ModelError: the file is no ONNX model we may follow.
        IntegrityError: a file of the ticket is missing or altered.
    """
    if not path.exists():
        raise InputError(f"{path}: there is nothing; give a ticket's folder or an ONNX file")
    if path.is_dir():
        return _from_ticket(path, round_number)
    if round_number is not None:
        raise InputError(f"{path}: --round {round_number} asks for a ticket's round, and this is a file; leave it out")
    model = load_model(path)
    _refuse_newer(model, path)
    if fixed_shapes:
        model = with_fixed_shapes(model, fixed_shapes)
    about = OnnxSource(file=path.name, sha256=sha256(path.read_bytes()))
    return Source(path.stem, path.with_name(f"{path.stem}-artifact"), model, model, None, about)


def _refuse_newer(model: onnx.ModelProto, path: Path) -> None:
    """Passing on a graph of operators whose meaning is not known would be a guess."""
    known = onnx.defs.onnx_opset_version()
    opset = standard_version(model)
    if opset > known or model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{path}: opset {opset} and IR version {model.ir_version}, and onnx {onnx.__version__} knows opsets up to "
            f"{known} and IR versions up to {onnx.IR_VERSION}. Install a newer onnx, or export with an older opset."
        )


def _from_ticket(path: Path, round_number: int | None) -> Source:
    if (path / MANIFEST).exists() and (path / SUMS).exists():
        raise FolderError(f"{path}: is an artifact already; give the ticket or the ONNX file that it was made from")
    ticket = store.read_ticket(path, round_number)
    record, chosen = ticket.record, ticket.round
    about = TicketSource(
        task=record.task,
        trial=ticket.path.name if ticket.path != path else None,
        round=chosen.number,
        at=record.choice.at.value,
        kept=chosen.kept,
        total=chosen.total,
        density=chosen.density,
        sha256=_digest(ticket),
    )
    dense = bind(ticket.graph, ticket.dense_weights, None)
    masked = bind(ticket.graph, ticket.weights, ticket.mask)
    return Source(record.task, path / "artifact", dense, masked, ticket, about)


def _digest(ticket: Ticket) -> str:
    """One hash of what decides the exported file: graph, mask and weights; the same for a ticket found again."""
    parts = ("mask", ticket.record.choice.at.file)
    names = ["graph.onnx", *(store.round_file(ticket.round.number, part) for part in parts)]
    return sha256("".join(ticket.record.files[name] for name in names).encode())


def stamp(model: onnx.ModelProto, line: str) -> None:
    """Put `line` into the model's metadata, in place of an earlier stamp."""
    kept = [entry for entry in model.metadata_props if entry.key != STAMP]
    del model.metadata_props[:]
    model.metadata_props.extend([*kept, onnx.StringStringEntryProto(key=STAMP, value=line)])


def ports(model: onnx.ModelProto) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs (without initializers) and outputs of a model; a free or unknown axis is None."""
    inputs = tuple(_port(value) for value in without_default(model.graph))
    return inputs, tuple(_port(value) for value in model.graph.output)


def type_name(kind: onnx.TypeProto) -> str:
    """A type as the runtime writes it, such as seq(map(int64,tensor(float))); '' where there is none."""
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return f"tensor({_element(kind.tensor_type.elem_type)})"
    if which == "sparse_tensor_type":
        return f"sparse_tensor({_element(kind.sparse_tensor_type.elem_type)})"
    if which == "map_type":
        return f"map({_element(kind.map_type.key_type)},{type_name(kind.map_type.value_type)})"
    if which in ("sequence_type", "optional_type"):
        word = "seq" if which == "sequence_type" else "optional"
        return f"{word}({type_name(getattr(kind, which).elem_type)})"
    return "opaque" if which else ""


def _element(number: int) -> str:
    known: dict[int, str] = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return known.get(number, f"type {number}").lower()


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    dtype = type_name(value.type) or "unknown"
    if kind.elem_type in onnx.TensorProto.DataType.values()[1:]:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
        dtype = "str" if dtype == "object" else dtype
    axes = tuple(
        axis.dim_value if axis.HasField("dim_value") and axis.dim_value >= 0 else None for axis in kind.shape.dim
    )
    return Port(value.name, dtype, axes)
