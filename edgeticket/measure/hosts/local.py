"""This machine: each question goes to a fresh process, started clean, ended by a limit, and always reaped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeticket.measure import wire
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.protocol import Answer, Failure, Request

# What a fresh process runs: this very package, by its path, and of it main() of the module that answers. Started with
# -P it imports nothing from the working directory, where a random.py of the user's may lie.
PACKAGE = Path(__file__).resolve().parents[2] / "__init__.py"
PROGRAM = """
import importlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("edgeticket", sys.argv[1])
sys.modules["edgeticket"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["edgeticket"])
importlib.import_module(sys.argv[2]).main(*map(int, sys.argv[3:]))
"""
COMMAND = (sys.executable, "-P", "-c", PROGRAM, str(PACKAGE))
LONGEST_REASON = 300


class RunningModels:
    """The names of models that a worker wrote into a pipe as it began to run them."""

    def __init__(self, reader: int) -> None:
        os.set_blocking(reader, False)
        self._reader = reader
        self._last: str | None = None

    def last(self) -> str | None:
        """The latest name so far. Ask when the process has ended or hangs: to look earlier would disturb a timing."""
        with suppress(OSError):
            names = os.read(self._reader, 1 << 16).decode("utf-8", "replace").split("\n")[:-1]
            self._last = names[-1] if names else self._last
        return self._last


@dataclass(frozen=True)
class Local:
    """The machine that this runs on. `command` starts a worker: the module and the arguments of its main() follow."""

    command: tuple[str, ...] = COMMAND

    def ask(self, request: Request[Answer], limit_s: float) -> Answer:
        """Start a worker, hand it the request, and wait for the answer at most `limit_s` seconds.

        However this ends, by Ctrl-C too, no process of it is left.

        Raises:
            NoAnswerError: it hung, was killed, failed, or a model failed in it.
        """
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        reader, writer = os.pipe()
        told = RunningModels(reader)
        handed = (writer,) if os.name == "posix" else ()
        try:
            process = subprocess.Popen(
                (*self.command, request.worker, str(os.getpid()), *map(str, handed)),
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
            out, err = self.wait(process, wire.request_to_json(request).encode(), told, limit_s)
            return _answer(request, process.returncode, out, err, told)
        except subprocess.TimeoutExpired as error:
            arm = told.last()
            during = f" from the model {arm!r}" if arm else ""
            sentence = f"no answer{during} within {limit_s:.3g} s; the process was ended"
            raise NoAnswerError("hung", sentence, arm) from error
        finally:
            _end(process)
            os.close(reader)

    def wait(
        self,
        process: subprocess.Popen[bytes],
        data: bytes,
        told: RunningModels,  # noqa: ARG002  for whoever decides by it that a process hangs
        limit_s: float,
    ) -> tuple[bytes, bytes]:
        """Write the request, and give what the process wrote to its output and error streams.

        Raises:
            subprocess.TimeoutExpired: the time was over.
        """
        return process.communicate(data, timeout=limit_s)


LOCAL = Local()


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


def _answer(request: Request[Answer], code: int, out: bytes, err: bytes, told: RunningModels) -> Answer:
    """What the ended process said.

    Raises:
        NoAnswerError: it was killed, said no answer to this request, or that a model failed.
    """
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; out of memory, if nobody killed it" if name == "SIGKILL" else ""
        arm = told.last()
        during = f" while the model {arm!r} ran" if arm else ""
        raise NoAnswerError("killed", f"the process was killed by {name}{during}{hint}", arm)
    try:
        answer = wire.answer_from_json(out, request)
    except ValueError as error:
        said = err.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        sentence = f"the process ended with {code} ({said[-1][:LONGEST_REASON]})"
        raise NoAnswerError("failed", sentence) from error
    if isinstance(answer, Failure):
        raise NoAnswerError("model", answer.error[:LONGEST_REASON], answer.arm)
    return answer
