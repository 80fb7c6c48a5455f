"""Models of a few nodes, sessions that may not fall back, and what a float64 reference says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.graph.proving import reference

Array = NDArray[Any]
Shape = Sequence[int | str]
ENTRY = "ep.edgeticketexecutionprovider."


def sparse(seed: int, *shape: int, density: float = 0.1) -> Array:
    """float32 weights with about this share of nonzeros, and at least one."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=shape).astype(np.float32)
    weight[rng.random(shape) >= density] = 0
    weight.flat[0] = 0.5
    return weight


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape | onnx.ValueInfoProto],
    outputs: Mapping[str, Shape],
    constants: Mapping[str, Array],
    opset: int = 18,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A graph; a node without a name gets that of its first output."""
    for node in nodes:
        node.name = node.name or node.output[0]
    graph = helper.make_graph(
        list(nodes),
        "small",
        [
            shape if isinstance(shape, onnx.ValueInfoProto) else helper.make_tensor_value_info(name, kind, shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto


node = helper.make_node


def session(proto: onnx.ModelProto, *, pool: int = 1, optimize: bool = True, **options: str) -> ort.InferenceSession:
    """On the sparse provider, without the silent way back to the CPU; options are the provider's."""
    runtime.register()
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = pool
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not optimize:
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in options.items():
        settings.add_session_config_entry(ENTRY + key, value)
    providers: list[str] | None = [runtime.EP_NAME, "CPUExecutionProvider"]
    if tuple(int(part) for part in ort.__version__.split(".")[:2]) < (1, 25):  # a plugin's name is ignored there
        settings.add_provider_for_devices([d for d in ort.get_ep_devices() if d.ep_name == runtime.EP_NAME][:1], {})
        providers = None
    return ort.InferenceSession(proto.SerializeToString(), settings, providers=providers, enable_fallback=0)


def claimed(made: ort.InferenceSession) -> set[str]:
    """The names of the nodes that our provider runs."""
    subgraphs = made.get_provider_graph_assignment_info()
    return {n.name for subgraph in subgraphs if subgraph.ep_name == runtime.EP_NAME for n in subgraph.get_nodes()}


def reasons(proto: onnx.ModelProto, folder: Path, **options: str) -> dict[str, str]:
    """Node name -> why it was left, '' where it was claimed."""
    path = folder / "report.json"
    session(proto, report=str(path), **options)
    return {record["name"]: record["reason"] for record in json.loads(path.read_text())}


def feed(proto: onnx.ModelProto, seed: int = 0, **symbols: int) -> dict[str, Array]:
    """Normal float32 inputs; `symbols` are the sizes of the dimensions that the model leaves open."""
    rng = np.random.default_rng(seed)
    constant = {tensor.name for tensor in proto.graph.initializer}
    feeds = {}
    for value in proto.graph.input:
        if value.name not in constant:
            dims = value.type.tensor_type.shape.dim
            shape = [symbols[d.dim_param] if d.dim_param else d.dim_value for d in dims]
            feeds[value.name] = rng.normal(size=shape).astype(np.float32)
    return feeds


def check(
    proto: onnx.ModelProto, expect: set[str] | None = None, *, optimize: bool = True, pool: int = 1, **symbols: int
) -> None:
    """Every claimed node is one of `expect` (all of the model's by default), and the outputs are those of float64."""
    made = session(proto, optimize=optimize, pool=pool, claim="always")
    assert claimed(made) == (expect if expect is not None else {n.name for n in proto.graph.node})
    feeds = feed(proto, **symbols)
    found = made.run(None, feeds)
    wanted = reference.evaluate(proto, [feeds]).outputs
    assert wanted is not None
    for value, array in zip(made.get_outputs(), found, strict=True):
        exact = wanted[0][value.name]
        assert array.shape == exact.shape
        assert np.isfinite(array).all()
        # Sums of at most 2,000 terms of size 1 to 10: 2^-24 times their absolute sum is far below this.
        np.testing.assert_allclose(array, exact, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(exact).max(initial=0))))
