"""What the evidence is measured on: networks with random masks, and exports of a real ticket (embedded digits)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np

from edgeticket import api
from edgeticket.artifact.checks import CPU_PROVIDER, Feed
from edgeticket.engine import EP_NAME
from edgeticket.graph.reading.source import read_source
from edgeticket.graph.serialize import serialize
from edgeticket.measure.feed import write_feed
from edgeticket.measure.protocol import Arm

PLAIN = ("LeNet-300-100", "DS-CNN", "ResNet-20")  # one arm against itself, or slowed down
ROUNDS = {"ticket-80": 7, "ticket-90": 10, "ticket-97": 16}  # of find lenet-digits: 21.5, 11.2 and 3.1 % are left


class Models:
    """Files made once in a folder that is thrown away after the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _kept(self, name: str, make: Callable[[Path], None]) -> str:
        path = self.folder / name
        if not path.exists():
            make(path)
        return str(path)

    def masked(self, name: str, sparsity: float) -> tuple[str, str]:
        """(model, feed) of a network with a random mask."""
        network = networks.network(name, sparsity)
        slug = f"{name}-{sparsity:g}"
        model = self._kept(f"{slug}.onnx", lambda path: path.write_bytes(network.serialized()) and None)
        return model, self._kept(f"{name}.npz", lambda path: write_feed(path, network.feed()) and None)

    def _run(self) -> Path:
        run = self.folder / "run"
        if not (run / "trial-0" / "ticket.json").exists():
            command = [sys.executable, "-m", "edgeticket", "find", "lenet-digits", "--out", str(run), "--quiet"]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        return run

    def ticket(self, name: str) -> tuple[str, str]:
        """(model, feed) of a round's export."""

        def make(path: Path) -> None:
            exported = api.export(self._run(), out=path.with_suffix(""), round=ROUNDS[name], bench=False)
            path.write_bytes((exported.folder / "model.onnx").read_bytes())

        return self._kept(f"{name}.onnx", make), self._digits()

    def untrimmed(self, name: str) -> tuple[str, str]:
        """(model, feed) of the same round with its dead units left in place."""

        def make(path: Path) -> None:
            path.write_bytes(serialize(read_source(self._run(), ROUNDS[name]).masked))

        return self._kept(f"{name}-untrimmed.onnx", make), self._digits()

    def _digits(self) -> str:
        def make(path: Path) -> None:
            source = read_source(self._run(), 0)
            assert source.ticket is not None
            name = source.masked.graph.input[0].name
            feed: Feed = {name: np.ascontiguousarray(source.ticket.test.inputs[:1])}
            write_feed(path, feed)

        return self._kept("digits.npz", make)

    def real(self, name: str) -> tuple[Arm, Arm, str]:
        """(candidate, baseline, feed) of a regression that happens to people; the candidate is the slower one."""
        if name == "ticket at 80 % against 90 %":
            (slow, feed), (fast, _) = self.ticket("ticket-80"), self.ticket("ticket-90")
            return Arm(slow, EP_NAME), Arm(fast, EP_NAME), feed
        if name == "ResNet-20 at 80 % against 90 %":
            (slow, feed), (fast, _) = self.masked("ResNet-20", 0.8), self.masked("ResNet-20", 0.9)
            return Arm(slow, EP_NAME), Arm(fast, EP_NAME), feed
        if name == "sparse engine off against on":
            model, feed = self.masked("ResNet-20", 0.9)
            return Arm(model, CPU_PROVIDER), Arm(model, EP_NAME), feed
        (slow, feed), (fast, _) = self.untrimmed("ticket-97"), self.ticket("ticket-97")
        return Arm(slow), Arm(fast), feed


REAL = (
    "ticket at 80 % against 90 %",
    "ResNet-20 at 80 % against 90 %",
    "sparse engine off against on",
    "dead units left in against removed",
)
