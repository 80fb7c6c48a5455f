"""Whether the sparse engine's library was built, for tests that need it."""

from __future__ import annotations

import pytest

from edgeticket import runtime
from edgeticket.errors import EngineError

try:
    runtime.library_path()
    BUILT = True
except EngineError:
    BUILT = False
needs_library = pytest.mark.skipif(not BUILT, reason="the sparse engine's library was not built")
