"""yardstick.py: how far an output may move, from measured errors, within 1 % of its range, and what cannot testify."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from storage_models import lenet, node, product, pruned

from edgeticket.artifact.numbers import NEGLIGIBLE
from edgeticket.graph.proving import reference
from edgeticket.graph.proving.comparison import Run, Tally
from edgeticket.graph.proving.proof import Proof, proof
from edgeticket.graph.proving.samples import ProofInputs
from edgeticket.graph.proving.yardstick import (
    FACTOR,
    SHARE,
    SINGLE,
    ULPS,
    ULPS_WITHOUT_REFERENCE,
    Yardstick,
    measured,
)
from edgeticket.graph.serialize import serialize

Array = NDArray[Any]
RNG = np.random.default_rng(4)
FEED = {"input": RNG.normal(size=(4, 784)).astype(np.float32)}


def _proof(model: Any, feed: dict[str, Array]) -> Proof:
    return proof(model, serialize(model), ProofInputs([feed]))


def test_float_outputs_may_differ_by_their_rounding() -> None:
    found = _proof(lenet(), FEED)
    output = np.array([[-0.5, 1.0]], np.float32)
    assert ULPS * SINGLE < found.yardstick.atol("y", output) < ULPS * SINGLE + FACTOR * 1e-5


def test_class_numbers_may_not_differ() -> None:
    proto = product(pruned(RNG, (30, 40), 300))
    proto.graph.node.append(node("ArgMax", ["y"], ["k"], axis=1))
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, None))
    found = _proof(proto, {"x": np.ones((4, 30), np.float32)})
    assert found.yardstick.atol("k", np.array([3])) == 0


def test_beyond_its_budget_the_reference_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_MACS", 1000)
    monkeypatch.setattr(reference, "evaluate", None)
    atol = _proof(lenet(), FEED).yardstick.atol("y", np.array([[-1.0, 1.0]], np.float32))
    assert atol == pytest.approx(ULPS_WITHOUT_REFERENCE * SINGLE)


def test_an_output_below_all_normal_numbers_has_no_error_of_its_own() -> None:
    """Flushed to zero by the runtime, its error is all of it; so there is nothing that a proof could see."""
    feed = {"x": np.full((4, 30), 1e-41, np.float32)}
    found = _proof(product(np.ones((30, 40), np.float32)), feed)
    assert found.info.verdict == "not proved"
    assert found.info.not_compared == ("output 'y': it was 0 on every input",)
    assert found.yardstick.atol("y", np.zeros((4, 40), np.float32)) == NEGLIGIBLE


def _yardstick(values: Array, error: float) -> Yardstick:
    return measured([{"y": (values + error).astype(np.float32)}], [{"y": values}], SINGLE)


def test_a_tolerance_is_never_more_than_a_share_of_the_range() -> None:
    """An error of 0.3 % of the range would allow 2.4 %, within which an output says little."""
    values = np.linspace(0.4, 0.5, 50)
    yardstick = _yardstick(values, 3e-4)
    allowed = yardstick.allowed("y", 0.5, 0.1)
    assert allowed.rounding > 0.02 * 0.1
    assert allowed.tolerance == pytest.approx(SHARE * 0.1, rel=1e-2)


def test_a_feed_at_which_the_original_errs_by_more_cannot_testify() -> None:
    values = np.linspace(0.4, 0.5, 50)
    assert "y" in _yardstick(values, 2e-3).unmeasured
    assert "y" not in _yardstick(values, 5e-4).unmeasured


def test_an_output_that_is_always_the_same_is_measured_by_its_size() -> None:
    values = np.full(50, 0.25)
    yardstick = _yardstick(values, 1e-7)
    assert yardstick.range_of("y", 0.25, 0.0) == 0.25
    assert yardstick.allowed("y", 0.25, 0.0).tolerance < 1e-5


def test_the_range_is_that_of_all_usual_feeds_together() -> None:
    """One row at a time, as a voice detector gives them: no feed alone has a range."""
    singles = [{"y": np.array([[value]], np.float32)} for value in (0.1, 0.7, 0.4)]
    yardstick = measured(singles, [{"y": each["y"].astype(np.float64)} for each in singles], SINGLE)
    assert yardstick.ranges["y"] == pytest.approx(0.6)


def test_what_processors_flush_or_not_is_alike() -> None:
    """6.5e-41 here and zero there, as in a process that used another session before."""
    tally, yardstick = Tally(), _yardstick(np.linspace(-1, 1, 9), 1e-7)
    here, there = np.full(9, 6.5e-41, np.float32), np.zeros(9, np.float32)
    assert not tally.judge(Run({}, True, {"y": here}), {"y": there}, yardstick)
    assert not tally.judge(Run({}, False, {"y": there}, {"y": np.zeros(9)}), {"y": here}, yardstick)


def test_an_extreme_feed_neither_refutes_nor_proves_where_float32_fails() -> None:
    """The file is as wrong as the original is: 4e4 of 1e5, where float64 says something else."""
    tally, yardstick = Tally(), _yardstick(np.linspace(-1, 1, 9), 1e-7)
    exact = np.linspace(0, 1e5, 9)
    before, after = (exact + 2e4).astype(np.float32), (exact - 2e4).astype(np.float32)
    assert not tally.judge(Run({}, False, {"y": before}, {"y": exact}), {"y": after}, yardstick)
    assert "y" not in tally.testified
    assert tally.mute == ["y"]


def test_what_is_chosen_on_an_extreme_feed_says_nothing() -> None:
    """All rows nearly tie where the input is 1e-6 and the bias is 1: ArgMax may take another."""
    yardstick = _yardstick(np.linspace(-1, 1, 9), 1e-7)
    before, after = np.array([0, 1, 2]), np.array([0, 1, 1])
    assert not Tally().judge(Run({}, False, {"y": before}), {"y": after}, yardstick)
    assert "changed in 1 of 3" in Tally().judge(Run({}, True, {"y": before}), {"y": after}, yardstick)
    assert not Tally().judge(Run({}, False, {"y": before}), {"y": after[:2]}, yardstick)
    assert "not int64(3,)" in Tally().judge(Run({}, True, {"y": before}), {"y": after[:2]}, yardstick)
    tally = Tally()
    assert tally.judge(Run({}, False, {"y": before}), {"y": after[None]}, yardstick)
    assert tally.refutation  # another rank is another output
