"""rounding.py: the share by which an output may differ elsewhere, with a float64 reference and without."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from storage_models import lenet, node, product, pruned

from edgeticket.graph.proving import reference
from edgeticket.graph.proving.comparison import FACTOR, ULPS, ULPS_WITHOUT_REFERENCE
from edgeticket.graph.proving.rounding import ULP, relative_tolerances

RNG = np.random.default_rng(4)
FEED = {"input": RNG.normal(size=(4, 784)).astype(np.float32)}


def test_float_outputs_may_differ_by_their_rounding() -> None:
    share = relative_tolerances(lenet(), FEED)["y"]
    assert ULPS * ULP < share < ULPS * ULP + FACTOR * 1e-5


def test_class_numbers_may_not_differ() -> None:
    proto = product(pruned(RNG, (30, 40), 300))
    proto.graph.node.append(node("ArgMax", ["y"], ["k"], axis=1))
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, None))
    assert relative_tolerances(proto, {"x": np.ones((4, 30), np.float32)})["k"] == 0


def test_beyond_its_budget_the_reference_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_MACS", 1000)
    monkeypatch.setattr(reference, "evaluate", None)
    assert relative_tolerances(lenet(), FEED) == {"y": ULPS_WITHOUT_REFERENCE * ULP}


def test_an_output_below_all_normal_numbers_has_no_share_of_its_own() -> None:
    """Flushed to zero by the runtime, its error is all of it."""
    feed = {"x": np.full((4, 30), 1e-41, np.float32)}
    assert relative_tolerances(product(np.ones((30, 40), np.float32)), feed)["y"] == ULPS * ULP
