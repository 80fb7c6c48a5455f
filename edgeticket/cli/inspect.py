"""`edgeticket inspect`."""

from __future__ import annotations

from typing import Any

import click

from edgeticket.cli import options, values
from edgeticket.cli.output import console, write_json
from edgeticket.engine import CLAIMS, ISAS


@click.command()
@click.argument("model", type=click.Path(), callback=values.paths)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads to plan and time for."
)
@click.option(
    "--isa",
    type=click.Choice(ISAS),
    help="The instructions to use.  [default: the best of this processor]",
)
@click.option(
    "--claim",
    type=click.Choice(CLAIMS),
    default="auto",
    show_default=True,
    help="Take what is predicted to be faster, what was timed to be faster, or all that can be computed.",
)
@options.json("the result")
def inspect(json_target: str | None, **asked: Any) -> None:
    """Show what the sparse engine makes of MODEL, an artifact's folder or an ONNX file, layer by layer.

    Sparsity, the kernel chosen or the reason why a layer was left to ONNX Runtime, its time as predicted and as
    measured, and what the CPU provider is predicted to take.
    """
    from edgeticket import api

    found = api.inspect(**asked)
    if json_target:
        write_json(json_target, found.document())
    if json_target != "-":
        _print(found)


def _print(found: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from edgeticket.inspection import COLUMNS, TIMES

    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True, footer_style="bold")
    for place, (head, total) in enumerate(zip((*COLUMNS, *TIMES), found.total_row(), strict=True)):
        right = head == "zeros" or place >= len(COLUMNS)
        table.add_column(head, Text(total), justify="right" if right else "left", no_wrap=right)
    for row in found.rows():
        table.add_row(*(Text(cell) for cell in row))
    screen = console(log_width=1000)
    screen.print(table)
    for sentence in found.sentences():
        screen.print(sentence, markup=False, soft_wrap=True)
