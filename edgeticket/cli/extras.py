"""A missing package becomes a sentence that names the extra with which the command works."""

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
