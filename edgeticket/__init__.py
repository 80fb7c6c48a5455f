"""edgeticket: find a winning lottery ticket, export it small, prove it on ONNX Runtime."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeticket.version import __version__

if TYPE_CHECKING:
    from edgeticket.api import check, export
    from edgeticket.lottery.api import find, request
    from edgeticket.lottery.task import Data, Task
    from edgeticket.ticket.mask import Mask

__all__ = ["Data", "Mask", "Task", "__version__", "check", "export", "find", "request"]

_HOMES = {
    "Data": "edgeticket.lottery.task",
    "Mask": "edgeticket.ticket.mask",
    "Task": "edgeticket.lottery.task",
    "check": "edgeticket.api",
    "export": "edgeticket.api",
    "find": "edgeticket.lottery.api",
    "request": "edgeticket.lottery.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import edgeticket` loads no heavy package."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeticket' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
