"""One question to a fresh process: started clean, ended by a limit, always reaped, and its end told in a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# What a fresh process runs: this very package, by its path. Started with -P it imports nothing from the working
# directory, where a random.py of the user's may lie.
PACKAGE = Path(__file__).resolve().parents[1] / "__init__.py"
WORKER = """
import importlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("edgeticket", sys.argv[1])
sys.modules["edgeticket"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["edgeticket"])
importlib.import_module(sys.argv[2]).main()
"""
COMMAND = (sys.executable, "-P", "-c", WORKER, str(PACKAGE))
LONGEST_REASON = 300


class NoAnswerError(Exception):
    """The process gave no answer. `kind` is 'hung', 'killed', 'failed' or 'model'.

    `arm` is the model that failed; of a process that hung or was killed, the model that was running, where it is known.
    """

    def __init__(self, kind: str, sentence: str, arm: str | None = None) -> None:
        super().__init__(sentence)
        self.kind, self.arm = kind, arm


def ask(request: Mapping[str, Any], limit_s: float, module: str = "edgeticket.measure.worker") -> dict[str, Any]:
    """Start a worker, hand it the request, wait for the answer at most `limit_s` seconds.

    However this ends, by Ctrl-C too, no process of it is left. The worker is the main() of `module`.

    Raises:
        NoAnswerError: it hung, was killed, failed, or a model failed in it.
    """
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    reader, writer = os.pipe()
    handed = (writer,) if os.name == "posix" else ()
    try:
        process = subprocess.Popen(
            (*COMMAND, module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, and what the worker starts is in its group
            pass_fds=handed,
        )
    except OSError as error:
        os.close(reader)
        raise NoAnswerError("failed", f"no process could be started ({error.strerror or error})") from error
    finally:
        os.close(writer)
    try:
        asked = {**request, "tell": handed[0]} if handed else request
        out, err = process.communicate(json.dumps(asked).encode(), timeout=limit_s)
        return _answer(process.returncode, out, err, lambda: _last(reader))
    except subprocess.TimeoutExpired as error:
        arm = _last(reader)
        during = f" from the model {arm!r}" if arm else ""
        raise NoAnswerError("hung", f"no answer{during} within {limit_s:.3g} s; the process was ended", arm) from error
    finally:
        _end(process)
        os.close(reader)


def _last(reader: int) -> str | None:
    """The model that the worker named last. Nobody reads this pipe before, which would wake a process meanwhile."""
    with suppress(OSError):
        os.set_blocking(reader, False)
        names = os.read(reader, 1 << 16).decode("utf-8", "replace").split("\n")[:-1]
        return names[-1] if names else None
    return None


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


def _answer(code: int, out: bytes, err: bytes, last: Callable[[], str | None]) -> dict[str, Any]:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; out of memory, if nobody killed it" if name == "SIGKILL" else ""
        arm = last()
        during = f" while the model {arm!r} ran" if arm else ""
        raise NoAnswerError("killed", f"the process was killed by {name}{during}{hint}", arm)
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as error:
        said = err.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        sentence = f"the process ended with {code} ({said[-1][:LONGEST_REASON]})"
        raise NoAnswerError("failed", sentence) from error
    if "error" in answer:
        raise NoAnswerError("model", str(answer["error"])[:LONGEST_REASON], answer.get("arm"))
    return answer
