"""The files that an artifact carries to be checked where it runs: check.py, and the runtime tests in verify/."""

from __future__ import annotations

from pathlib import Path

import edgeticket
from edgeticket.artifact import checks
from edgeticket.artifact.manifest import CHECKER, VERIFY
from edgeticket.errors import FolderError


def carried_checks() -> dict[str, bytes]:
    """check.py, the runtime tests, and the pytest plugin that these use, by their path in the artifact.

    Raises:
        FolderError: the package was installed without the runtime tests.
    """
    package = Path(edgeticket.__file__).resolve().parent
    places = (package / "runtime_tests", package.parent / "runtime_tests")
    home = next((place for place in places if (place / "run.py").is_file()), None)
    if home is None:
        raise FolderError(f"{places[0]}: the runtime tests are missing; install edgeticket again")
    found = {CHECKER: Path(checks.__file__).read_bytes()}
    found |= {f"{VERIFY}/{path.name}": path.read_bytes() for path in sorted(home.glob("*.py"))}
    return found | {f"{VERIFY}/plugin.py": (package / "pytest_plugin.py").read_bytes()}
