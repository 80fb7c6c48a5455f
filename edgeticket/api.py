"""What edgeticket does, as functions: find(), export(), check(), and the measuring beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeticket.errors import FolderError, InputError, refusals_explained

if TYPE_CHECKING:
    from edgeticket.artifact.checks import Outcome
    from edgeticket.benchmark.bench import Bench
    from edgeticket.benchmark.history import Trend
    from edgeticket.exporter import Exported
    from edgeticket.gate.report import Report
    from edgeticket.gate.selftest import SelfTest
    from edgeticket.inspection import Inspection
    from edgeticket.measure.duel import Duel


def export(
    source: str | Path,
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
) -> Exported:
    """Export a ticket or an ONNX file with zeros in it as an artifact: small, proved, measured.

    Args:
        source: a ticket's folder, a run's folder (its best trial is taken), or an ONNX file.
        out: the artifact's folder. Default: `artifact` inside a ticket's or run's folder, `NAME-artifact` beside
            NAME.onnx. An earlier artifact there is replaced as a whole; a folder that holds anything else is refused.
        round: another round than the ticket's.
        storage: 'auto', 'dense', 'gaps' or 'sparse-initializer'.
        weights: how values rest on disk: 'fp32', 'fp16' or 'int8'.
        budget_ms: what the median inference may take; `check` judges it. The other two mean nothing without it.
        budget_host: 'any', 'this', or the fingerprint of the host that the budget is for.
        budget_threads: the threads that the budget is for.
        bench: measure latency, load time and memory for the report.
        input_shapes: shapes for inputs with free axes, where the source is an ONNX file.

    Raises:
        InputError: the source, an option or the output folder cannot be used.
        IntegrityError: a file of the ticket is missing or altered.
        ProofError: an output moved by more than the tolerance; nothing was written.
    """
    from edgeticket import exporter
    from edgeticket.artifact.checks import host, plural
    from edgeticket.artifact.manifest import Budget

    budget = None
    if budget_ms is not None:
        if not budget_ms > 0 or budget_threads < 1:
            raise InputError(f"a budget of {budget_ms} ms at {plural(budget_threads, 'thread')}: both must be above 0")
        if not re.fullmatch("any|this|[0-9a-f]{12}", budget_host):
            raise InputError(
                f"--budget-host {budget_host!r}: give any, this, or the fingerprint of a host, 12 digits and letters "
                f"(`edgeticket check DIR --json -` prints it; here it is {host()['fingerprint']})"
            )
        budget = Budget(budget_ms, budget_threads, str(host()["fingerprint"]) if budget_host == "this" else budget_host)
    elif (budget_host, budget_threads) != ("any", 1):
        raise InputError("--budget-host and --budget-threads say where a budget holds; give the budget, --budget-ms")
    options = exporter.Options(round, storage, weights, budget, bench, input_shapes)
    with refusals_explained():
        if input_shapes and Path(source).is_dir():
            raise InputError(f"{source}: --input-shape is for an ONNX file; a ticket has its test set, so leave it out")
        return exporter.run(Path(source), None if out is None else Path(out), options)


def check(folder: str | Path, *, threads: int = 1, engine: bool = False) -> Outcome:
    """Check an artifact on this host, with numpy and onnxruntime alone.

    `folder` is an artifact, or a ticket's or run's folder with one inside. What is wrong with it is a verdict in the
    outcome, not an error. `engine` adds a line about the sparse engine: its golden outputs, and its latency beside the
    CPU provider's.

    Raises:
        FolderError: there is no artifact.
        InputError: the system refuses to look there.
    """
    from edgeticket.artifact.checks import MANIFEST, SUMS, NotAnArtifactError, check_artifact
    from edgeticket.gate.engine_line import with_engine

    path = Path(folder)
    inside = path / "artifact"
    with refusals_explained():
        if inside.is_dir() and not (path / SUMS).exists() and not (path / MANIFEST).exists():
            path = inside
        try:
            outcome = check_artifact(path, threads)
            return with_engine(path, outcome, threads) if engine else outcome
        except NotAnArtifactError as error:
            raise FolderError(f"{error}; `edgeticket export` makes one") from error


def inspect(model: str | Path, *, threads: int = 1, isa: str | None = None, claim: str = "auto") -> Inspection:
    """What the sparse engine makes of a model, an artifact or an ONNX file, layer by layer.

    Args:
        model: an artifact's folder, a ticket's or run's folder with one inside, or an ONNX file.
        threads: threads to plan and time for.
        isa: the instruction set, one of `edgeticket.engine.ISAS`; by default the best of this processor.
        claim: what the engine takes, one of `edgeticket.engine.CLAIMS`.

    Raises:
        EngineError: the engine's library was not built, or does not fit this ONNX Runtime.
        InputError: the model or an option cannot be used.
        IntegrityError: an artifact's file is missing or altered.
    """
    from edgeticket import inspection

    with refusals_explained():
        return inspection.inspect(Path(model), threads=threads, isa=isa, claim=claim)


def check_against(
    candidate: str | Path,
    baseline: str | Path | None,
    *,
    max_latency: float | None = 0.05,
    max_size: float | None = 0.01,
    max_accuracy_drop: float | None = 0.5,
    accuracy_asked: bool = False,
    max_memory: float | None = None,
    max_counts: Mapping[str, float] | None = None,
    providers: Sequence[str] = ("cpu",),
    baseline_provider: str | None = None,
    threads: Sequence[int] = (1,),
    budget_ms: float | None = None,
    budget_host: str = "any",
    seconds: float = 60.0,
    process_s: float = 30.0,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    watch: Callable[[str, Duel], None] = lambda *_: None,
) -> Report:
    """Measure two models beside one another on this host, and judge. Arguments: edgeticket/gate/request.py.

    Raises:
        InputError: the models cannot be compared, or an option cannot be met here.
        IntegrityError: an artifact's file is missing or altered.
    """
    from edgeticket.gate import run
    from edgeticket.gate.request import Request

    with refusals_explained():
        request = Request(
            candidate=Path(candidate),
            baseline=None if baseline is None else Path(baseline),
            max_latency=max_latency,
            max_size=max_size,
            max_accuracy_drop=max_accuracy_drop,
            accuracy_asked=accuracy_asked,
            max_memory=max_memory,
            max_counts=dict(max_counts or {}),
            providers=tuple(providers),
            baseline_provider=baseline_provider,
            threads=tuple(threads),
            budget_ms=budget_ms,
            budget_host=budget_host,
            seconds=seconds,
            process_s=process_s,
            seed=seed,
            input_shapes=dict(input_shapes or {}),
        )
        return run.check(request, watch)


def selftest(
    model: str | Path | None = None,
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

    with refusals_explained():
        return selftest.selftest(None if model is None else Path(model), seconds, process_s, seed, watch)


def bench(
    models: Sequence[str | Path],
    *,
    providers: Sequence[str] = ("cpu",),
    threads: Sequence[int] = (1,),
    seconds: float = 60.0,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    watch: Callable[[str, int], None] = lambda *_: None,
) -> Bench:
    """Measure models side by side, interleaved in fresh processes.

    Raises:
        InputError: a model cannot be used, or they differ in inputs or outputs.
        IntegrityError: an artifact's file is missing or altered.
    """
    from edgeticket.benchmark import bench as gate

    with refusals_explained():
        return gate.bench(
            [Path(model) for model in models],
            providers=providers,
            threads=threads,
            seconds=seconds,
            seed=seed,
            input_shapes=input_shapes,
            watch=watch,
        )


def compare(first: str | Path, second: str | Path) -> tuple[list[str], bool]:
    """What two saved results of `bench` allow one to conclude: sentences, and whether latencies could be compared.

    Raises:
        InputError: one of them is no such result.
    """
    from edgeticket.benchmark import compare

    return compare.conclusions(compare.read(Path(first)), compare.read(Path(second)))


def trend(history: str | Path) -> list[Trend]:
    """The series in a history that --append wrote, cut where the level changed.

    Raises:
        InputError: it cannot be read, or holds no run.
    """
    from edgeticket.benchmark import history as gate

    return gate.trends(gate.read(Path(history)))
