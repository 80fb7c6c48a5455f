"""ONNX Runtime behind one door: quiet, without telemetry, its errors mapped into ours.

`session()` runs on the sparse engine where its library is built, and on the CPU provider what that leaves;
`cpu_session()` is the stock CPU provider alone, for whatever is evidence about a file.

Sessions are made and run on a thread of their own. `session.set_denormal_as_zero` switches the processor to
flush-to-zero on the very thread that makes a process's first session, for good (onnxruntime, inference_session.cc,
`std::call_once`): made on the caller's thread, it would change what numpy computes and compares from then on.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # must stand before the import to have any effect

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edgeticket import engine
from edgeticket.arguments import Place, path_of
from edgeticket.engine import CPU_PROVIDER, EP_NAME, library_path
from edgeticket.errors import EngineError, InputError, ModelError
from edgeticket.text import one_line

__all__ = ["EP_NAME", "VERSION", "Session", "cpu_session", "library_path", "register", "run", "session"]

Array = NDArray[np.generic]

# The bindings' exceptions have no base class of their own, and their number grows from release to release.
_BINDINGS = [kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
_ORT_ERRORS: tuple[type[Exception], ...] = (*_BINDINGS, RuntimeError, TypeError, ValueError)
_SILENT = 4  # fatal only: what fails is raised as an exception as well, and the rest is advice
_LONGEST_REASON = 400
_OLDEST, _BY_NAME = (1, 24, 3), (1, 25, 0)
MODEL = "model.onnx"  # of an artifact
_LARGEST_BYTES = 2**31 - 1  # protobuf's limit for a message in memory
VERSION: str = ort.__version__
Session: TypeAlias = ort.InferenceSession

_log = logging.getLogger("edgeticket")
_registering = threading.Lock()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onnxruntime")


def register() -> str:
    """Make the sparse engine known to ONNX Runtime, once a process; more calls change nothing.

    Returns:
        The provider's name. From ONNX Runtime 1.25 a session takes it by that name; 1.24 ignores names of plugins in
        silence, which a warning says: use `session()`, or the device of that name among `ort.get_ep_devices()`.

    Raises:
        EngineError: the library was not built, or ONNX Runtime refused it (older than 1.24.3).
    """
    _load()
    if _release() < _BY_NAME:
        _log.warning("ONNX Runtime %s ignores %s by name (1.25 does not); sessions take it by device", VERSION, EP_NAME)
    return EP_NAME


def session(
    model: bytes | Place,
    *,
    threads: int = 1,
    spinning: bool = True,
    sparse: bool = True,
    provider_options: Mapping[str, object] | None = None,
) -> Session:
    """What is faster there runs on the sparse engine, the rest on the CPU provider; denormals are taken as zero.

    A line of the logger `edgeticket` says what was claimed, what was not, and why. Where the library is missing it says
    so, and the CPU provider runs everything.

    Args:
        model: a serialised ONNX model, or the path of one; above 2 GB only a path will do. An artifact stands for its
            model: its folder, a ticket's or run's folder with one inside, or what `export` returned.
        threads: threads inside an operator, the caller's own included; 0 lets the runtime take every core.
        spinning: False lets idle threads sleep instead of burning a core between operators.
        sparse: False asks for the CPU provider alone.
        provider_options: of the sparse engine: claim (auto: what is predicted to be faster; timed: layers for which
            that is a close call are measured on this machine first; always: all that it can compute), isa, measure (1),
            report (a path), threads.

    Raises:
        ModelError: the runtime cannot load the model: damaged, or with operators it does not know.
        EngineError: a provider option that does not exist, or a value that it does not take.
    """
    path = _source(model)
    if not sparse:
        return cpu_session(path, threads=threads, spinning=spinning)
    given = dict(provider_options or {})
    entries = engine.entries(given)
    try:
        _load()
    except EngineError as error:
        _log.warning("%s runs on the CPU provider alone: %s", _name(path), error)
        return cpu_session(path, threads=threads, spinning=spinning)
    options = _options(threads, spinning)
    if threads > 0:
        entries.setdefault(engine.PREFIX + "threads", str(threads))
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        report = Path(str(given.get("report", Path(folder) / "report.json")))
        for key, value in {**entries, engine.PREFIX + "report": str(report)}.items():
            options.add_session_config_entry(key, value)
        made = _create(path, options, [EP_NAME, CPU_PROVIDER])
        _log.info("%s: %s", _name(path), engine.summary(engine.read_report(report)))
    return made


def cpu_session(
    model: bytes | Path,
    *,
    threads: int = 1,
    spinning: bool = True,
    optimize: bool = True,
    prepack: bool = True,
    optimized_path: Path | None = None,
    whole: bool = False,
) -> Session:
    """A session on the stock CPU provider, with denormals taken as zero.

    Args:
        model: a serialised ONNX model, or the path of one; above 2 GB only a path will do.
        threads, spinning: as in `session`.
        optimize: False runs the graph as it is written.
        prepack: False has kernels read constants as they read what is computed, so that sums round as they do there.
        optimized_path: the graph is written here as it stands after constant folding and the basic rewrites, its
            larger tensors beside it in a file of the same name plus `.data`.
        whole: it is written after all rewrites, as this machine runs it.

    Raises:
        ModelError: the runtime cannot load the model: damaged, or with operators it does not know.
    """
    options = _options(threads, spinning)
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if optimized_path is not None:
        if not whole:
            options.graph_optimization_level = level.ORT_ENABLE_BASIC  # the rest depends on this machine's processor
        options.optimized_model_filepath = str(optimized_path)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", optimized_path.name + ".data"
        )
    return _create(model, options, [CPU_PROVIDER])


def run(running: Session, feed: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
    """One inference: output name -> array, for `outputs` or all of them.

    Raises:
        InputError: the runtime refused the inputs (names, shapes, types) or failed on them.
    """
    names = list(outputs) if outputs is not None else [output.name for output in running.get_outputs()]
    try:
        results = _thread.submit(running.run, names, dict(feed)).result()
    except _ORT_ERRORS as error:
        shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feed.items())
        raise InputError(f"ONNX Runtime {VERSION} failed on the inputs {shapes}: {_reason(error)}") from error
    return dict(zip(names, results, strict=True))


def _load() -> None:
    """Register the library where nobody has: twice under one name is an error, under two names it is there twice."""
    if _release() < _OLDEST:
        raise EngineError(f"ONNX Runtime {VERSION} cannot load {EP_NAME} from Python: it takes 1.24.3 or newer")
    with _registering:
        if _device() is not None:
            return
        path = library_path()
        try:
            ort.register_execution_provider_library("edgeticket", str(path))
        except _ORT_ERRORS as error:
            raise EngineError(f"{path}: ONNX Runtime {VERSION} refused it: {_reason(error)}") from error


def _options(threads: int, spinning: bool) -> ort.SessionOptions:
    """What every session of ours has in common."""
    if not isinstance(threads, int) or threads < 0:
        raise EngineError(f"threads is {threads!r}: a whole number is needed, 0 for every core")
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    return options


def _create(model: bytes | Path, options: ort.SessionOptions, providers: list[str]) -> Session:
    """The session, made on our thread. Below 1.25 a plugin is taken by its device: its name would be ignored."""
    if not isinstance(model, bytes | Path):
        raise ModelError(f"{model!r} is neither the path of a model nor its bytes")
    if isinstance(model, bytes) and len(model) > _LARGEST_BYTES:
        raise ModelError(
            f"the model has {len(model):,} bytes, more than protobuf reads from memory; write it to a file first"
        )
    source = model if isinstance(model, bytes) else str(model)
    chosen: list[str] | None = providers
    if EP_NAME in providers and _release() < _BY_NAME:
        options.add_provider_for_devices([_device()], {})
        chosen = None  # a list would override the device
    try:
        # Without enable_fallback=0 a failing provider would be printed and replaced by the CPU's.
        return _thread.submit(ort.InferenceSession, source, options, providers=chosen, enable_fallback=0).result()
    except _ORT_ERRORS as error:
        raise ModelError(f"{_name(model)}: ONNX Runtime {VERSION} cannot load it: {_reason(error)}") from error


def _device() -> ort.OrtEpDevice | None:
    """The sparse engine's device, or None before it is registered."""
    return next((device for device in ort.get_ep_devices() if device.ep_name == EP_NAME), None)


def _release() -> tuple[int, ...]:
    """(1, 25, 0) of "1.25.0" or "1.25.0.dev1"."""
    return tuple(int(part) for part in VERSION.split(".")[:3] if part.isdigit())


def _source(model: bytes | Place) -> bytes | Path:
    """The bytes, the file that was named, or the model of the artifact that was; no hash is looked at."""
    if isinstance(model, bytes):
        return model
    try:
        path = path_of(model)
    except InputError as error:
        raise ModelError(f"{model!r} is neither the path of a model nor its bytes") from error
    inside = (path / MODEL, path / "artifact" / MODEL)
    return next((file for file in inside if file.is_file()), path)


def _name(model: bytes | Path) -> str:
    return "the model" if isinstance(model, bytes) else str(model)


def _reason(error: Exception) -> str:
    """The runtime's message on one line, without its endless tails, and without what it puts before ours."""
    return one_line(str(error).rpartition(f": FAIL : {EP_NAME}: ")[2], _LONGEST_REASON)
