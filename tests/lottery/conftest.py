"""What the tests of `find` share."""

from __future__ import annotations

import pytest
import torch

from edgeticket.lottery import trace

_GRAPHS: dict[str, bytes] = {}


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph does not depend on the weights (test_trace.py), and tracing takes longer than the trainings here."""
    trace_anew = trace.trace

    def traced(network: torch.nn.Module, example: torch.Tensor, name: str) -> bytes:
        key = f"{network}{example.shape}"
        if key not in _GRAPHS:
            _GRAPHS[key] = trace_anew(network, example, name)
        network.eval()
        return _GRAPHS[key]

    monkeypatch.setattr(trace, "trace", traced)
