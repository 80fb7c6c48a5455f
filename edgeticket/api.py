"""What edgeticket does with a model, as functions: export, check, inspect, bench, compare; lottery/api.py has find.

Each function opens its arguments, imports what it needs and calls it; most of this file is what help() shows of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, cast, overload

from edgeticket.arguments import (
    MOST_THREADS,
    Place,
    keyword,
    path_of,
    require_positive,
    require_seconds,
    require_shapes,
    require_whole,
    several,
    takes_arguments_of,
)
from edgeticket.benchmark.request import BenchRequest
from edgeticket.errors import FolderError, InputError, about, refusals_explained
from edgeticket.extras import explained
from edgeticket.files import why_no_file
from edgeticket.gate.request import ComparisonRequest
from edgeticket.measure.asked import require_budget_host, require_threads

if TYPE_CHECKING:
    from edgeticket.artifact.checks import Outcome
    from edgeticket.benchmark.bench import Bench
    from edgeticket.benchmark.compare import Conclusions
    from edgeticket.benchmark.history import Trend
    from edgeticket.exporter import Exported
    from edgeticket.gate.comparison import Comparison
    from edgeticket.gate.selftest import SelfTest
    from edgeticket.inspection import Inspection
    from edgeticket.measure.duel import Duel

P = ParamSpec("P")
ENGINE = keyword("engine", False, "bool")  # of `check` alone


def export(
    source: Place,
    *,
    out: str | Path | None = None,
    round: int | None = None,  # noqa: A002  the word of the paper and of the command line
    storage: str = "auto",
    weights: str = "fp32",
    budget_ms: float | None = None,
    budget_host: str = "any",
    budget_threads: int = 1,
    bench: bool = True,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    fix_shape: bool = False,
    upgrade_opset: bool = False,
) -> Exported:
    """Export a ticket or an ONNX file with zeros in it as an artifact: small, proved, measured.

    Args:
        source: what `find` returned, a ticket's folder, a run's folder (its best trial is taken), or an ONNX file.
        out: the artifact's folder. Default: `artifact` inside a ticket's or run's folder, `NAME-artifact` beside
            NAME.onnx. An earlier artifact there is replaced as a whole; a folder that holds anything else is refused.
        round: another round than the ticket's.
        storage: 'auto', 'dense', 'gaps' or 'sparse-initializer'.
        weights: how float32 values rest on disk: 'fp32', 'fp16' or 'int8'; other types rest as they are.
        budget_ms: what the median inference may take; `check` judges it. The other two mean nothing without it.
        budget_host: 'any', 'this', or the fingerprint of the host that the budget is for.
        budget_threads: the threads that the budget is for.
        bench: measure latency, load time and memory for the report.
        input_shapes: shapes that inputs with free axes are tried with, where the source is an ONNX file.
        fix_shape: write these shapes into the artifact, which then takes no others.
        upgrade_opset: convert an operator set below 11, which packing needs, also where its operators may come to mean
            another thing; the proof decides. What is safe is converted without being asked.

    Raises:
        InputError: the source, an option or the output folder cannot be used.
        IntegrityError: a file of the ticket is missing or altered.
        ProofError: an output moved by more than the tolerance; nothing was written.
    """
    with explained("export"):
        from edgeticket import exporter
    from edgeticket.artifact.checks import host
    from edgeticket.artifact.manifest import Budget

    budget = None
    if budget_ms is not None:
        require_positive("budget_ms", budget_ms)
        require_whole("budget_threads", budget_threads, 1, MOST_THREADS)
        require_budget_host(budget_host)
        budget = Budget(budget_ms, budget_threads, str(host()["fingerprint"]) if budget_host == "this" else budget_host)
    elif (budget_host, budget_threads) != ("any", 1):
        raise InputError("--budget-host and --budget-threads say where a budget holds; give the budget, --budget-ms")
    if round is not None:
        require_whole("round", round, 0)
    if fix_shape and not input_shapes:
        raise InputError("--fix-shape writes the shapes of --input-shape into the artifact; give NAME=1x3x32x32")
    require_shapes(input_shapes)
    options = exporter.Options(round, storage, weights, budget, bench, input_shapes, fix_shape, upgrade_opset)
    path = path_of(source)
    with refusals_explained(), about(path):
        if input_shapes and path.is_dir():
            raise InputError(f"{path}: --input-shape is for an ONNX file; a ticket has its test set, so leave it out")
        return exporter.run(path, None if out is None else path_of(out), options)


class CheckFunction(Protocol[P]):
    """What `check` returns: the outcome of an artifact's own checks, or a comparison."""

    @overload  # both take a candidate alone; a comparison of nothing is refused
    def __call__(self, candidate: Place, *, threads: int = 1, engine: bool = False) -> Outcome: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *given: P.args, **asked: P.kwargs) -> Comparison: ...


def _alone_or_compared(
    comparison: Callable[P, ComparisonRequest],
) -> Callable[[Callable[..., Outcome | Comparison]], CheckFunction[P]]:
    """A decorator that gives `check` the arguments of a comparison beside those of an artifact alone."""
    return cast(
        "Callable[[Callable[..., Outcome | Comparison]], CheckFunction[P]]", takes_arguments_of(comparison, ENGINE)
    )


@_alone_or_compared(ComparisonRequest)
def check(
    candidate: Place, baseline: Place | None = None, *, engine: bool = False, **asked: Any
) -> Outcome | Comparison:
    """Check an artifact on this host, alone; or, with a baseline or a budget, measure a model beside it and judge.

    Alone: the artifact's hashes, bytes, golden outputs, accuracy and budget, with numpy and onnxruntime alone. What is
    wrong with it is a verdict in the Outcome, not an error.

    With `baseline` both models, and the baseline once more, run interleaved in fresh processes until the verdict is
    certain; the Comparison holds every gate. `verdict` and `exit_code` of either result say how it came out.

    Args:
        candidate: an artifact, a ticket's or run's folder with one inside, or what `export` returned; for a comparison
            an ONNX file as well.
        baseline: the model to compare with, likewise.
        max_latency: the slow-down that must be caught, 0.05 for 5 %. It is no allowance: between half of it and all of
            it either verdict may come. None leaves latency out, as it does for the others.
        max_size, max_memory: how much larger the file or the peak of memory may be, as a share.
        max_accuracy_drop: in the metric's points, on the baseline's labelled slice.
        accuracy_asked: True makes accuracy that cannot be compared inconclusive; otherwise it is left out.
        max_counts: shares for 'nonzeros', 'macs', 'nodes' and 'instructions'.
        providers: 'cpu', 'sparse' (the engine) or any that is installed; one, or several to measure on in turn.
        baseline_provider: another provider for the baseline.
        threads: a number of threads, or for a comparison several.
        budget_ms: what the median inference may take on the host `budget_host`: 'any', 'this' or a fingerprint.
        seconds: the time for each provider and number of threads.
        process_s: after so many seconds one process is taken to hang.
        seed: of the random orders.
        input_shapes: shapes for inputs with free axes.
        engine: for an artifact alone, add a line on the sparse engine: its golden outputs, and its latency.

    Raises:
        FolderError: there is no artifact.
        InputError: the models cannot be compared, or an argument cannot be met here.
        IntegrityError: a file of an artifact that is compared is missing or altered.
    """
    if baseline is not None or asked.get("budget_ms") is not None:
        if engine:
            raise InputError("engine=True is for an artifact alone; a comparison takes providers=('cpu', 'sparse')")
        return check_against(ComparisonRequest(candidate, baseline, **asked))
    counts = several(asked.pop("threads", 1))
    if asked or len(counts) != 1:
        named = ", ".join(asked) or "several numbers of threads"
        raise InputError(f"{named}: these are for a comparison; give baseline=, a model to compare with")
    return _check_alone(path_of(candidate), counts[0], engine)


def check_against(request: ComparisonRequest, watch: Callable[[str, Duel], None] = lambda *_: None) -> Comparison:
    """`check` of a comparison; `watch` is told of every process that was measured.

    Raises: see check.
    """
    from edgeticket.gate import run

    with refusals_explained():
        return run.check(request, watch)


def _check_alone(folder: Path, threads: int, engine: bool) -> Outcome:
    from edgeticket.artifact.checks import NotAnArtifactError, check_artifact
    from edgeticket.artifact.folder import artifact_in
    from edgeticket.gate.engine_line import with_engine

    require_threads(threads)
    with refusals_explained():
        folder = artifact_in(folder)
        try:
            outcome = check_artifact(folder, threads)
            return with_engine(folder, outcome, threads) if engine else outcome
        except NotAnArtifactError as error:
            if not folder.is_dir() and not folder.is_file():
                said = why_no_file(folder, "file or folder")
                raise FolderError(f"{folder}: {said}; give an artifact's folder") from error
            if folder.is_file():
                raise FolderError(
                    f"{folder}: a file, and an artifact is a folder; `edgeticket export` makes one, and beside "
                    "--baseline or --budget-ms an ONNX file is taken as it is"
                ) from error
            raise FolderError(f"{error}; `edgeticket export` makes one") from error


def inspect(model: Place, *, threads: int = 1, isa: str | None = None, claim: str = "auto") -> Inspection:
    """What the sparse engine makes of a model, an artifact or an ONNX file, layer by layer.

    Args:
        model: an artifact's folder, a ticket's or run's folder with one inside, or an ONNX file.
        threads: threads to plan and time for.
        isa: the instruction set, one of `edgeticket.engine.ISAS`; by default the best of this processor.
        claim: 'auto' (what is predicted to be faster), 'timed' or 'always', as in `session`.

    Raises:
        EngineError: the engine's library was not built, or does not fit this ONNX Runtime.
        InputError: the model or an option cannot be used.
        IntegrityError: an artifact's file is missing or altered.
    """
    from edgeticket import inspection

    require_threads(threads)
    with refusals_explained():
        return inspection.inspect(path_of(model), threads=threads, isa=isa, claim=claim)


@takes_arguments_of(BenchRequest)
def bench(models: Place | Sequence[Place], **asked: Any) -> Bench:
    """Measure models side by side, interleaved in fresh processes: percentiles with intervals, load times, memory.

    Args:
        models: an artifact's folder, a folder with one inside, an ONNX file, or a list of these.
        providers: 'cpu', 'sparse' (the engine) or any that is installed; one, or several to measure on in turn.
        threads: a number of threads, or several.
        seconds: the time for each provider and number of threads.
        seed: of the random orders.
        input_shapes: shapes for inputs with free axes.

    Raises:
        InputError: a model cannot be used, or they differ in inputs or outputs.
        IntegrityError: an artifact's file is missing or altered.
    """
    return bench_models(BenchRequest(models, **asked))


def bench_models(request: BenchRequest, watch: Callable[[str, int], None] = lambda *_: None) -> Bench:
    """`bench` of a request; `watch` is told the number of processes that were measured.

    Raises: see bench.
    """
    from edgeticket.benchmark import bench as side_by_side

    with refusals_explained():
        return side_by_side.bench(request, watch)


def compare(first: str | Path, second: str | Path) -> Conclusions:
    """What two saved results of `bench --json` allow one to conclude: sentences, and whether latencies are comparable.

    Raises:
        InputError: one of them is no such result.
    """
    from edgeticket.benchmark import compare

    return compare.conclusions(compare.read(Path(first)), compare.read(Path(second)))


def selftest(
    model: Place | None = None,
    seconds: float = 60.0,
    process_s: float = 30.0,
    seed: int = 0,
    *,
    watch: Callable[[str, Duel], None] = lambda *_: None,
) -> SelfTest:
    """Whether this host passes a model against itself and catches 5 %: on `model`, or on a sample network.

    Raises:
        InputError: the model cannot be used.
    """
    from edgeticket.gate import selftest

    require_seconds("seconds", seconds)
    require_seconds("process_s", process_s)
    require_whole("seed", seed)
    with refusals_explained():
        return selftest.selftest(None if model is None else path_of(model), seconds, process_s, seed, watch)


def trend(history: str | Path) -> list[Trend]:
    """The series in a history that --append wrote, cut where the level changed.

    Raises:
        InputError: it cannot be read, or holds no run.
    """
    from edgeticket.benchmark import history as recorded

    with explained("trend"):
        return recorded.trends(recorded.read(Path(history)))
