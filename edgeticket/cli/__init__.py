"""The command line holds click's commands and no logic: each hands its options on and shows what comes back."""

from __future__ import annotations

import sys

import click

from edgeticket.cli.bench import bench, compare, trend
from edgeticket.cli.check import check
from edgeticket.cli.commands import Commands
from edgeticket.cli.export import export
from edgeticket.cli.find import find, tasks
from edgeticket.cli.inspect import inspect
from edgeticket.errors import Exit
from edgeticket.version import __version__


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"Exit codes: {Exit.YES:d} yes, {Exit.NO:d} the verdict is no, {Exit.USAGE:d} usage or bad input, "
    f"{Exit.INCONCLUSIVE:d} inconclusive, {Exit.INTEGRITY:d} a file is missing or altered, {Exit.INTERRUPTED:d} "
    f"interrupted by Ctrl-C, {Exit.CLOSED_PIPE:d} whoever read the output has gone.",
)
@click.version_option(__version__, prog_name="edgeticket")
def main() -> None:
    """Find a winning lottery ticket, export it small, prove it on ONNX Runtime."""


for command in (find, export, check, inspect, bench, compare, trend, tasks):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
