"""Plots as inline SVG. Colours are variables of the page around them, so one drawing serves light and dark.

A page defines --ink (text, axes), --faint (grid), --plain and --strong (two series). Drawn 360 points wide, so that a
phone shows them at about their own size. Texts stay texts and are escaped by matplotlib.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDTH_IN, ROW_IN, HEAD_IN = 5.0, 0.27, 0.75
# Stand-ins that matplotlib takes for colours; each becomes a variable of the page.
COLOURS = {"#010203": "var(--ink)", "#010204": "var(--faint)", "#010205": "var(--plain)", "#010206": "var(--strong)"}
INK, FAINT, PLAIN, STRONG = COLOURS
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": FAINT,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
}


def bars(rows: Sequence[tuple[str, float, str]], strong: int, title: str) -> str:
    """Horizontal bars of (label, value, value as text); row `strong` is set off."""

    def draw(axes: Any) -> None:
        places = range(len(rows))
        colours = [STRONG if place == strong else PLAIN for place in places]
        axes.barh(places, [value for _, value, _ in rows], color=colours, height=0.62)
        most = max(value for _, value, _ in rows)
        for place, (_, value, label) in enumerate(rows):
            axes.text(value + 0.015 * most, place, label, va="center", fontsize=8)
        axes.set_xlim(0, 1.22 * most)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        _rows(axes, [label for label, _, _ in rows])

    return _svg(draw, len(rows), title)


def pairs(rows: Sequence[tuple[str, float, float]], title: str, names: tuple[str, str]) -> str:
    """Two horizontal bars a row of (label, first, second), with a legend of the two `names`."""

    def draw(axes: Any) -> None:
        places = [float(place) for place in range(len(rows))]
        first = axes.barh([p - 0.19 for p in places], [row[1] for row in rows], color=PLAIN, height=0.34)
        second = axes.barh([p + 0.19 for p in places], [row[2] for row in rows], color=STRONG, height=0.34)
        axes.set_xlim(0, max(1e-9, 1.05 * max(max(row[1:]) for row in rows)))
        axes.grid(axis="x", linewidth=0.6)
        _rows(axes, [row[0] for row in rows])
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 2}
        axes.legend([first, second], names, frameon=False, fontsize=8, borderpad=0, **place)

    return _svg(draw, 1.3 * len(rows), title, legend=True)


def ranges(rows: Sequence[tuple[str, float, float | None, float | None, bool]], title: str) -> str:
    """A dot with a line and a tick for (label, p50, p90, p99, strong); a missing percentile is not drawn."""

    def draw(axes: Any) -> None:
        for place, (_, p50, p90, p99, strong) in enumerate(rows):
            colour = STRONG if strong else PLAIN
            if p90 is not None:
                axes.plot([p50, p90], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
            if p99 is not None:
                axes.plot([p50, p99], [place, place], color=colour, linewidth=0.8)
                axes.plot([p99], [place], "|", color=colour, markersize=9, markeredgewidth=1.5)
            axes.plot([p50], [place], "o", color=colour, markersize=6)
        most = max(value for row in rows for value in row[1:4] if value is not None)
        axes.set_xlim(0, 1.06 * most)
        axes.grid(axis="x", linewidth=0.6)
        _rows(axes, [row[0] for row in rows])

    return _svg(draw, len(rows), title)


def _rows(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.tick_params(axis="both", length=0, labelsize=8)


def _short(label: str, most: int = 30) -> str:
    """Long names keep their end, which is what tells layers apart; `$` would start mathematics."""
    label = label.replace("$", r"\$")
    return label if len(label) <= most else "…" + label[1 - most :]


def _svg(draw: Any, rows: float, title: str, legend: bool = False) -> str:
    """Draw on one axes; returns an <svg> element, the same text for the same data."""
    settings: Any = {**STYLE, "svg.hashsalt": title}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Texts stay texts: the reader's fonts draw them, and whether those here could does not matter.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", r"Matplotlib currently does not support .* natively", UserWarning)
        figure = Figure(figsize=(WIDTH_IN, HEAD_IN + ROW_IN * rows), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(title, pad=22 if legend else 6, x=0, ha="left")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, variable in COLOURS.items():
        svg = svg.replace(stand_in, variable)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", re.sub(r'(<svg [^>]*?)height="[^"]*" ', r"\1", svg))
    return _unique_ids(svg, re.sub(r"\W+", "-", title).strip("-").lower())


def _unique_ids(svg: str, prefix: str) -> str:
    """Several drawings share a page: every id gets the drawing's prefix."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", svg)
