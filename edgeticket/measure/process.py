"""One question to a fresh process: started clean, ended by a limit, always reaped, and its end told in a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# What a fresh process runs: this very package, by its path. Started with -P it imports nothing from the working
# directory, where a random.py of the user's may lie.
PACKAGE = Path(__file__).resolve().parents[1] / "__init__.py"
WORKER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("edgeticket", sys.argv[1])
sys.modules["edgeticket"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["edgeticket"])
from edgeticket.measure import worker
worker.main()
"""
COMMAND = (sys.executable, "-P", "-c", WORKER, str(PACKAGE))
LONGEST_REASON = 300


class NoAnswerError(Exception):
    """The process gave no answer. `kind` is 'hung', 'killed', 'failed' or 'model'; `arm` the model that failed."""

    def __init__(self, kind: str, sentence: str, arm: str | None = None) -> None:
        super().__init__(sentence)
        self.kind, self.arm = kind, arm


def ask(request: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """Start a worker, hand it the request, wait for the answer at most `limit_s` seconds.

    However this ends, by Ctrl-C too, no process of it is left.

    Raises:
        NoAnswerError: it hung, was killed, failed, or a model failed in it.
    """
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    try:
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, and what the worker starts is in its group
        )
    except OSError as error:
        raise NoAnswerError("failed", f"no process could be started ({error.strerror or error})") from error
    try:
        out, err = process.communicate(json.dumps(request).encode(), timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError("hung", f"no answer within {limit_s:.0f} s; the process was ended") from error
    finally:
        _end(process)
    return _answer(process.returncode, out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group, if any of it is left, and reap the process."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    process.wait()


def _answer(code: int, out: bytes, err: bytes) -> dict[str, Any]:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; out of memory, if nobody killed it" if name == "SIGKILL" else ""
        raise NoAnswerError("killed", f"the process was killed by {name}{hint}")
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as error:
        said = err.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        sentence = f"the process ended with {code} ({said[-1][:LONGEST_REASON]})"
        raise NoAnswerError("failed", sentence) from error
    if "error" in answer:
        raise NoAnswerError("model", str(answer["error"])[:LONGEST_REASON], answer.get("arm"))
    return answer
