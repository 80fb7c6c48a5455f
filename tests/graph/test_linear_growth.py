"""What an export does grows with the nodes of a graph and not with their square: steps are counted, no time taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from nets import Net

from edgeticket import api, runtime
from edgeticket.graph import evaluate, values
from edgeticket.graph.passes import fold_constants
from edgeticket.graph.simplify import simplify


def _chain(layers: int) -> onnx.ModelProto:
    """Convolutions without a bias, each with its normalisation: every one needs a new constant with a name."""
    net = Net(("n", 4, 5, 5))
    value = "x"
    for _ in range(layers):
        bias = net.op("Mul", net.const(net.normal(4)), net.const(net.normal(4)))
        value = net.op("Add", net.batchnorm(net.conv(value, net.normal(4, 4, 1, 1)), 4), value)
        value = net.op("PRelu", value, net.op("Reshape", bias, net.const(np.array([1, 4, 1, 1]))))
    return net.model(value)


def _counted(layers: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    counts = {"values walked over": 0, "nodes evaluated": 0, "models inferred": 0}
    walk, compute, fits = values.all_values, evaluate.evaluate, onnx.shape_inference.infer_shapes

    def walked(graph: ir.Graph) -> Iterator[ir.Value]:
        for value in walk(graph):
            counts["values walked over"] += 1
            yield value

    def evaluated(*given: object) -> object:
        counts["nodes evaluated"] += 1
        return compute(*given)  # type: ignore[arg-type]

    def inferred(*given: object, **asked: object) -> object:
        counts["models inferred"] += 1
        return fits(*given, **asked)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(values, "all_values", walked)
        patch.setattr(fold_constants, "evaluate", evaluated)
        patch.setattr(onnx.shape_inference, "infer_shapes", inferred)
        simplify(_chain(layers))
    return counts


def test_four_times_the_layers_take_four_times_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = _counted(10, monkeypatch), _counted(40, monkeypatch)
    assert few["values walked over"] > 0
    assert few["nodes evaluated"] >= 20
    for name in ("values walked over", "nodes evaluated"):
        assert many[name] <= 4 * few[name], name
    assert many["models inferred"] == few["models inferred"], "none for a single small node"


def test_names_are_new_and_numbered_as_before() -> None:
    graph = ir.from_proto(_chain(1)).graph
    taken = {value.name for value in values.all_values(graph)}
    assert values.fresh_name(graph, "new") == "new"
    assert [values.fresh_name(graph, "new") for _ in range(2)] == ["new_2", "new_3"]
    name = sorted(name for name in taken if name)[0]
    assert values.fresh_name(graph, name) == f"{name}_2"
    made = values.new_constant(graph, "new", np.zeros(3, np.float32))
    assert made.name == "new_4"
    graph.inputs[0].name = "renamed"
    values.forget_names(graph)
    assert values.fresh_name(graph, "renamed") == "renamed_2"
    assert values.fresh_name(graph, "new_4") == "new_4_2", "a constant's name is found when names are gathered anew"


def test_an_export_loads_each_model_once_with_the_rewrites_of_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[bytes] = []
    load = runtime.cpu_session

    def counted(model: bytes | Path, **asked: Any) -> runtime.Session:
        if "optimized_path" not in asked and asked.get("optimize", True) and isinstance(model, bytes):
            loaded.append(model)
        return load(model, **asked)

    monkeypatch.setattr(runtime, "cpu_session", counted)
    net = Net()
    onnx.save(net.model(net.op("Relu", net.conv("x", net.normal(4, 3, 3, 3)))), tmp_path / "model.onnx")
    exported = api.export(tmp_path / "model.onnx", out=tmp_path / "out", bench=False)
    assert exported.manifest.proof.verdict == "proved"
    assert loaded.count((exported.folder / "model.onnx").read_bytes()) == 1
    assert len(loaded) == 2
