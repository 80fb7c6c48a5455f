"""No crying wolf: what simplify makes of random networks is proved, whatever they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from nets import Net
from numpy.typing import NDArray
from proofs import prove_feeds
from test_random_nets import STEPS, build

from edgeticket import runtime
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import simplify

Array = NDArray[Any]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def _proved(model: onnx.ModelProto) -> ProofInfo:
    made, plan = probes(model), simplify(model)
    usual = [probe.feed for probe in made if probe.usual]
    feeds = [*usual, *(probe.feed for probe in made if not probe.usual)]
    found = prove_feeds(model, serialize(plan.model), feeds, samples=usual, simplified=plan)
    if found.not_compared:  # 30 layers of which most is pruned may be dead: then it is said, and must be so
        assert found.verdict == "not proved"
        assert _never_moves(model)
        return found
    assert found.proved, found.reason
    assert found.in_float64 is not None
    assert found.in_float64.verdict == "proved"
    assert found.tolerance is not None
    assert found.output_range is not None
    assert found.tolerance <= max(0.01 * found.output_range, 1e-30)
    return found


def _never_moves(model: onnx.ModelProto) -> bool:
    """Does the network give out the same for inputs of several seeds and scales?"""
    session, dims = runtime.cpu_session(serialize(model)), model.graph.input[0].type.tensor_type.shape.dim
    shape = [2, *(dim.dim_value for dim in dims[1:])]
    rng = np.random.default_rng(77)
    feeds = [{"x": (scale * rng.normal(size=shape)).astype(np.float32)} for scale in (0, 1, 1, 30, 1e5)]
    first, *others = [runtime.run(session, feed) for feed in feeds]
    return all(np.allclose(first[name], other[name], rtol=1e-6, atol=1e-28) for other in others for name in first)


@QUICK
@given(**STEPS)
def test_convolutional_networks(seed: int, maps: list[str], flat: str, rows: list[str], second: bool) -> None:
    _proved(build(seed, maps, flat, rows, np.float32, second))


def _pruned(net: Net, *shape: int) -> Array:
    weight = net.normal(*shape) / np.sqrt(shape[-1])
    weight[net.rng.random(shape) < 0.7] = 0
    weight[..., net.rng.random(shape[-1]) < 0.2] = 0
    return weight


def _recurrent(net: Net) -> str:
    """A recogniser: a convolution, an LSTM both ways, and classes for each step."""
    maps = net.op("Relu", net.conv("x", _pruned(net, 8, 3, 3, 3), net.normal(8), pads=[1, 1, 1, 1]))
    rows = net.op("Transpose", net.op("ReduceMean", maps, net.const(np.array([2])), keepdims=0), perm=[2, 0, 1])
    weights = [net.const(_pruned(net, 2, 24, 8)), net.const(_pruned(net, 2, 24, 6)), net.const(net.normal(2, 48))]
    both = net.op("LSTM", rows, *weights, hidden_size=6, direction="bidirectional")
    steps = net.op("Reshape", net.op("Transpose", both, perm=[0, 2, 1, 3]), net.const(np.array([0, 0, 12])))
    return net.op("Softmax", net.op("MatMul", steps, net.const(_pruned(net, 12, 9))), axis=-1)


def _without_biases(net: Net) -> str:
    """Where every input is tiny or zero, so is every output."""
    maps = "x"
    for _ in range(3):
        maps = net.op("Relu", net.conv(maps, _pruned(net, 3, 3, 3, 3), None, pads=[1, 1, 1, 1]))
    return net.op("MatMul", net.op("Flatten", net.op("GlobalAveragePool", maps)), net.const(_pruned(net, 3, 5)))


def _deep(net: Net) -> str:
    """Thirty layers, with batch-norm in each second one and a sigmoid map at the end."""
    maps = "x"
    for layer in range(30):
        maps = net.conv(maps, 2 * _pruned(net, 6, 3 if layer == 0 else 6, 3, 3), net.normal(6), pads=[1, 1, 1, 1])
        maps = net.op("Relu", net.batchnorm(maps, 6) if layer % 2 else maps)
    return net.op("Sigmoid", net.op("Mul", maps, net.const(np.array(1e-4))))


def _quantized(net: Net) -> str:
    """Integers between, so that the last bit of a float decides about a whole step."""
    scale, zero = net.const(np.array(0.02)), net.const(np.array(128, np.uint8))
    maps = "x"
    for layer in range(3):
        codes = np.round(50 * _pruned(net, 6, 3 if layer == 0 else 6, 3, 3)).clip(-127, 127).astype(np.int8)
        weight = net.op(
            "DequantizeLinear", net.const(codes), net.const(np.array(0.01)), net.const(np.array(0, np.int8))
        )
        maps = net.op("DequantizeLinear", net.op("QuantizeLinear", maps, scale, zero), scale, zero)
        maps = net.op("Relu", net.op("Conv", maps, weight, pads=[1, 1, 1, 1]))
    return maps


def _attention(net: Net) -> str:
    """Products of values with values, and a normalisation by layer."""
    rows = net.op("Reshape", "x", net.const(np.array([0, 12, 16])))
    parts = [net.op("MatMul", rows, net.const(_pruned(net, 16, 16))) for _ in range(3)]
    scores = net.op("Softmax", net.op("MatMul", parts[0], net.op("Transpose", parts[1], perm=[0, 2, 1])), axis=-1)
    mixed = net.op("Add", rows, net.op("MatMul", scores, parts[2]))
    return net.op("Gelu", net.op("LayerNormalization", mixed, net.const(net.normal(16)), net.const(net.normal(16))))


@pytest.mark.parametrize("kind", [_recurrent, _without_biases, _deep, _quantized, _attention])
@pytest.mark.parametrize("seed", range(4))
def test_networks_of_other_kinds(kind: Any, seed: int) -> None:
    net = Net(("n", 3, 8, 8), seed=seed)
    _proved(net.model(kind(net), opset=20))


def test_a_choice_that_float32_cannot_decide_is_no_refutation() -> None:
    """Two classes whose scores are the same in real arithmetic: folding makes the last bit another."""
    net = Net(("n", 3, 8, 8))
    maps = net.batchnorm(net.conv("x", np.tile(net.normal(1, 3, 3, 3), (4, 1, 1, 1)), net.normal(4)), 4, np.ones(4))
    scores = net.op("ReduceMean", maps, net.const(np.array([2, 3])), keepdims=0)
    model = net.model(net.op("ArgMax", scores, axis=1), scores)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    for tensor in model.graph.initializer:
        if tensor.dims[:] == [4]:  # one bias, one mean, one variance for all four
            array = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, array[0]), tensor.name))
    assert _proved(model).discrete > 0
