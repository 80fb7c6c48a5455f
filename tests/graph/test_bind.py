"""A ticket's weights, masked, become the traced graph's initializers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from nets import Array, Net
from onnx import TensorProto, helper, numpy_helper

from edgeticket.errors import ModelError
from edgeticket.graph.reading.bind import bind
from edgeticket.ticket.mask import Mask


def _graph() -> tuple[bytes, dict[str, Array]]:
    net = Net(("n", 4))
    model = net.model(net.gemm("x", net.normal(3, 4), net.normal(3), "fc.weight"))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, array in weights.items():
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    del model.graph.initializer[:]
    return model.SerializeToString(), weights


def test_parameters_become_masked_initializers() -> None:
    graph, weights = _graph()
    weights["fc.weight"] = np.array(weights["fc.weight"])
    weights["fc.weight"][0, 0] = np.nan
    keep = np.ones((3, 4), np.bool_)
    keep[0] = keep[2, 3] = False
    model = bind(graph, {**weights, "counter": np.array(3)}, Mask({"fc.weight": keep}))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert [entry.name for entry in model.graph.input] == ["x"]
    assert set(stored) == set(weights)
    np.testing.assert_array_equal(stored["fc.weight"], np.where(keep, weights["fc.weight"], 0))
    assert not np.signbit(stored["fc.weight"][~keep]).any()
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(model))
    assert bind(graph, weights, Mask({"fc.weight": keep})).SerializeToString() == model.SerializeToString()


def test_without_a_mask_the_weights_are_as_given() -> None:
    graph, weights = _graph()
    [first, _] = bind(graph, weights, None).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(first), weights["fc.weight"])


def test_what_does_not_belong_together_is_refused() -> None:
    graph, weights = _graph()
    shape = dict(weights, **{"fc.weight": np.zeros((4, 3), np.float32)})
    kind = dict(weights, **{"fc.weight": np.zeros((3, 4), np.float64)})
    for wrong in (shape, kind):
        with pytest.raises(ModelError, match=r"'fc\.weight'"):
            bind(graph, wrong, None)
    with pytest.raises(ModelError, match=r"the mask of 'fc\.weight'"):
        bind(graph, weights, Mask({"fc.weight": np.ones((4, 3), np.bool_)}))
    with pytest.raises(ModelError, match="names 'other'"):
        bind(graph, weights, Mask({"other": np.ones(3, np.bool_)}))
    with pytest.raises(ModelError, match="no input left"):
        bind(_fixed(graph), dict(weights, x=np.zeros((1, 4), np.float32)), None)
    with pytest.raises(ModelError, match="the ticket's graph"):
        bind(graph[:40], weights, None)


def _fixed(graph: bytes) -> bytes:
    model = onnx.ModelProto.FromString(graph)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model.SerializeToString()
