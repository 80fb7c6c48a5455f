"""The first session of a process decides on which thread denormals are flushed: let it be the runtime's own."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import model, node

from edgeticket import runtime


@pytest.fixture(autouse=True, scope="session")
def first_session() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": [1, 1]}, {"y": [1, 1]}, {})
    runtime.run(runtime.cpu_session(proto.SerializeToString()), {"x": np.ones((1, 1), np.float32)})
