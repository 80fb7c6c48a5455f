"""Which extra brings which package, so that a missing one is a sentence and not a traceback."""

from __future__ import annotations

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


def explain(error: ModuleNotFoundError, command: str) -> MissingExtraError | None:
    """The sentence for a package that an extra brings; None for any other module."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF:
        return None
    extra = EXTRA_OF[package]
    return MissingExtraError(
        f"`edgeticket {command}` needs the package {package!r}, which is not installed: "
        f"pip install -c requirements.lock '.[{extra}]' in edgeticket's folder, or pip install 'edgeticket[{extra}]'"
    )
