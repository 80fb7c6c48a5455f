"""edgeticket: find a winning lottery ticket, export it small, prove it on ONNX Runtime."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeticket.api import check, export
    from edgeticket.find.api import find, request
    from edgeticket.find.task import Data, Task
    from edgeticket.mask import Mask

__version__ = "0.1.0"
__all__ = ["Data", "Mask", "Task", "__version__", "check", "export", "find", "request"]

_HOMES = {
    "Data": "edgeticket.find.task",
    "Mask": "edgeticket.mask",
    "Task": "edgeticket.find.task",
    "check": "edgeticket.api",
    "export": "edgeticket.api",
    "find": "edgeticket.find.api",
    "request": "edgeticket.find.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import edgeticket` loads no heavy package."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeticket' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
