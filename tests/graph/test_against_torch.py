"""The same passes beside PyTorch's own exporter: ONNX Runtime makes no more nodes of our file than of torch's.

The traced graph is what `find` keeps; with its weights bound and the passes run it is both the dense baseline and, with
a mask, what is exported. torch's file is what `torch.onnx.export(network, (x,), dynamo=True)` writes, and the same with
a free batch. `make bench-baseline` times them, and the larger ones of the built-in networks.
"""

from __future__ import annotations

import pytest

from edgeticket.graph.optimised import operators, optimised, unfused

torch = pytest.importorskip("torch")
torch_networks = pytest.importorskip("torch_networks")
KINDS = (
    "convolutions with batch norm", "batch norm before convolutions", "depthwise with hard-swish", "nearest upsampling",
    "group norm", "GELU", "LSTM", "transformer encoder", "lenet-digits", "resnet20-cifar10",
)  # fmt: skip


def left(model: bytes, *, fused: bool = False) -> int:
    """How many nodes ONNX Runtime leaves; with `fused` nothing may be among them that it fuses elsewhere."""
    graph = optimised(model)
    assert graph is not None
    assert not fused or unfused(graph) == []
    return operators(graph).total()


@pytest.mark.parametrize("name", KINDS)
def test_no_more_nodes_than_torch_writes(name: str) -> None:
    torch.manual_seed(0)
    if name in torch_networks.NETWORKS:
        make, shape = torch_networks.NETWORKS[name]
        network = make()
    else:
        [(_, network, shape)] = torch_networks.built_in(name)
    network = torch_networks.randomised(network)
    free, fixed = (left(model, fused=True) for model in torch_networks.ours(network, shape))
    torch_free, torch_fixed = (left(torch_networks.theirs(network, shape, free=each)) for each in (True, False))
    assert min(free, fixed) <= min(torch_free, torch_fixed)
    assert free <= torch_free  # what is exported keeps its batch free
