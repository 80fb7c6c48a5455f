"""The sessions of an export: for small files they are begun ahead, while the export goes on with its other work.

A large file's are made when they are asked for: begun ahead, all of them would be in memory at once.
"""

from __future__ import annotations

from functools import partial

import onnx

from edgeticket import runtime
from edgeticket.ahead import Ahead
from edgeticket.artifact import checks, parity
from edgeticket.artifact.golden import LoadedModel
from edgeticket.graph.serialize import LIMIT_BYTES, serialize

SMALL_BYTES = 1 << 26  # of a model: four sessions hold about four times as much


class Loading:
    """What is to be loaded: `masked()` is the source in the runtime; each raises ModelError where that cannot."""

    def __init__(self, ahead: Ahead, masked: onnx.ModelProto, *, asked_for: bool) -> None:
        """`asked_for` says whether masked() will be."""
        self._ahead, self._small = ahead, masked.ByteSize() <= SMALL_BYTES
        self.masked = ahead.begin(partial(_session, masked), now=self._small and asked_for)

    def written(self, model: bytes, network: onnx.ModelProto, *, rounded: bool) -> None:
        """Begin with the file that is exported: exported() on the CPU provider, engine() on the sparse engine.

        plain() runs without the runtime's rewrites, `network` stored densely where that is the same numbers: packed
        weights would be rebuilt at every run.
        """
        small = self._small and network.ByteSize() <= SMALL_BYTES
        as_written = model if rounded or network.ByteSize() > LIMIT_BYTES else network
        self.exported = self._ahead.begin(partial(_session, model), now=small)
        self.engine = self._ahead.begin(partial(parity.on_engine, model), now=small)
        self.plain = self._ahead.begin(partial(_plain, as_written), now=small)


def _session(model: bytes | onnx.ModelProto) -> runtime.Session:
    data = model if isinstance(model, bytes) else serialize(model)
    return runtime.cpu_session(data, threads=checks.cores())


def _plain(model: bytes | onnx.ModelProto) -> LoadedModel:
    return LoadedModel.load(model if isinstance(model, bytes) else serialize(model), optimize=False)
