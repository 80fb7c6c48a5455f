"""One export: read, simplify, store, verify, prove, measure, write. Composes the wings; api.py calls it."""

from __future__ import annotations

import gzip
import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import edgeticket
from edgeticket import report
from edgeticket.artifact import checks, parity
from edgeticket.artifact import golden as evidence
from edgeticket.artifact import manifest as artifact
from edgeticket.artifact.folder import require_free, write_artifact
from edgeticket.artifact.golden import Model, Slice
from edgeticket.artifact.manifest import Budget, Manifest
from edgeticket.errors import Exit, FolderError, InputError, ModelError, ProofError
from edgeticket.graph.proving import probes, proof, reference, verify
from edgeticket.graph.proving.rounding import relative_tolerances
from edgeticket.graph.reading.source import Source, ports, read_source, stamp
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing import storage
from edgeticket.graph.storing.encoding import Weights
from edgeticket.measure import latency
from edgeticket.report import Content, Score
from edgeticket.text import listing
from edgeticket.version import __version__

Known = TypeVar("Known", bound=str)
DISTRIBUTIONS = ("numpy", "onnx", "onnx-ir", "onnxruntime")


@dataclass(frozen=True)
class Options:
    """How to export: `storage` and `weights` as in graph/storing; `input_shapes` fix free axes of an ONNX source."""

    round: int | None = None
    storage: str = "auto"
    weights: str = "fp32"
    budget: Budget | None = None
    bench: bool = True
    input_shapes: Mapping[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Exported:
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


def run(path: Path, out: Path | None, options: Options) -> Exported:
    """Export `path` into `out` (None: the source's default folder).

    Raises: see api.export.
    """
    kind = _known("storage", options.storage, storage.STORAGES)
    weights = _known("weights", options.weights, get_args(Weights))
    source = read_source(path, options.round)
    folder = out or source.default_out
    require_free(folder)
    simplified = simplify(source.masked)
    stamp(simplified.model, source.stamp)
    stored = storage.store(simplified.model, storage=kind, weights=weights)
    model = stored.serialized()
    rounded = any(tensor.weights != "fp32" for tensor in stored.tensors)
    unchecked = verify.check_plan(model, simplified.layers, lossy=rounded)
    graph = storage.serialize(simplified.model) if rounded else None
    feeds, proved = _prove(source, graph, model, options.input_shapes)
    if proved.verdict == "refuted":
        raise ProofError(f"{path}: {proved.reason}; nothing was written. Please report this model")
    dense = storage.serialize(source.dense)
    inputs, outputs = ports(source.masked)
    files: dict[str, bytes] = {artifact.MODEL: model}
    golden_about: dict[str, Any] = {"outputs": [], "atol": [], "rtol": 0.0, "single": False}
    cut: Slice | None = None
    bench: latency.Bench | None = None
    engine: parity.Parity | None = None
    if proved.verdict != "not proved":
        exported = Model.load(model)
        shares = relative_tolerances(simplified.model, feeds[0])
        golden = evidence.golden(exported, shares, inputs, outputs, feeds)
        files[artifact.GOLDEN], golden_about = golden.data, golden.about
        if source.ticket is not None:
            masked = Model.load(storage.serialize(source.masked))
            cut = evidence.labelled_slice(source.ticket, exported, masked, shares[outputs[0].name])
            if cut.data is not None:
                files[artifact.SLICE] = cut.data
        about = {"golden": golden.about, "inputs": [asdict(port) for port in inputs]}
        engine = parity.parity(checks.Opened(about, {artifact.MODEL: model, artifact.GOLDEN: golden.data}))
        if options.bench:
            sparse = ("exported",) if engine.state == parity.RAN else ()
            bench = latency.measure({"dense": dense, "exported": model}, golden.timed, sparse=sparse)
    manifest = Manifest(
        name=source.name,
        source=source.about,
        storage=options.storage,
        weights=options.weights,
        size_bytes=len(model),
        dense_size_bytes=len(dense),
        inputs=inputs,
        outputs=outputs,
        preprocessing=source.ticket.record.input["preprocessing"] if source.ticket else None,
        metric=cut.metric if cut else None,
        slice=cut.about if cut else None,
        golden=golden_about,
        proof=asdict(proved),
        budget=options.budget,
        layers=[asdict(layer) for layer in simplified.layers],
        tensors=[asdict(tensor) for tensor in stored.tensors],
        provenance=_provenance(source),
        versions=_versions(),
    )
    sizes = storage.sizes(simplified.model)
    content = Content(
        manifest=manifest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        passes=tuple(asdict(note) for note in simplified.notes),
        sizes={**_with_gzip("original", dense), **sizes, **_with_gzip("exported", model)},
        scores=_scores(source, cut),
        measurements=bench.measurements if bench else (),
        failures=bench.failures if bench else (),
        host=bench.host if bench else None,
        remarks=(*stored.notes, *_remarks(source, cut, unchecked)),
        engine=asdict(engine) if engine else None,
    )
    files |= {
        artifact.MANIFEST: manifest.to_json().encode(),
        artifact.CHECKER: Path(checks.__file__).read_bytes(),
        **verifier(),
        "report.json": report.json_document(content).encode(),
        "report.md": report.markdown(content).encode(),
        "report.html": report.html(content).encode(),
    }
    write_artifact(folder, files)
    return Exported(folder, content)


def verifier() -> dict[str, bytes]:
    """The runtime tests as files of an artifact, with the pytest plugin that they use.

    Raises:
        FolderError: the package was installed without them.
    """
    package = Path(edgeticket.__file__).resolve().parent
    places = (package / "runtime_tests", package.parent / "runtime_tests")
    home = next((place for place in places if (place / "run.py").is_file()), None)
    if home is None:
        raise FolderError(f"{places[0]}: the runtime tests are missing; install edgeticket again")
    found = {f"{artifact.VERIFY}/{path.name}": path.read_bytes() for path in sorted(home.glob("*.py"))}
    return found | {f"{artifact.VERIFY}/plugin.py": (package / "pytest_plugin.py").read_bytes()}


def _known(name: str, given: str, known: tuple[Known, ...]) -> Known:
    for each in known:
        if each == given:
            return each
    raise InputError(f"{name} {given!r}: choose from {', '.join(map(str, known))}")


def _prove(
    source: Source, graph: bytes | None, model: bytes, shapes: Mapping[str, tuple[int, ...]] | None
) -> tuple[list[checks.Feed], proof.Proof]:
    """The golden inputs, and the proof: over the whole test set, or over random and extreme inputs.

    Where values rest rounded, `graph` is the same network in fp32: it is proved, then the file is measured.
    """
    threads = checks.cores()
    compare: Callable[..., proof.Proof]
    if source.ticket is not None:
        name = ports(source.masked)[0][0].name
        whole = {name: source.ticket.test.inputs}
        golden = evidence.golden_inputs(source.ticket, name, reference.rows_within_budget(source.masked))
        compare = partial(proof.prove, source.masked, inputs=whole, threads=threads)
    else:
        try:
            made = probes.probes(source.masked, shapes)
        except ModelError as error:  # operators that the runtime does not know: passed through, and said
            return [], proof.Proof("not proved", str(error))
        if not made:
            reason = (
                "no inputs could be made up for its free axes or types; give shapes with --input-shape NAME=1x3x32x32"
            )
            return [], proof.Proof("not proved", reason)
        feeds = [dict(probe.feed) for probe in made]
        # Extreme inputs make no yardstick: where float32 flushes to zero, all of an output is its error.
        usual = [probe.feed for probe in made if probe.name.startswith("normal")]
        golden = evidence.within(feeds)
        compare = partial(proof.prove_feeds, source.masked, feeds=feeds, samples=usual, threads=threads)
    found = compare(exported=model if graph is None else graph, exact=True)
    if graph is not None and found.proved:
        found = proof.of_rounded(found, compare(exported=model, exact=False))
    return golden, found


def _with_gzip(name: str, data: bytes) -> dict[str, int]:
    return {name: len(data), f"{name}.gz": len(gzip.compress(data, 9, mtime=0))}


def _scores(source: Source, cut: Slice | None) -> tuple[Score, ...]:
    """Dense and ticket as `find` measured them at both iterations, and the exported file over the test set."""
    if source.ticket is None or cut is None:
        return ()
    record, chosen = source.ticket.record, source.ticket.round
    compared = record.choice["at"]
    scores = []
    for at, name in (("early-stop", "early stopping"), ("end", "end")):
        for network, numbers in (("dense", record.dense()), ("ticket", chosen)):
            point = numbers.at(at)
            metrics = (point.validation_metric, point.test_metric)
            scores.append(Score(network, name, at == compared, *metrics, source.ticket.test.of))
    scores.sort(key=lambda score: not score.compared)
    if cut.metric["builtin"] and cut.metric["whole_value"] is not None:
        value, samples = cut.metric["whole_value"], cut.metric["whole_samples"]
        scores.append(Score("exported file", "ONNX Runtime", True, None, value, samples))
    return tuple(scores)


def _remarks(source: Source, cut: Slice | None, unchecked: Sequence[str]) -> Iterator[str]:
    test = source.ticket.test if source.ticket else None
    if test is not None and len(test.inputs) != test.of:
        yield f"The ticket holds {len(test.inputs):,} of {test.of:,} test samples (--keep-test); export used these."
    if cut is not None and cut.remark:
        yield cut.remark
    if unchecked:
        yield (
            f"Too large to be rebuilt outside the runtime: {listing(list(unchecked))}. That the file holds the planned "
            "shapes and nonzeros there was not checked; the proof ran them."
        )


def _provenance(source: Source) -> dict[str, Any]:
    """What `find` recorded of the run, flat; nothing for an ONNX file."""
    if source.ticket is None:
        return {}
    record = source.ticket.record
    facts = {"found": record.provenance.get("created"), "seed": record.settings.get("--seed")}
    facts |= {"rewind": record.settings.get("--rewind"), "data (sha256)": record.settings.get("data (sha256)")}
    return facts | {f"found with {name}": version for name, version in record.provenance.get("versions", {}).items()}


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}
    return {"edgeticket": __version__, "python": platform.python_version(), **found}
