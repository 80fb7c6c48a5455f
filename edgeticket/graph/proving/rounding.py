"""How far the outputs of one network may lie apart on two hosts: both round in float32, each in its own order.

The rule of proof.py, for golden outputs: with e = max |y32 - y64| and s = max |y64| over a sample feed, outputs
whose largest value is S may differ by (8 e / s + 16 * 2**-23) S; without a float64 reference, by 1024 * 2**-23 S.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import checks, outputs
from edgeticket.graph.proving import reference
from edgeticket.graph.proving.comparison import FACTOR, ULPS, ULPS_WITHOUT_REFERENCE
from edgeticket.graph.serialize import serialize

Array = NDArray[Any]
ULP = 2.0**-23


def relative_tolerances(model: onnx.ModelProto, feed: Mapping[str, Array]) -> dict[str, float]:
    """For each output of `model`, the share of its largest value by which it may differ; 0 for outputs not of floats.

    `feed` goes through the float64 reference too, where that is within its budget (see reference.within_budget).
    """
    found = outputs.run(runtime.cpu_session(serialize(model)), feed)
    affordable = reference.within_budget(model, [feed])
    exact = reference.evaluate(model, affordable).outputs if affordable else None
    shares: dict[str, float] = {}
    for name, array in found.items():
        if not np.issubdtype(array.dtype, np.floating):
            shares[name] = 0.0
        elif exact is None or exact[0][name].shape != array.shape:
            shares[name] = ULPS_WITHOUT_REFERENCE * ULP
        else:
            wide: Array = exact[0][name]
            error, scale = checks.largest(array.astype(np.float64) - wide), checks.largest(wide)
            measurable = scale > np.finfo(np.float32).tiny  # below, float32 has nothing to err with
            shares[name] = (FACTOR * error / scale if measurable else 0.0) + ULPS * ULP
    return shares
