"""Peak memory beside the baseline, with made-up and with real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fake_hosts import FakeHost
from onnx import TensorProto, helper, numpy_helper

from edgeticket.gate import memory
from edgeticket.gate.gate import Gate
from edgeticket.measure.feed import write_feed
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import Arm, LoadAnswer, LoadRequest

ARM = Arm("m.onnx")


def judged(ratio: float, spread: float = 0.0, **options: Any) -> Gate:
    rng = np.random.default_rng(0)

    def reply(asked: LoadRequest, _: float) -> LoadAnswer:
        factor = 1 + ratio if "candidate" in asked.arms else 1.0
        return LoadAnswer(1.0, 1.0, int(1e6 * factor * np.exp(spread * rng.standard_normal())))

    given = {"error": 0.005, "seed": 0, "host": FakeHost(reply), **options}
    return memory.judge_memory(ARM, ARM, "f.npz", 1, 0.05, **given)


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"), [(0.0, 0.0, "pass"), (0.2, 0.0, "regression"), (0.04, 0.2, "inconclusive")]
)
def test_the_verdict(ratio: float, spread: float, verdict: str) -> None:
    gate = judged(ratio, spread)
    assert gate.verdict == verdict
    assert len(gate.values["peaks_bytes"]["candidate"]) in memory.LOOKS


def test_an_open_verdict_names_the_smallest_effect() -> None:
    assert "the smallest increase this host resolves, given as the tolerance, is" in judged(0.04, 0.2).sentence


def test_a_look_that_could_have_no_bounds_is_not_taken() -> None:
    """Of an error shared by 40 gates a look at 12 processes gets less than they can prove."""
    gate = judged(0.0, error=0.005 / 40)
    assert gate.verdict == "pass"
    assert len(gate.values["peaks_bytes"]["candidate"]) == 16
    assert "too many gates" in judged(0.0, error=1e-9).sentence


@pytest.mark.parametrize(("arm", "verdict"), [("candidate", "regression"), ("baseline", "inconclusive")])
def test_a_model_that_fails(arm: str, verdict: str) -> None:
    def reply(asked: LoadRequest, _: float) -> LoadAnswer:
        if arm in asked.arms:
            raise NoAnswerError("model", "failed when loaded", arm)
        return LoadAnswer(1.0, 1.0, 1)

    assert judged(0.0, host=FakeHost(reply)).verdict == verdict


def test_a_system_that_does_not_tell() -> None:
    assert judged(0.0, host=FakeHost(lambda *_: LoadAnswer(1.0, 1.0, None))).verdict == "inconclusive"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads /proc")
def test_a_larger_model_takes_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOKS", (6,))
    arms = []
    for width in (50_000, 200_000):
        weight = numpy_helper.from_array(np.ones((4, width), np.float32), "w")
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, width])],
            [weight],
        )
        path = tmp_path / f"{width}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
        arms.append(Arm(str(path)))
    feed = write_feed(tmp_path / "f.npz", {"x": np.ones((1, 4), np.float32)})
    gate = memory.judge_memory(arms[1], arms[0], feed, 1, 0.05, 0.05, 0, LOCAL)
    assert gate.verdict == "regression"
    assert gate.values["estimate"] > 1
