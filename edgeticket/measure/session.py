"""A worker's sessions: opened on a provider, failures in one kind of error, and word of which model runs now."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from edgeticket.artifact import checks
from edgeticket.engine import EP_NAME

# An ONNX model of one Identity (IR 8, opset 18): opened first, it leaves an idle runtime with nothing loaded.
EMPTY_MODEL = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201655a0f0a0178120a0a08"
    "080112040a020801620f0a0179120a0a08080112040a02080142040a001012"
)
_telling: list[int] = []  # the pipe to the parent, if there is one


def tell_through(descriptor: int | None) -> None:
    """From now on write the names of running models to this pipe, which the parent reads only if no answer comes."""
    if descriptor is not None:
        os.set_blocking(descriptor, False)
        _telling[:] = [descriptor]


def tell(name: str) -> None:
    """Say that this model runs now."""
    for descriptor in _telling:
        with suppress(OSError):  # a full pipe: the parent knows an earlier name
            os.write(descriptor, f"{name}\n".encode())


class ModelFailedError(Exception):
    """A model could not be loaded or run. `arm` is its name in the request."""

    def __init__(self, arm: str, sentence: str) -> None:
        super().__init__(sentence)
        self.arm = arm


def failed(arm: str, when: str, error: Exception) -> ModelFailedError:
    """Make the error of an arm. The runtime raises a family of its own, and every one of them means the same here."""
    return ModelFailedError(arm, f"failed {when}: {type(error).__name__}: {' '.join(str(error).split())}")


def open_session(path: str, provider: str, threads: int, spinning: bool) -> Any:
    """Open a session on a provider; denormals are zero on this thread from the first one on."""
    if provider != EP_NAME:
        return checks.session(path, threads, spinning=spinning, provider=provider)
    from edgeticket import runtime  # the plugin and its registration are there

    checks.session(EMPTY_MODEL, 1)  # the runtime's door makes sessions on a thread of its own
    runtime.register()  # raises where the plugin is missing; a session alone would fall back
    return runtime.session(path, threads=threads, spinning=spinning)
