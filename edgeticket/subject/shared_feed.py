"""The inputs that all models of a run are timed on, tried once on each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from edgeticket.artifact import checks
from edgeticket.errors import InputError
from edgeticket.measure.feed import read_feed, write_feed
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm, TryRequest
from edgeticket.subject.subject import PROCESS_S, Subject
from edgeticket.text import listing


def shared_feed(
    subjects: Mapping[str, Subject],
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
    process_s: float = PROCESS_S,
    host: Host = LOCAL,
) -> checks.Feed:
    """Write to `path` what all are timed on: an artifact's first golden input at batch 1, else numbers drawn.

    Each has run on it once when this returns, in one process that may take `process_s`.

    Raises:
        InputError: no inputs could be made, or one of the models does not run on them.
        NoAnswerError: the process hung or was killed; `arm` is a name in `subjects`.
    """
    feed = _golden(subjects.values()) if not shapes else None
    first = next(iter(subjects.values()))
    inputs = [port.name for port in first.inputs]
    for name in shapes:
        if name not in inputs:
            raise InputError(
                f"{first.path}: there is no input {name!r} to give a shape; the inputs are {listing(inputs)}"
            )
    if feed is None:
        feed = _drawn_here(first, shapes)
    if feed is not None:
        write_feed(path, feed)
    arms = {name: Arm(str(subject.model)) for name, subject in subjects.items()}
    request = TryRequest(arms, str(path), draw=feed is None, shapes=dict(shapes))
    try:
        drawn = host.ask(request, process_s).drawn
    except NoAnswerError as error:
        if error.kind != "model":
            raise
        which = subjects.get(error.arm or "", first).path
        ways = "; --input-shape NAME=1x3x32x32 gives an input a shape that suits every model"
        raise InputError(f"{which}: it {error}{ways if _has_free_axes(subjects.values()) else ''}") from error
    if not drawn:
        raise InputError(
            f"{first.path}: no inputs could be made up for its free axes or types; give shapes with "
            "--input-shape NAME=1x3x32x32"
        )
    return read_feed(str(path))


def _has_free_axes(subjects: Iterable[Subject]) -> bool:
    return any(None in port.shape for subject in subjects for port in subject.inputs)


def _golden(subjects: Iterable[Subject]) -> checks.Feed | None:
    for subject in subjects:
        if subject.opened is not None and subject.opened.manifest["golden"]["atol"]:
            feed = next(checks.golden_feeds(subject.opened))[0]
            single = subject.opened.manifest["golden"]["single"]
            return checks.single(subject.opened.manifest["inputs"], feed) if single else feed
    return None


def _drawn_here(subject: Subject, shapes: Mapping[str, tuple[int, ...]]) -> checks.Feed | None:
    """Draw normal numbers at batch 1 where onnx, with which the worker draws, is not installed; None where it is."""
    try:
        import edgeticket.graph.proving.feeds.probes  # noqa: F401
    except ModuleNotFoundError:
        if any(port.dtype not in ("float32", "float64", "float16") for port in subject.inputs):
            raise
        rng = np.random.default_rng(0)
        return {
            port.name: rng.standard_normal(shapes.get(port.name) or tuple(axis or 1 for axis in port.shape)).astype(
                port.dtype
            )
            for port in subject.inputs
        }
    return None
