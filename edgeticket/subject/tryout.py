"""Models run for what they answer, before anything is timed; in a process, as one may hang or crash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.errors import EdgeticketError
from edgeticket.measure import protocol, worker
from edgeticket.measure.feed import read_feed, write_feed
from edgeticket.measure.protocol import (
    Arm,
    OutputsAnswer,
    OutputsRequest,
    PortsAnswer,
    PortsRequest,
    TryAnswer,
    TryRequest,
)
from edgeticket.measure.session import ModelFailedError, failed, open_session, tell


def main(parent: int, tell: int | None = None) -> None:
    """Answer the request on standard input: see worker.serve."""
    worker.serve({PortsRequest: ports, TryRequest: attempt, OutputsRequest: outputs}, parent, tell)


def ports(request: PortsRequest) -> PortsAnswer:
    """Say what goes into a model and what comes out of it."""
    ((name, arm),) = request.arms.items()
    session = _opened(name, arm)
    return PortsAnswer(_ports(session.get_inputs()), _ports(session.get_outputs()))


def _ports(found: list[Any]) -> tuple[protocol.RuntimePort, ...]:
    def axes(port: Any) -> tuple[int | None, ...]:
        return tuple(axis if isinstance(axis, int) and axis >= 0 else None for axis in port.shape)

    return tuple(protocol.RuntimePort(port.name, port.type, axes(port)) for port in found)


def attempt(request: TryRequest) -> TryAnswer:
    """Run every arm once."""
    if request.draw:
        name, arm = next(iter(request.arms.items()))
        tell(name)
        drawn = _drawn(name, arm.path, request.shapes)
        if drawn is None:
            return TryAnswer(drawn=False)
        write_feed(Path(request.feed), drawn)
    feed = read_feed(request.feed)
    for name, arm in request.arms.items():
        session = _opened(name, arm)
        try:
            session.run(None, feed)
        except Exception as error:
            shapes = ", ".join(f"{key} {array.dtype}{list(array.shape)}" for key, array in feed.items())
            raise failed(name, f"on the inputs {shapes}", error) from error
    return TryAnswer(drawn=True)


def _drawn(name: str, path: str, shapes: Mapping[str, tuple[int, ...]]) -> checks.Feed | None:
    """Draw normal numbers at batch 1; free axes and integers as graph/proving/feeds/probes.py draws them, with onnx."""
    from edgeticket.graph.proving.feeds import kinds, probes
    from edgeticket.graph.reading import load

    try:
        model = load.load_model(Path(path))
        made = probes.probes(model, shapes)
    except EdgeticketError as error:
        raise ModelFailedError(name, f"cannot be tried: {error}") from error
    if not made and (reason := kinds.unmade(model.graph)):
        raise ModelFailedError(name, f"cannot be timed: {reason}")
    if not made:
        return None
    normal = [probe for probe in made if probe.name.startswith("normal")] or list(made)
    return dict(next((probe for probe in normal if probe.name == "normal, batch 1"), normal[0]).feed)


def outputs(request: OutputsRequest) -> OutputsAnswer:
    """Run every arm on many samples."""
    ((port, inputs),) = read_feed(request.feed).items()
    names = [request.output]
    for name, arm in request.arms.items():
        session = _opened(name, arm)
        try:
            batch = request.batches[name]
            found = checks.run_batches(lambda feed, run=session.run: run(names, feed), port, inputs, batch)  # type: ignore[misc]
        except Exception as error:
            raise failed(name, "on the labelled slice", error) from error
        np.save(request.out[name], found, allow_pickle=False)
    return OutputsAnswer()


def _opened(name: str, arm: Arm) -> Any:
    tell(name)
    try:
        return open_session(arm.path, arm.provider, 1, spinning=False)
    except Exception as error:
        raise failed(name, "when loaded", error) from error
