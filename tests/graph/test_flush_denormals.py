"""Denormal weights are set to zero and counted; half precision, open and unknown tensors are left alone."""

from __future__ import annotations

import numpy as np
from nets import Net, sentences
from onnx import numpy_helper

from edgeticket.graph.simplify import simplify

TINY = float(np.finfo(np.float32).tiny)


def test_counted_and_set_to_zero() -> None:
    net = Net(("n", 4))
    weight = np.array([[TINY, TINY / 2, 0, 1], [-TINY / 8, -TINY, 1e-45, 2]])
    model = net.model(net.gemm("x", weight, np.array([TINY / 4, 1]), "w"))
    result = simplify(model)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    expected = np.where(np.abs(weight) < TINY, 0, weight).astype(np.float32)
    np.testing.assert_array_equal(stored["w"], expected)
    [note] = [note for note in result.notes if note.pass_name == "flush-denormals"]
    assert note.changed == 4
    [layer] = result.layers
    assert (layer.nonzeros_before, layer.nonzeros_after) == (7, 4)


def test_left_alone() -> None:
    net = Net(("n", 4))
    small = np.full(4, TINY / 2)
    net.inputs["open"] = (4,)
    net.const(small, "open")
    half = np.full(4, 6e-8, np.float16)
    net.weights["half"] = half
    known = net.op("Sum", "x", "open")
    unknown = net.op("Mystery", net.const(small, "secret"), "half", domain="some.where")
    result = simplify(net.model(net.op("Add", known, unknown), extra="some.where"))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    for name, expected in (("open", small.astype(np.float32)), ("secret", small.astype(np.float32)), ("half", half)):
        np.testing.assert_array_equal(stored[name], expected)
    assert "denormal" not in sentences(result)
