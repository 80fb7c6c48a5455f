"""The picture of a run: accuracy and early stopping over the share of weights left (the paper's figures 3 to 5)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from edgeticket.lottery.summary import RoundRow, rows
from edgeticket.ticket.kinds import ControlKind
from edgeticket.ticket.record import Record

_STYLE = {
    "ticket": ("#1f6feb", "o", "ticket"),
    ControlKind.REINIT: ("#d1742f", "s", "same mask, fresh weights"),
    ControlKind.RANDOM_MASK: ("#8250df", "^", "random mask, same counts"),
}


def picture(records: Sequence[Record]) -> bytes:
    """Draw two panels over density (log scale, dense at the left) with mean, minimum and maximum of the trials. PNG."""
    table = rows(records)
    metric = records[0].metric
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    unit = f" ({metric.unit})" if metric.unit else ""
    for axes, name, label in (
        (left, "test_metric", f"test {metric.name} {records[0].choice.at.words}{unit}"),
        (right, "stop_iteration", "early-stopping iteration"),
    ):
        for kind, (colour, marker, legend) in _STYLE.items():
            of_kind = [row for row in table if row.kind == kind]
            if of_kind:
                _line(axes, of_kind, name, colour, marker, legend)
        dense = getattr(table[0], name).mean
        axes.axhline(dense, color="#6e7781", linewidth=1, linestyle=":", label="dense")
        axes.set_ylabel(label)
        _density_axis(axes, [row.density for row in table])
        axes.grid(alpha=0.25)
    chosen = records[0].ticket
    if chosen is not None:
        density = 100 * records[0].rounds[chosen].density
        label = "the ticket" if len(records) == 1 else "the ticket of trial 0"
        for axes in (left, right):
            axes.axvline(density, color="#1a7f37", linewidth=1, linestyle="--", label=label)
    left.legend(fontsize=8, frameon=False)
    trials = f", {len(records)} trials (mean, minimum to maximum)" if len(records) > 1 else ""
    figure.suptitle(f"{records[0].task}{trials}", fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _line(axes: Any, table: list[RoundRow], name: str, colour: str, marker: str, legend: str) -> None:
    x = [100 * row.density for row in table]
    spreads = [getattr(row, name) for row in table]
    y = [spread.mean for spread in spreads]
    errors = [[s.mean - s.minimum for s in spreads], [s.maximum - s.mean for s in spreads]]
    axes.errorbar(
        x, y, errors, color=colour, marker=marker, markersize=4, linewidth=1.4, elinewidth=0.9, capsize=2, label=legend
    )


def _density_axis(axes: Any, densities: list[float]) -> None:
    axes.set_xscale("log")
    axes.invert_xaxis()
    low = 100 * min(densities)
    ticks = [tick for tick in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1) if tick >= low * 0.8]
    axes.set_xticks(ticks)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.set_xlabel("% of weights left")
