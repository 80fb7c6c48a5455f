"""One export: read, simplify, store, check, prove, measure, write; each step is done by another module."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar, get_args

from edgeticket import report
from edgeticket.ahead import Ahead
from edgeticket.artifact import checks, parity
from edgeticket.artifact.carried import carried_checks
from edgeticket.artifact.folder import require_free, write_artifact
from edgeticket.artifact.golden import LoadedModel, record_outputs
from edgeticket.artifact.labelled_slice import Slice, labelled_slice
from edgeticket.artifact.manifest import GOLDEN, MANIFEST, MODEL, SLICE, Budget, GoldenInfo, Manifest, ProofInfo
from edgeticket.errors import Exit, InputError, ProofError
from edgeticket.graph.baseline import with_fixed_axes
from edgeticket.graph.conversion import Converted, convert
from edgeticket.graph.garbage import collect, rarely_collected
from edgeticket.graph.loading import Loading
from edgeticket.graph.proving.source_proof import SourceProof, prove_source
from edgeticket.graph.proving.verdict import with_unchecked
from edgeticket.graph.reading.naming import parameter_names
from edgeticket.graph.reading.source import Source, ports, read_source
from edgeticket.graph.reading.validity import blamed_on_faults
from edgeticket.graph.storing import storage
from edgeticket.graph.storing.encoding import Weights
from edgeticket.measure import sides
from edgeticket.report import Content, facts, view
from edgeticket.tables import ShowsTable, Table
from edgeticket.version import __version__

Known = TypeVar("Known", bound=str)
DISTRIBUTIONS = ("numpy", "onnx", "onnx-ir", "onnxruntime")


@dataclass(frozen=True)
class Options:
    """How to export: `storage` and `weights` as in graph/storing.

    `input_shapes` are what the inputs of an ONNX source are made up with; `fix_shape` writes them into the artifact.
    `upgrade_opset` converts an operator set below 11 even where the proof has to decide whether that was right.
    """

    round: int | None = None
    storage: str = "auto"
    weights: str = "fp32"
    budget: Budget | None = None
    bench: bool = True
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    fix_shape: bool = False
    upgrade_opset: bool = False


@dataclass(frozen=True, repr=False)
class Exported(ShowsTable):
    """An artifact that was written, and what its report says."""

    folder: Path
    content: Content

    @property
    def manifest(self) -> Manifest:
        """The artifact's manifest."""
        return self.content.manifest

    @property
    def exit_code(self) -> Exit:
        """Yes; inconclusive where the runtime could not run the model and nothing is proved."""
        return Exit.INCONCLUSIVE if self.manifest.unproved else Exit.YES

    @property
    def table(self) -> Table:
        """What is shown: the report's headline, what was not done and why, and where the report is."""
        cards = [(card.label, card.value, card.detail) for card in view.cards(self.content)]
        why = [f"{each.label}: {each.sentence}" for each in view.reasons(self.content)]
        sentences = (view.zeros_sentence(self.content), *why, f"report: {self.folder / 'report.html'}")
        return Table(f"{self.manifest.name}: {self.folder}", rows=cards, sentences=sentences)


@dataclass(frozen=True)
class Sealed:
    """What the exported model was seen to do on this host, and the files by which a device can see the same."""

    files: Mapping[str, bytes]
    golden: GoldenInfo
    slice: Slice | None = None
    engine: parity.Parity | None = None
    bench: sides.Sides | None = None


def run(path: Path, out: Path | None, options: Options) -> Exported:
    """Export `path` into `out` (None: the source's default folder).

    Raises: see api.export.
    """
    with rarely_collected(), Ahead() as ahead:
        return _run(path, out, options, ahead)


def _run(path: Path, out: Path | None, options: Options, ahead: Ahead) -> Exported:
    kind = _known("storage", options.storage, storage.STORAGES)
    weights = _known("weights", options.weights, get_args(Weights))
    source = read_source(path, options.round, options.input_shapes if options.fix_shape else None)
    folder = out or source.default_out
    require_free(folder)
    loading = Loading(ahead, source.masked, asked_for=source.ticket is None)
    with blamed_on_faults(source.masked):
        converted = convert(source, kind, weights, loading, upgrade_opset=options.upgrade_opset, timed=options.bench)
        collect(source.masked.ByteSize())
        proved = prove_source(source, converted, loading, options.input_shapes)
    proof = with_unchecked(proved.info, converted.unchecked)
    if proof.verdict == "refuted":
        way_out = "Please report this model"
        if options.upgrade_opset:
            way_out = "--upgrade-opset may have changed what an operator means: leave it out"
        raise ProofError(f"{path}: {proof.reason}; nothing was written. {way_out}")
    if proof.verdict == "not proved":
        sealed = Sealed({}, GoldenInfo.none())
    else:
        with blamed_on_faults(source.masked):
            sealed = _seal(source, converted, proved, loading, bench=options.bench)
    content = _content(source, converted, sealed, _manifest(source, converted, sealed, proof, options))
    files = {
        **sealed.files,
        MODEL: converted.model,
        MANIFEST: content.manifest.to_json().encode(),
        **carried_checks(),
        "report.json": report.json_document(content).encode(),
        "report.md": report.markdown(content).encode(),
        "report.html": report.html(content).encode(),
    }
    write_artifact(folder, files)
    return Exported(folder, content)


def _known(name: str, given: str, known: tuple[Known, ...]) -> Known:
    for each in known:
        if each == given:
            return each
    raise InputError(f"{name} {given!r}: choose from {', '.join(map(str, known))}")


def _seal(source: Source, converted: Converted, proved: SourceProof, loading: Loading, *, bench: bool) -> Sealed:
    """Record golden outputs and a ticket's labelled slice, hold the engine to them, and time it where `bench`."""
    inputs, outputs = ports(source.masked)
    exported = LoadedModel(loading.exported() if proved.running is None else proved.running)
    golden = record_outputs(exported, loading.plain(), proved.yardstick.atol, inputs, proved.feeds)
    files = {GOLDEN: golden.data}
    cut = None
    if source.ticket is not None:
        masked = LoadedModel(loading.masked())
        cut = labelled_slice(source.ticket, exported, masked, partial(proved.yardstick.atol, outputs[0].name))
        files |= {SLICE: cut.data} if cut.data is not None else {}
    about = {"golden": asdict(golden.about), "inputs": [asdict(port) for port in inputs]}
    opened = checks.Opened(about, {MODEL: converted.model, GOLDEN: golden.data})
    engine = parity.engine_parity(opened, load=loading.engine)
    timed = None
    if bench:
        shapes = {name: array.shape for name, array in golden.timed.items()}
        forms = {form.words: form.model for form in with_fixed_axes(converted.dense, source, shapes).forms}
        timed = sides.measure(forms, converted.model, golden.timed, sparse=engine.state == parity.RAN)
    return Sealed(files, golden.about, cut, engine, timed)


def _manifest(source: Source, converted: Converted, sealed: Sealed, proved: ProofInfo, options: Options) -> Manifest:
    inputs, outputs = ports(source.masked)
    return Manifest(
        name=source.name,
        source=source.about,
        storage=options.storage,
        weights=options.weights,
        size_bytes=len(converted.model),
        dense_size_bytes=len(converted.dense.smallest),
        inputs=inputs,
        outputs=outputs,
        preprocessing=source.ticket.record.input.preprocessing if source.ticket else None,
        metric=sealed.slice.metric if sealed.slice else None,
        slice=sealed.slice.about if sealed.slice else None,
        golden=sealed.golden,
        proof=proved,
        budget=options.budget,
        layers=converted.simplified.layers,
        tensors=converted.stored.tensors,
        provenance=source.provenance,
        versions=_versions(),
    )


def _content(source: Source, converted: Converted, sealed: Sealed, manifest: Manifest) -> Content:
    """What the report says."""
    bench = sealed.bench.profile if sealed.bench else None
    return Content(
        manifest=manifest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        passes=tuple(asdict(note) for note in converted.simplified.notes),
        sizes=dict(converted.sizes),
        scores=facts.scores(source.ticket, sealed.slice),
        measurements=bench.measurements if bench else (),
        failures=bench.failures if bench else (),
        host=bench.host if bench else None,
        remarks=(*converted.stored.notes, *facts.remarks(source.ticket, sealed.slice, converted.unchecked)),
        storage_notes=converted.stored.notes,
        engine=facts.engine(manifest.source, manifest.inputs, sealed.engine),
        names=parameter_names(source.masked, converted.simplified.model),
        baseline=tuple(facts.baseline(source.ticket, converted.dense, sealed.bench)),
    )


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}
    return {"edgeticket": __version__, "python": platform.python_version(), **found}
