"""The eight networks of the benchmarks, pruned and dense, on our provider and on the CPU's, beside float64.

Over twenty layers the worst case of rounding errors is far above what happens. They behave as if they were random: with
n operations on a path they grow as sqrt(n) u (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis,
SIAM J. Sci. Comput. 41, 2019), here times four and the largest value that comes out; the CPU provider keeps to it too.
"""

from __future__ import annotations

import numpy as np
import pytest
from float64 import UNIT, Float64
from networks import NETWORKS, network
from small_models import session
from test_random_graphs import assert_all_claimed

from edgeticket import runtime

BIG = ("ResNet-18", "VGG-16")  # ten seconds each, float64's for the most part


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in BIG else n for n in NETWORKS])
@pytest.mark.parametrize("sparsity", [0.9, 0.0])
def test_network(name: str, sparsity: float) -> None:
    net = network(name, sparsity, batch=None)
    feeds = net.feed(batch=1 if net.macs > 100_000_000 else 3)
    made = session(net.model, claim="always", pool=2, threads="2")
    assert_all_claimed(made)
    exact = Float64(net.model, feeds)
    (output,) = exact.outputs.values()
    allowed = 4 * UNIT * np.sqrt(exact.operations) * np.abs(output).max()
    for found in (made.run(None, feeds)[0], *runtime.run(runtime.cpu_session(net.serialized()), feeds).values()):
        assert found.shape == output.shape
        assert np.abs(found - output).max() <= allowed
