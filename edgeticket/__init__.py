"""edgeticket finds a winning lottery ticket, exports it small, and proves it on ONNX Runtime.

    from edgeticket import find, export, check

    found = find("lenet-digits")     # iterative magnitude pruning; the same call goes on where it was
    exported = export(found)         # an ordinary ONNX file: small, proved, measured
    print(check(exported))           # the same checks, here or on the device

`inspect`, `bench` and `compare` look at models, `session` runs one on the sparse engine. A Task with its Data describes
a network of your own. Every deliberate error is an EdgeticketError. docs/api.md has an example of each.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeticket.version import __version__

if TYPE_CHECKING:
    from edgeticket import runtime as runtime
    from edgeticket.api import bench, check, compare, export, inspect
    from edgeticket.errors import EdgeticketError, InputError, IntegrityError, ProofError
    from edgeticket.lottery.api import find, request
    from edgeticket.lottery.task import Data, Task
    from edgeticket.runtime import session
    from edgeticket.ticket.mask import Mask
    from edgeticket.ticket.metrics import Metric

__all__ = [
    "Data",
    "EdgeticketError",
    "InputError",
    "IntegrityError",
    "Mask",
    "Metric",
    "ProofError",
    "Task",
    "__version__",
    "bench",
    "check",
    "compare",
    "export",
    "find",
    "inspect",
    "request",
    "session",
]

_HOMES = {
    "Data": "edgeticket.lottery.task",
    "EdgeticketError": "edgeticket.errors",
    "InputError": "edgeticket.errors",
    "IntegrityError": "edgeticket.errors",
    "Mask": "edgeticket.ticket.mask",
    "Metric": "edgeticket.ticket.metrics",
    "ProofError": "edgeticket.errors",
    "Task": "edgeticket.lottery.task",
    "bench": "edgeticket.api",
    "check": "edgeticket.api",
    "compare": "edgeticket.api",
    "export": "edgeticket.api",
    "find": "edgeticket.lottery.api",
    "inspect": "edgeticket.api",
    "request": "edgeticket.lottery.api",
    "session": "edgeticket.runtime",
}
_WITH_TORCH = {name for name, home in _HOMES.items() if home.startswith("edgeticket.lottery.")}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import edgeticket` loads no heavy package."""
    if name == "runtime":  # `edgeticket.runtime.session` needs no import of its own
        return importlib.import_module("edgeticket.runtime")
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeticket' has no attribute {name!r}")
    from edgeticket.extras import explained

    with explained("find" if name in _WITH_TORCH else name):
        found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names, as help() and completion show them; without [find], those that do not need it."""
    from edgeticket.extras import installed

    public = set(__all__) if installed("find") else set(__all__) - _WITH_TORCH
    told = {name for name in globals() if name.startswith("__")} - {"__dir__", "__getattr__"}
    return sorted(public | told)
