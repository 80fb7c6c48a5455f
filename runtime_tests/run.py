"""The runtime tests without pytest: Python, numpy and onnxruntime are enough.

    python verify/run.py [DIR] [--json FILE|-] [--threads N]

The artifact is the folder around this one, or DIR. Exits 0 yes, 1 no, 2 usage, 3 inconclusive, 4 integrity,
141 where whoever read the output has gone.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
BESIDE = (HERE.parent / "check.py", HERE.parent / "edgeticket" / "artifact" / "checks.py")


def load_checks() -> ModuleType:
    """check.py of the artifact, or of a checkout."""
    path = next((path for path in BESIDE if path.exists()), None)
    spec = None if path is None else importlib.util.spec_from_file_location("edgeticket_checks", path)
    if spec is None or spec.loader is None:
        sys.exit(f"no checks: {BESIDE[0]} is missing; copy the whole artifact")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str]) -> int:
    """Check, print a line for each check. Returns the exit code."""
    given = list(arguments)
    named = any(not part.startswith("-") for part in _without_values(given))
    if not named and (HERE.parent / "SHA256SUMS").exists():
        given.insert(0, str(HERE.parent))
    return int(load_checks().main(given))


def _without_values(arguments: list[str]) -> list[str]:
    """The arguments but for the values of options."""
    kept, skip = [], False
    for part in arguments:
        if not skip:
            kept.append(part)
        skip = part in ("--json", "--threads")
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
