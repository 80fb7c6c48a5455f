"""Constants that passes compute keep their float64 numbers, and what is stored is their rounding, once."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from nets import Net, zero_rows
from onnx import numpy_helper
from test_random_nets import STEPS, build

from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.values import to_dtype


def _stored(plan: Simplified) -> dict[str, Any]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in plan.model.graph.initializer}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(**STEPS)
def test_what_is_stored_is_the_rounding(seed: int, maps: list[str], flat: str, rows: list[str], second: bool) -> None:
    plan = simplify(build(seed, maps, flat, rows, np.float32, second))
    stored = _stored(plan)
    for name, numbers in plan.unrounded.items():
        assert numbers.dtype == np.float64
        np.testing.assert_array_equal(to_dtype(numbers, np.dtype(np.float32)), stored[name])


def test_a_folded_and_cut_weight_is_rounded_once() -> None:
    """Two normalisations in a row: the weight goes through two passes, and is the rounding of the exact product."""
    net = Net(("n", 3, 6, 6), seed=2)
    weight = zero_rows(net.normal(8, 3, 3, 3), 1, 5)
    first = net.conv("x", weight, net.normal(8), "w")
    scales = []
    for _ in range(2):
        parts = [net.normal(8), np.zeros(8), np.zeros(8), net.rng.uniform(0.5, 2, 8)]
        gamma, variance = (parts[k].astype(np.float32).astype(np.float64) for k in (0, 3))
        scales.append(gamma / np.sqrt(variance + np.float64(np.float32(1e-5))))
        first = net.op("BatchNormalization", first, *[net.const(part) for part in parts])
    plan = simplify(net.model(net.gemm(net.op("Flatten", net.op("Relu", first)), net.normal(4, 128), None)))
    exact = weight.astype(np.float32).astype(np.float64) * (scales[0] * scales[1]).reshape(-1, 1, 1, 1)
    kept = exact[[0, 2, 3, 4, 6, 7]]
    found = _stored(plan)["w"]
    if len(found) == 8:  # a dead channel with a positive bias stays
        kept = exact
    np.testing.assert_allclose(plan.unrounded["w"], kept, rtol=1e-15)
    np.testing.assert_array_equal(found, plan.unrounded["w"].astype(np.float32))


def test_folded_chains_keep_their_numbers() -> None:
    """A third of a third of a weight, as weight normalisation writes it: each step rounds, the stored one once."""
    net = Net(("n", 5))
    weight = net.normal(4, 5)
    third = net.const(np.array(1 / 3))
    name = net.op("Mul", net.op("Mul", net.const(weight), third), third)
    plan = simplify(net.model(net.op("Gemm", "x", name, transB=1)))
    [(stored, numbers)] = plan.unrounded.items()
    exact = weight.astype(np.float32).astype(np.float64) * np.float64(np.float32(1 / 3)) ** 2
    np.testing.assert_allclose(numbers, exact, rtol=1e-15)
    np.testing.assert_array_equal(_stored(plan)[stored], numbers.astype(np.float32))
