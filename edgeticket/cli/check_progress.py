"""A line shows the interval narrowing. It is drawn after a process and never during one, which it would disturb."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Line:
    """Draws one line that changes on a terminal; elsewhere it prints a line at each look."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Line:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def watch(self, label: str, state: Any) -> None:
        """Show how things stand after a process."""
        line = f"{label}: {len(state.used)} processes, {state.seconds:.0f} s"
        seen = state.judgement
        if seen is not None:
            line += (
                f", {100 * seen.estimate:+.1f} % [{100 * seen.low:+.1f} %, {100 * seen.high:+.1f} %], {seen.verdict}"
            )
        if self._console.is_terminal:
            self._live.update(Text(line), refresh=True)
        elif state.look() is not None and state.processes[-1].usable:
            self._console.print(line, markup=False, soft_wrap=True)
