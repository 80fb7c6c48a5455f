"""The group of all commands turns errors into one sentence and an exit code, here and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from edgeticket.errors import EdgeticketError, Exit, refusals_explained
from edgeticket.extras import explain

RESUMED = {"find"}  # the commands that go on from what an earlier run left


class Commands(click.Group):
    """Maps our errors to exit codes, so that nothing a user can cause shows a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; where whoever read its output has gone, it ends without a word and without a verdict."""
        with _no_verdict_of_a_closed_pipe():
            try:
                return super().main(*args, **kwargs)
            except BrokenPipeError:
                raise
            except OSError as error:  # of help, of the version, of a completion: what commands raise is explained
                raise _not_written(error) from error
            finally:
                _write_what_is_buffered()

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, and print the help where it is asked for."""
        with _no_verdict_of_a_closed_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named; its error may have no reader either."""
        with _no_verdict_of_a_closed_pipe():
            return self._explained(ctx)

    def _explained(self, ctx: click.Context) -> Any:
        try:
            with _no_verdict_of_a_closed_pipe(), refusals_explained():
                return super().invoke(ctx)
        except EdgeticketError as error:
            self._stop(ctx, str(error), error.exit_code)
        except ModuleNotFoundError as error:
            missing = explain(error, ctx.invoked_subcommand or "")
            if missing is None:
                raise
            self._stop(ctx, str(missing), missing.exit_code)
        except KeyboardInterrupt:
            resumes = ctx.invoked_subcommand in RESUMED
            rest = "what is finished is kept, and the same command goes on from there" if resumes else "run it again"
            self._stop(ctx, f"interrupted; {rest}", Exit.INTERRUPTED)

    @staticmethod
    def _stop(ctx: click.Context, sentence: str, code: int) -> None:
        click.echo(f"edgeticket: {sentence}", err=True)
        ctx.exit(int(code))


@contextmanager
def _no_verdict_of_a_closed_pipe() -> Iterator[None]:
    """End as a command that the system ended for writing to a closed pipe: click and rich would exit with 1, a verdict.

    What is left in a buffer goes nowhere, so that the interpreter does not fail on it at its end.
    """
    try:
        yield
        return
    except BrokenPipeError:
        pass
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):  # rich exits from where it caught the error
            raise
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except BrokenPipeError:
            _write_to_nowhere(stream)
    raise SystemExit(int(Exit.CLOSED_PIPE))


def _write_what_is_buffered() -> None:
    """Write it now: what a full disk refuses is a sentence here, and a traceback when the interpreter ends.

    Raises:
        SystemExit: it could not be written.
    """
    if sys.stdout is None:  # the process was started with its output closed
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_written(error) from error


def _not_written(error: OSError) -> SystemExit:
    """Say that standard output took nothing, and give what ends the command."""
    if sys.stdout is not None:
        _write_to_nowhere(sys.stdout)
    click.echo(f"edgeticket: standard output: {error.strerror}; send it somewhere else", err=True)
    return SystemExit(int(Exit.USAGE))


def _write_to_nowhere(stream: TextIO) -> None:
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
