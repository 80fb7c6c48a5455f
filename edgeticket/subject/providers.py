"""Execution providers by the names people type."""

from __future__ import annotations

from edgeticket import runtime
from edgeticket.artifact import checks
from edgeticket.errors import InputError

PROVIDERS = {"cpu": checks.CPU_PROVIDER, "sparse": runtime.EP_NAME}


def provider(name: str) -> str:
    """Find the runtime's name of a provider: 'cpu', 'sparse', or any installed one, with or without its suffix.

    Raises:
        InputError: it is not installed here.
        EngineError: the sparse engine's library was not built.
    """
    full = PROVIDERS.get(name.lower(), name)
    if full == runtime.EP_NAME:
        runtime.library_path()
        return full
    installed = checks.providers()
    for each in installed:
        if full.lower() in (each.lower(), each.removesuffix("ExecutionProvider").lower()):
            return each
    known = ", ".join(sorted(each.removesuffix("ExecutionProvider") for each in installed))
    raise InputError(f"--providers {name}: not installed here; there are cpu, sparse and those of onnxruntime: {known}")


def short(full: str) -> str:
    """Give a provider the name that people type."""
    return next((name for name, each in PROVIDERS.items() if each == full), full.removesuffix("ExecutionProvider"))
