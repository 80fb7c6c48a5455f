"""A recurrent layer that is given zeros starts as one that is given nothing; any other state stays."""

from __future__ import annotations

import numpy as np
import pytest
from nets import Net, feed, ops
from onnx import numpy_helper

from edgeticket import runtime
from edgeticket.graph.simplify import simplify

HIDDEN = 3


def layer(kind: str, state: float, *, fixed: bool = False) -> Net:
    """x [5, n, 4] through one recurrent layer whose states are Expand(state, (1, n, 3)), or constants."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    net = Net((5, 2 if fixed else "n", 4))
    parts = [net.const(net.normal(1, gates * HIDDEN, 4)), net.const(net.normal(1, gates * HIDDEN, HIDDEN)), "", ""]
    if fixed:
        made = net.const(np.full((1, 2, HIDDEN), state))
    else:
        shape = [net.const(np.array([1])), net.op("Shape", "x", start=1, end=2), net.const(np.array([HIDDEN]))]
        value = net.op("Constant", value=numpy_helper.from_array(np.float32(state)))
        made = net.op("Expand", value, net.op("Concat", *shape, axis=0))
    states = [made] * (2 if kind == "LSTM" else 1)
    net.op(kind, "x", *parts, *states, hidden_size=HIDDEN)
    return net


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("state", [0.0, 0.5])
def test_only_zeros_are_left_out(kind: str, state: float, fixed: bool) -> None:
    net = layer(kind, state, fixed=fixed)
    model = net.model(net.nodes[-1].output[0])
    result = simplify(model)
    [node] = [node for node in result.model.graph.node if node.op_type == kind]
    assert (len([name for name in node.input if name]) == 3) == (state == 0)
    assert (ops(result) == [kind]) == (state == 0 or fixed)
    inputs = feed(model)
    before, after = (
        runtime.run(runtime.cpu_session(each.SerializeToString()), inputs) for each in (model, result.model)
    )
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
