"""ONNX Runtime behind one door: the CPU provider, quiet, without telemetry, its errors mapped into ours.

Only this file and `measure/checks.py` import onnxruntime.

Sessions are made and run on a thread of their own. `session.set_denormal_as_zero` switches the processor to
flush-to-zero on the very thread that makes a process's first session, for good (onnxruntime, inference_session.cc,
`std::call_once`): made on the caller's thread, it would change what numpy computes and compares from then on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # must stand before the import to have any effect

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edgeticket.errors import InputError, ModelError

Array = NDArray[np.generic]

# The bindings' exceptions have no base class of their own, and their number grows from release to release.
_ORT_ERRORS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    TypeError,
    ValueError,
)
_SILENT = 4  # fatal only: what fails is raised as an exception as well, and the rest is advice
_LONGEST_REASON = 400
_LARGEST_BYTES = 2**31 - 1  # protobuf's limit for a message in memory
VERSION: str = ort.__version__
Session: TypeAlias = ort.InferenceSession

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onnxruntime")


def session(
    model: bytes | Path,
    *,
    threads: int = 1,
    spinning: bool = True,
    optimize: bool = True,
    optimized_path: Path | None = None,
) -> Session:
    """A session on the stock CPU provider, with denormals taken as zero.

    Args:
        model: a serialised ONNX model, or the path of one; above 2 GB only a path will do.
        threads: threads inside an operator, the caller's own included; 0 lets the runtime take every core.
        spinning: False lets idle threads sleep instead of burning a core between operators.
        optimize: False runs the graph as it is written.
        optimized_path: the graph is written here as it stands after constant folding and the basic rewrites, its
            larger tensors beside it in a file of the same name plus `.data`.

    Raises:
        ModelError: the runtime cannot load the model: damaged, or with operators it does not know.
    """
    if isinstance(model, bytes) and len(model) > _LARGEST_BYTES:
        raise ModelError(
            f"the model has {len(model):,} bytes, more than protobuf reads from memory; write it to a file first"
        )
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    if optimized_path is not None:
        options.graph_optimization_level = level.ORT_ENABLE_BASIC  # the rest depends on this machine's processor
        options.optimized_model_filepath = str(optimized_path)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", optimized_path.name + ".data"
        )
    source = model if isinstance(model, bytes) else str(model)
    try:
        return _thread.submit(ort.InferenceSession, source, options, providers=["CPUExecutionProvider"]).result()
    except _ORT_ERRORS as error:
        name = "the model" if isinstance(model, bytes) else str(model)
        raise ModelError(f"{name}: ONNX Runtime {VERSION} cannot load it: {_reason(error)}") from error


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


def _reason(error: Exception) -> str:
    """The runtime's message on one line, without its endless tails."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."
