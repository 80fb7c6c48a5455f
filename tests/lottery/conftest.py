"""What the tests of `find` share."""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.fixture(autouse=True)
def _threads_given_back() -> Iterator[None]:
    """A trial sets the threads of the whole process; the next test has those that were there before."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def one_thread() -> None:
    """Sums in one order, whatever the machine."""
    torch.set_num_threads(1)
