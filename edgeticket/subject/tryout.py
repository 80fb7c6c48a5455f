"""Models run for what they answer, before anything is timed: in a process, as one may hang or take the process with it.

Request {"kind": "ports", "arms": {one}}
Answer  {"inputs": [[name, type, [axis or null, ...]], ...], "outputs": the same}
Request {"kind": "try", "arms": arms, "feed": npz path, "draw": bool, "shapes": {input: [axis, ...]}}
Answer  {"drawn": bool}, every arm having run on the feed; with "draw" it is made up for the first and written there,
        and drawn is false where none could be made
Request {"kind": "outputs", "arms": arms, "feed": npz path of one input [n, ...], "output": name,
         "batches": {name: n or null}, "out": {name: npy path}}
Answer  {}, the outputs [n, ...] of each arm having been written
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks
from edgeticket.errors import EdgeticketError
from edgeticket.measure import process, worker
from edgeticket.measure.arm import CPU_PROVIDER, ModelFailedError, failed, open_session, read_feed, tell, write_feed


def main() -> None:
    """Answer the request on standard input."""
    worker.serve({"ports": ports, "try": attempt, "outputs": outputs})


def ask(request: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """Have a request answered in a fresh process, at most `limit_s` seconds long.

    Raises:
        NoAnswerError: it hung, was killed, failed, or a model failed in it.
    """
    return process.ask(request, limit_s, __name__)


def ports(request: dict[str, Any]) -> dict[str, Any]:
    """What goes into a model and what comes out of it."""
    ((name, spec),) = request["arms"].items()
    session = _opened(name, spec)
    return {"inputs": _ports(session.get_inputs()), "outputs": _ports(session.get_outputs())}


def _ports(found: list[Any]) -> list[tuple[str, str, list[int | None]]]:
    return [
        (port.name, port.type, [axis if isinstance(axis, int) and axis >= 0 else None for axis in port.shape])
        for port in found
    ]


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Run every arm once."""
    if request["draw"]:
        name = next(iter(request["arms"]))
        tell(name)
        drawn = _drawn(name, request["arms"][name]["path"], request["shapes"])
        if drawn is None:
            return {"drawn": False}
        write_feed(Path(request["feed"]), drawn)
    feed = read_feed(request["feed"])
    for name, spec in request["arms"].items():
        session = _opened(name, spec)
        try:
            session.run(None, feed)
        except Exception as error:
            shapes = ", ".join(f"{key} {array.dtype}{list(array.shape)}" for key, array in feed.items())
            raise failed(name, f"on the inputs {shapes}", error) from error
    return {"drawn": True}


def _drawn(name: str, path: str, shapes: dict[str, list[int]]) -> checks.Feed | None:
    """Normal numbers at batch 1; free axes and integers as graph/proving/probes.py draws them, which needs onnx."""
    from edgeticket.graph.proving import probes
    from edgeticket.graph.reading import load

    try:
        made = probes.probes(load.load_model(Path(path)), shapes)
    except EdgeticketError as error:
        raise ModelFailedError(name, str(error)) from error
    if not made:
        return None
    normal = [probe for probe in made if probe.name.startswith("normal")] or list(made)
    return dict(next((probe for probe in normal if probe.name == "normal, batch 1"), normal[0]).feed)


def outputs(request: dict[str, Any]) -> dict[str, Any]:
    """Run every arm on many samples."""
    ((port, inputs),) = read_feed(request["feed"]).items()
    names = [request["output"]]
    for name, spec in request["arms"].items():
        session = _opened(name, spec)
        try:
            batch = request["batches"][name]
            found = checks.run_batches(lambda feed, run=session.run: run(names, feed), port, inputs, batch)  # type: ignore[misc]
        except Exception as error:
            raise failed(name, "on the labelled slice", error) from error
        np.save(request["out"][name], found, allow_pickle=False)
    return {}


def _opened(name: str, spec: dict[str, Any]) -> Any:
    tell(name)
    try:
        return open_session(spec["path"], spec.get("provider", CPU_PROVIDER), 1, spinning=False)
    except Exception as error:
        raise failed(name, "when loaded", error) from error
