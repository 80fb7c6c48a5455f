"""One model, really exported: what a row of docs/models.md says about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from edgeticket import api
from edgeticket.artifact.manifest import GraphProof, ProofInfo
from edgeticket.errors import EdgeticketError
from edgeticket.report.content import REMOVAL
from edgeticket.text import listing, size

Writer = Callable[[onnx.ModelProto, Path], None]
LONGEST = 110  # letters of a sentence in a cell


def whole(model: onnx.ModelProto, path: Path) -> None:
    """The model in one file, as it is: nothing is checked, since some rows are about what a checker would refuse."""
    path.write_bytes(model.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Case:
    """A model, how its file is written, and how it is exported."""

    name: str
    model: onnx.ModelProto
    write: Writer = whole
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What came of one export. `refusal` is the sentence of the error where nothing was written.

    size_bytes: of the model as given, with its external data; exported_bytes: of the artifact's model.
    removed: channels of the first layer that are gone; units: units and channels of all layers that are.
    kept: why dead channels stayed.
    raised: what was said of an older operator set or format.
    """

    size_bytes: int
    refusal: str = ""
    proof: ProofInfo | None = None
    verdict: str = ""
    exported_bytes: int = 0
    removed: int = 0
    units: int = 0
    kept: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()

    @property
    def read(self) -> str:
        """Yes, or why not."""
        return f"no: {short(self.refusal)}" if self.proof is None else "yes"

    @property
    def proved(self) -> str:
        """How the outputs were held to the original's, or why they were not."""
        if self.proof is None:
            return "–"
        if self.verdict not in ("pass", "inconclusive"):
            return f"the artifact's own check says {self.verdict}"
        if not self.proof.proved:
            return f"{self.proof.verdict}: {short(self.proof.reason)}"
        return in_double(self.proof.in_float64)

    @property
    def bytes(self) -> str:
        """As given → exported, and how many times smaller."""
        if self.proof is None:
            return "–"
        return f"{size(self.size_bytes)} → {size(self.exported_bytes)}, {self.ratio:.1f}×"

    @property
    def ratio(self) -> float:
        """How many times smaller the file became."""
        return self.size_bytes / self.exported_bytes


def in_double(graph: GraphProof | None) -> str:
    """Whether the graph was proved in float64, whole or in part."""
    if graph is None or graph.verdict != "proved":
        return "in float32 alone"
    return f"yes, {listing(sorted(graph.in_float32))} in float32" if graph.in_float32 else "yes"


def tried(case: Case) -> Trial:
    """Export the case into a folder of its own, and check the artifact."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "given", "model.onnx")
        path.parent.mkdir()
        case.write(case.model, path)
        given = sum(part.stat().st_size for part in path.parent.iterdir())
        try:
            exported = api.export(path, out=Path(folder, "artifact"), bench=False, **case.options)
        except EdgeticketError as error:
            return Trial(given, refusal=str(error).replace(f"{path}: ", "").replace(str(path), "the file"))
        except Exception as error:  # what no user should see is a row too: it must not hide the others
            return Trial(given, refusal=f"**{type(error).__name__}**, {error}")
        manifest = exported.manifest
        first = manifest.layers[0] if manifest.layers else None
        dead = [note for note in exported.content.passes if note["pass_name"] == REMOVAL]
        return Trial(
            given,
            proof=manifest.proof,
            verdict=api.check(exported.folder).verdict,
            exported_bytes=manifest.size_bytes,
            removed=0 if first is None else _shrunk(first.shape_before, first.shape_after),
            units=sum(int(note["changed"]) for note in dead if str(note["sentence"]).startswith("removed ")),
            kept=tuple(str(note["sentence"]) for note in dead if not note["changed"]),
            remarks=exported.content.remarks,
            raised=tuple(str(note["sentence"]) for note in exported.content.passes if note["pass_name"] == "upgrade"),
        )


def _shrunk(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """By how much an axis of the weight shrank at most: inputs of a first layer stay, so it is that of its outputs."""
    return max(before) if not after else max(b - a for b, a in zip(before, after, strict=True))


def short(sentence: str) -> str:
    """The first sentence, cut to what a cell holds; a bar would end the cell, and the runtime's own words are long."""
    first = sentence.split("; ")[0].split(". ")[0].replace("|", "/").replace("\n", " ").rstrip(".")
    first = re.sub(r"^the model: (ONNX Runtime.* cannot load it): .*", r"\1", first)
    return first if len(first) <= LONGEST else first[:LONGEST].rsplit(" ", 1)[0] + " …"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def grouped(found: Mapping[str, tuple[str, ...]]) -> list[tuple[list[str], tuple[str, ...]]]:
    """The names that came out the same, and what came out; in the order of their first names."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, outcome in found.items():
        same.setdefault(outcome, []).append(name)
    return [(names, outcome) for outcome, names in same.items()]
