"""The group of all commands turns errors into one sentence and an exit code, here and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from edgeticket.cli.extras import explain
from edgeticket.errors import EdgeticketError, Exit, refusals_explained

RESUMED = {"find"}  # the commands that go on from what an earlier run left


class Commands(click.Group):
    """Maps our errors to exit codes, so that nothing a user can cause shows a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; where whoever read its output has gone, it ends without a word and without a verdict."""
        with _no_verdict_of_a_closed_pipe():
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()  # what is still buffered fails here, and not when the interpreter ends

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, and print the help where it is asked for."""
        with _no_verdict_of_a_closed_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
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
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(int(Exit.CLOSED_PIPE))
