"""The benchmarks' own foundations: the networks are those of the papers, the zeros are there, the statistics hold."""

from __future__ import annotations

import numpy as np
import pytest
from arms import median_interval
from networks import INT8, NETWORKS, int8, network
from onnx import numpy_helper
from random_networks import random_network

from edgeticket.runtime import cpu_session, run

MMACS = dict(zip(NETWORKS, (0.27, 0.26, 2.7, 41, 154, 555, 313, 569), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_multiplications(name: str) -> None:
    """Dense counts as published (MLPerf Tiny, He et al. 2016, Frankle & Carbin 2019, Howard et al. 2017)."""
    net = network(name, 0.9)
    assert net.macs / 1e6 == pytest.approx(MMACS[name], rel=0.02)
    assert 0.09 < net.useful_macs / net.macs < (0.35 if name == "DS-CNN" else 0.2)


def test_zeros_are_nested_and_spare_the_stem() -> None:
    weights = {}
    for sparsity in (0.5, 0.9):
        found = {w.name: numpy_helper.to_array(w) for w in network("ResNet-20", sparsity).model.graph.initializer}
        weights[sparsity] = [array for array in found.values() if array.ndim == 4]
    assert np.count_nonzero(weights[0.9][0]) == weights[0.9][0].size
    for half, tenth in zip(weights[0.5][1:], weights[0.9][1:], strict=True):
        assert not np.any((tenth != 0) & (half == 0))
    share = sum(map(np.count_nonzero, weights[0.9][1:])) / sum(array.size for array in weights[0.9][1:])
    assert share == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("kind", INT8)
@pytest.mark.parametrize("name", ["auto-encoder", "DS-CNN", "ResNet-20"])
def test_int8_rival_computes_the_network(name: str, kind: str) -> None:
    net = network(name)
    feed = net.feed(seed=3)
    exact, rough = (next(iter(run(cpu_session(model), feed).values())) for model in (net.serialized(), int8(net, kind)))
    assert exact.shape == (1, *net.output_shape)
    assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()


def test_open_batch() -> None:
    net = network("DS-CNN", 0.9, batch=None)
    assert run(cpu_session(net.serialized()), net.feed(3))[net.model.graph.output[0].name].shape == (3, 12)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_run_and_come_again(seed: int) -> None:
    net = random_network(seed, 0.9)
    assert net.serialized() == random_network(seed, 0.9).serialized()
    assert net.macs == random_network(seed, 0.0).macs
    output = next(iter(run(cpu_session(net.serialized()), net.feed()).values()))
    assert output.shape == (1, *net.output_shape)
    assert np.isfinite(output).all()


def test_interval_covers_the_median() -> None:
    """Of 400 samples of 15 exponential values, the 95 % interval misses the median in at most about 5 %."""
    rng = np.random.default_rng(0)
    intervals = [median_interval(rng.exponential(size=15).tolist()) for _ in range(400)]
    missed = sum(not found.low <= np.log(2) <= found.high for found in intervals)
    assert 1 <= missed <= 32
