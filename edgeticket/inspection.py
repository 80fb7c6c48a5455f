"""`inspect`: what the sparse engine makes of a model, layer by layer.

Format history of edgeticket-inspect
1  2026-11  first version
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeticket import engine, runtime, text
from edgeticket.artifact import checks
from edgeticket.engine import NodeRecord
from edgeticket.subject.subject import Subject, open_subject
from edgeticket.tables import ShowsTable, Table
from edgeticket.version import __version__

FORMAT, VERSION = "edgeticket-inspect", 1
COLUMNS = ("layer", "operator", "weight", "output", "zeros", "on", "kernel, or why it was left to ONNX Runtime")
UNFOLDED = "it computes a constant"  # how the engine's reason for such a node begins
TIMES = ("predicted", "measured", "CPU provider, predicted")


@dataclass(frozen=True, repr=False)
class Inspection(ShowsTable):
    """One model as the engine judged, compiled and timed it. `options` are those of the provider."""

    subject: Subject
    options: dict[str, str]
    records: tuple[NodeRecord, ...]

    @property
    def totals(self) -> dict[str, float | int | None]:
        """The counts of nodes and multiplications an item, and times in µs over the claimed nodes; None: not known."""
        ours = [record for record in self.records if record.claimed]
        times = {
            key: _sum([getattr(record, key) for record in ours]) for key in ("predicted_us", "measured_us", "cpu_us")
        }
        return {
            "nodes": len(self.records),
            "claimed": len(ours),
            "macs": sum(record.macs for record in self.records),
            "claimed_macs": sum(record.macs for record in ours),
            "useful_macs": round(sum(record.macs * record.density for record in self.records)),
            **times,
        }

    @property
    def table(self) -> Table:
        """What is shown."""
        return Table(self.subject.name, (*COLUMNS, *TIMES), self.rows(), self.sentences(), self.total_row())

    def document(self) -> dict[str, Any]:
        """Give the document for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "edgeticket": __version__,
            "host": checks.host(),
            "model": self.subject.about(),
            "options": self.options,
            "layers": [asdict(record) for record in self.records],
            "totals": self.totals,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Give rows of a table with COLUMNS and TIMES."""
        return [_row(record) for record in self.records]

    def total_row(self) -> tuple[str, ...]:
        """Give the row of sums of the times over the claimed nodes."""
        totals = self.totals
        share = f"{totals['claimed']} of {text.plural(int(totals['nodes'] or 0), 'node')}"
        return (
            "claimed",
            "",
            "",
            "",
            "",
            "",
            share,
            *(_us(totals[key]) for key in ("predicted_us", "measured_us", "cpu_us")),
        )

    def sentences(self) -> list[str]:
        """Say what the table does not."""
        totals = self.totals
        macs, claimed, useful = (int(totals[key] or 0) for key in ("macs", "claimed_macs", "useful_macs"))
        found = []
        if not totals["claimed"]:
            found.append("The sparse engine takes no node of this model: ONNX Runtime's CPU provider runs all of it.")
        if macs:
            found.append(
                f"{macs:,} multiplications an item, {text.percent(useful / macs, 1)} of them by weights that are not "
                f"zero; {text.percent(claimed / macs, 1)} are in claimed nodes."
            )
        unfolded = sum(record.reason.startswith(UNFOLDED) for record in self.records)
        if unfolded:
            alone = sum(record.op == "BatchNormalization" for record in self.records)
            beside = f", and {text.plural(alone, 'batch normalisation')} stand alone for it" if alone else ""
            found.append(
                f"{text.plural(unfolded, 'node')} compute constants at every run, as ONNX Runtime does not fold them "
                f"in this file{beside}: `edgeticket export` folds those that the file holds, also where the weights "
                "hold no zeros, but not those that ONNX Runtime itself writes out, as of GroupNormalization."
            )
        found.append(
            f"Layers are those that ONNX Runtime {runtime.VERSION} is left with after its own rewrites. Times are of "
            f"one item at {text.plural(int(self.options['threads']), 'thread')}; each layer was timed on its own."
        )
        return found


def inspect(path: Path, *, threads: int = 1, isa: str | None = None, claim: str = "auto") -> Inspection:
    """Create a session on the engine, timed layer by layer, and read what it reports.

    Raises:
        EngineError: the library was not built, or an option is none of its own.
        InputError: the model cannot be used, or the engine has not got `isa`.
        IntegrityError: an artifact's file is missing or altered.
    """
    runtime.register()  # session() alone would go on without the engine
    options = {"claim": claim, "measure": "1", "threads": str(threads)} | ({"isa": isa} if isa else {})
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as name:
        folder = Path(name)
        subject = open_subject(path, folder, "model")
        report = folder / "report.json"
        runtime.session(subject.model, threads=threads, provider_options={**options, "report": str(report)})
        return Inspection(subject, options, tuple(engine.read_report(report)))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _row(record: NodeRecord) -> tuple[str, ...]:
    zeros = text.percent(1 - record.density, 1) if record.macs else ""
    where = ("sparse", record.kernel) if record.claimed else ("CPU", record.reason)
    times = [_us(value) for value in (record.predicted_us, record.measured_us, record.cpu_us)]
    if record.claimed and not (record.predicted_us or record.measured_us):
        times = ["", "", times[2] if record.cpu_us else ""]  # done while another layer stores its results
    return (record.name, record.op, _shape(record.weight), _shape(record.output), zeros, *where, *times)


def _shape(axes: Sequence[int | None]) -> str:
    return "×".join("n" if axis is None else str(axis) for axis in axes)


def _us(value: float | None) -> str:
    return "–" if value is None else text.latency(value / 1e3)
