"""Parameter types that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class Density(click.ParamType[float]):
    """A share of the weights: '3.6%' or '0.036'."""

    name = "density"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a density; write 3.6% or 0.036", param, ctx)
        if not 0 < share <= 1:
            self.fail(f"{value!r} is not between 0 and 100 %; write 3.6% or 0.036", param, ctx)
        return share


def write_json(target: str, document: object) -> None:
    """A document to a file, or to standard output for '-'."""
    import json

    from edgeticket.files import write_atomic

    data = (json.dumps(document, indent=1) + "\n").encode()
    if target == "-":
        click.echo(data, nl=False)
    else:
        write_atomic(Path(target), data)
