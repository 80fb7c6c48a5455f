"""An export does not depend on what ran before in its process: plain ONNX Runtime leaves denormals as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
from nets import Net, zero_rows

_SCRIPT = """
import sys
import numpy as np, onnxruntime
plain = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
plain.run(None, {"x": np.full((1, 3, 24, 24), 1e-40, np.float32)})
from edgeticket import api
made = api.export(sys.argv[1], out=sys.argv[2], bench=False)
print(made.manifest.proof.verdict, made.manifest.proof.in_float64.verdict)
print(api.check(sys.argv[2]).exit_code)
"""


def test_a_notebook_that_used_the_runtime_before_can_export(tmp_path: Path) -> None:
    """Without biases, tiny inputs give tiny outputs, and denormal weights are denormal or zero."""
    net = Net(("n", 3, 24, 24), seed=4)
    first = zero_rows(net.normal(32, 3, 3, 3), 3, 4)
    first[0, 0, 0] = 1e-40
    maps = net.op("Relu", net.conv("x", first, None, pads=[1, 1, 1, 1]))
    maps = net.op("Relu", net.conv(maps, 0.1 * net.normal(32, 32, 3, 3), None, pads=[1, 1, 1, 1]))
    onnx.save(net.model(net.conv(maps, net.normal(4, 32, 1, 1), None)), tmp_path / "net.onnx")
    arguments = [sys.executable, "-c", _SCRIPT, str(tmp_path / "net.onnx"), str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["proved", "proved", "0"], done.stderr
