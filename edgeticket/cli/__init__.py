"""The command line: click, and no logic. Errors become one sentence and an exit code here and nowhere else."""

from __future__ import annotations

import sys
from typing import Any

import click

from edgeticket.cli.bench import bench, compare, trend
from edgeticket.cli.check import check
from edgeticket.cli.export import export
from edgeticket.cli.extras import explain
from edgeticket.cli.find import find, tasks
from edgeticket.cli.inspect import inspect
from edgeticket.errors import EdgeticketError, Exit, refusals_explained
from edgeticket.version import __version__

RESUMED = {"find"}  # the commands that go on from what an earlier run left


class _Commands(click.Group):
    """Maps our errors to exit codes: no traceback for anything a user can cause."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with refusals_explained():
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
            self._stop(ctx, f"interrupted; {rest}", 130)

    @staticmethod
    def _stop(ctx: click.Context, sentence: str, code: int) -> None:
        click.echo(f"edgeticket: {sentence}", err=True)
        ctx.exit(int(code))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"Exit codes: {Exit.YES:d} yes, {Exit.NO:d} the verdict is no, {Exit.USAGE:d} usage or bad input, "
    f"{Exit.INCONCLUSIVE:d} inconclusive, {Exit.INTEGRITY:d} a file is missing or altered.",
)
@click.version_option(__version__, prog_name="edgeticket")
def main() -> None:
    """Find a winning lottery ticket, export it small, prove it on ONNX Runtime."""


for command in (find, export, check, inspect, bench, compare, trend, tasks):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
