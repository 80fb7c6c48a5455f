"""A missing package becomes a sentence that names the extra with which the command works."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from edgeticket.errors import MissingExtraError

EXTRA_OF = {
    "filelock": "find",
    "onnxscript": "find",
    "pooch": "find",
    "sklearn": "find",
    "torch": "find",
    "jinja2": "export",
    "matplotlib": "find",
    "msgspec": "export",
    "onnx": "export",
    "onnx_ir": "export",
    "ruptures": "trend",
    "safetensors": "export",
}
WHOLE_OF = {"find": "find", "tasks": "find"}  # these commands need all of an extra, whatever is missing first


def explain(error: ModuleNotFoundError, command: str) -> MissingExtraError | None:
    """Return the sentence for a package that an extra brings, or None for any other module."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF:
        return None
    extra = EXTRA_OF[package] if package == "ruptures" else WHOLE_OF.get(command, EXTRA_OF[package])
    return MissingExtraError(
        f"`edgeticket {command}` needs the package {package!r}, which is not installed: "
        f"pip install -c requirements.lock '.[{extra}]' in edgeticket's folder, or pip install 'edgeticket[{extra}]'"
    )


@contextmanager
def explained(command: str) -> Iterator[None]:
    """Name the extra that brings a package which is missing inside of this block.

    Raises:
        MissingExtraError: in place of the ModuleNotFoundError of such a package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = explain(error, command)
        if missing is None:
            raise
        raise missing from error


def installed(extra: str) -> bool:
    """Whether every package is here that the commands of this extra need; nothing is imported for it."""
    needed = [package for package, brought_by in EXTRA_OF.items() if brought_by in ("export", extra)]
    try:
        return all(importlib.util.find_spec(package) for package in needed)
    except ValueError:  # something stands in the place of a package
        return False
