"""Five false proofs, each refuted: once where the file differs from the plan, once where a pass made a wrong plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from proofs import check_stored_weights, prove_feeds

from edgeticket import api
from edgeticket.artifact import checks
from edgeticket.artifact.manifest import ProofInfo
from edgeticket.errors import ProofError
from edgeticket.graph import conversion
from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.serialize import serialize
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing import storage

Array = NDArray[Any]
OUTPUTS = ("linear", "softmax", "sigmoid", "detector")
FIRST = "first.weight"


def network(output: str) -> onnx.ModelProto:
    """Convolutions with batch-norm, and classes (linear, softmax, sigmoid) or a map of sigmoids, 80 % zeros."""
    net = Net(("n", 3, 12, 12), seed=3)

    def pruned(*shape: int) -> Array:
        weight = net.normal(*shape) / np.sqrt(np.prod(shape[1:]))
        weight[net.rng.random(shape) < 0.8] = 0
        return weight * np.sqrt(5)

    maps = net.conv("x", pruned(16, 3, 3, 3), net.normal(16), FIRST, pads=[1, 1, 1, 1])
    maps = net.op("Relu", net.batchnorm(maps, 16))
    maps = net.op("Relu", net.conv(maps, pruned(16, 16, 3, 3), 0.1 * net.normal(16), pads=[1, 1, 1, 1]))
    if output == "detector":
        return net.model(net.op("Sigmoid", net.conv(maps, 0.3 * pruned(1, 16, 3, 3), net.normal(1), pads=[1] * 4)))
    flat = net.op("Flatten", net.op("MaxPool", maps, kernel_shape=[4, 4], strides=[4, 4]))
    rows = net.gemm(flat, 0.3 * pruned(10, 144), 0.1 * net.normal(10))
    return net.model(rows if output == "linear" else net.op(output.capitalize(), rows))


def _numbers(plan: Simplified, name: str, change: Callable[[Array], Array]) -> Simplified:
    """A pass that computes other numbers for a constant, and rounds them properly."""
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == name]
    exact = change(plan.unrounded.get(name, numpy_helper.to_array(tensor).astype(np.float64)))
    tensor.CopyFrom(numpy_helper.from_array(exact.astype(np.float32), name))
    return replace(plan, model=model, unrounded={**plan.unrounded, name: exact})


def _slightly(weight: Array) -> Array:
    weight = np.array(weight)
    weight[np.unravel_index(np.abs(weight).argmax(), weight.shape)] *= 1 + 1e-4
    return weight


def weight_changed(plan: Simplified) -> Simplified:
    """The largest weight of the first layer is 1e-4 larger than it should be."""
    return _numbers(plan, FIRST, _slightly)


def bias_dropped(plan: Simplified) -> Simplified:
    """The first layer's bias is zero."""
    return _numbers(plan, plan.model.graph.node[0].input[2], np.zeros_like)


def channel_swapped(plan: Simplified) -> Simplified:
    """Two filters of the first layer have changed places."""
    return _numbers(plan, FIRST, lambda weight: weight[[1, 0, *range(2, len(weight))]])


def pad_wrong(plan: Simplified) -> Simplified:
    """The first layer's padding is all on one side, which leaves every shape as it was."""
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    [pads] = [attribute for attribute in model.graph.node[0].attribute if attribute.name == "pads"]
    pads.ints[:] = [0, 0, 2, 2]
    return replace(plan, model=model)


def output_constant(plan: Simplified) -> Simplified:
    """The output is 0.46 for every input."""
    model = onnx.ModelProto()
    model.CopyFrom(plan.model)
    last = model.graph.node[-1]
    name, last.output[0] = last.output[0], "replaced"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.46), "constant"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["replaced", "nothing"], ["zeros"]))
    model.graph.node.append(onnx.helper.make_node("Add", ["zeros", "constant"], [name]))
    return replace(plan, model=model)


FAULTS = (weight_changed, output_constant, bias_dropped, channel_swapped, pad_wrong)
Fault = Callable[[Simplified], Simplified]


def _proved(original: onnx.ModelProto, file: onnx.ModelProto, plan: Simplified) -> ProofInfo:
    made = probes(original)
    usual = [probe.feed for probe in made if probe.usual]
    feeds = [*usual, *(probe.feed for probe in made if not probe.usual)]
    return prove_feeds(original, serialize(file), feeds, samples=usual, simplified=plan)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_right_file_is_proved_within_a_thousandth_of_its_range(output: str) -> None:
    original = network(output)
    plan = simplify(original)
    check_stored_weights(serialize(plan.model), plan.layers, planned=plan.model)
    found = _proved(original, plan.model, plan)
    assert found.proved, found.reason
    assert found.tolerance is not None
    assert found.output_range is not None
    assert found.tolerance < 1e-3 * found.output_range
    assert found.in_float64 is not None
    assert found.in_float64.verdict == "proved"
    assert found.in_float64.tolerance is not None
    assert found.in_float64.tolerance < 1e-9 * found.output_range


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_pass_that_makes_a_wrong_plan_is_refuted_in_float64(fault: Fault, output: str) -> None:
    """Plan and file agree, so nothing but the graph's proof can tell; 1e-4 of one weight is millions too much."""
    original = network(output)
    wrong = fault(simplify(original))
    found = _proved(original, wrong.model, wrong)
    assert found.verdict == "refuted"
    if fault is weight_changed:
        assert found.in_float64 is not None
        assert found.in_float64.max_abs_delta is not None
        assert found.in_float64.tolerance is not None
        assert found.in_float64.max_abs_delta > 1e5 * found.in_float64.tolerance


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_not_the_plan_is_refuted(fault: Fault, output: str) -> None:
    original = network(output)
    plan = simplify(original)
    wrong = fault(plan)
    if fault in (output_constant, pad_wrong):  # no number of the plan changed: the outputs tell
        found = _proved(original, wrong.model, plan)
        assert found.verdict == "refuted"
        assert "more than rounding explains" in found.reason
    else:
        with pytest.raises(ProofError, match="differs from the planned one in"):
            check_stored_weights(serialize(wrong.model), plan.layers, planned=plan.model)


@pytest.mark.parametrize("fault", FAULTS)
def test_export_writes_nothing(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(network("sigmoid"), tmp_path / "net.onnx")
    api.export(tmp_path / "net.onnx", out=tmp_path / "right", bench=False)
    with monkeypatch.context() as patched:
        patched.setattr(conversion, "simplify", lambda model, **options: fault(simplify(model, **options)))
        with pytest.raises(ProofError, match="nothing was written"):
            api.export(tmp_path / "net.onnx", out=tmp_path / "pass", bench=False)
    honest = storage.store

    def dishonest(model: onnx.ModelProto, **options: Any) -> Any:
        wrong = fault(replace(simplify(network("sigmoid")), model=model)).model
        return honest(wrong, **{**options, "read": None})  # what was read before is of the right model

    monkeypatch.setattr(storage, "store", dishonest)
    with pytest.raises(ProofError):
        api.export(tmp_path / "net.onnx", out=tmp_path / "file", bench=False)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["right"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_golden_tolerance_lets_a_constant_output_pass(output: str, tmp_path: Path) -> None:
    """What `check` allows is at most 1 % of the range that an output has over the golden inputs."""
    onnx.save(network(output), tmp_path / "net.onnx")
    made = api.export(tmp_path / "net.onnx", out=tmp_path / "out", bench=False)
    opened = checks.open_artifact(made.folder)
    recorded = [outputs for _, outputs in checks.golden_feeds(opened)]
    whole = np.concatenate([outputs[0].reshape(-1) for outputs in recorded])
    for outputs, allowed in zip(recorded, made.manifest.golden.atol, strict=True):
        assert allowed[0] <= 0.01 * max(np.ptp(outputs[0]), np.ptp(whole))
    middle = 0.5 * (whole.max() + whole.min())
    apart = [np.abs(outputs[0] - middle).max() for outputs in recorded]
    assert any(far > allowed[0] for far, allowed in zip(apart, made.manifest.golden.atol, strict=True))


CHOICES = ("ArgMax", "TopK", "ZipMap", "Round", "Greater")


def choosing(choice: str) -> onnx.ModelProto:
    """Softmax of ten classes, of which a class, an order, a map, whole numbers or a flag is all that is given out."""
    model = network("softmax")
    graph = model.graph
    scores, half = graph.output[0].name, numpy_helper.from_array(np.float32(0.1), "threshold")
    inputs = {
        "TopK": [scores, "k"],
        "Greater": [scores, half.name],
        "Round": ["percent"],
    }.get(choice, [scores])
    attributes: dict[str, Any] = {"ArgMax": {"axis": 1}, "ZipMap": {"classlabels_int64s": range(10)}}.get(choice, {})
    kind = {"ArgMax": TensorProto.INT64, "TopK": TensorProto.INT64, "Greater": TensorProto.BOOL}.get(choice, 1)
    outputs = ["values", "y"] if choice == "TopK" else ["y"]
    domain = "ai.onnx.ml" if choice == "ZipMap" else ""
    if choice == "Round":
        graph.initializer.append(numpy_helper.from_array(np.float32(100), "hundred"))
        graph.node.append(onnx.helper.make_node("Mul", [scores, "hundred"], ["percent"]))
    graph.initializer.extend([half, numpy_helper.from_array(np.array([3]), "k")])
    graph.node.append(onnx.helper.make_node(choice, inputs, outputs, "choice", domain=domain, **attributes))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("y", kind, None))
    if choice == "ZipMap":
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))
        entry = onnx.helper.make_map_type_proto(TensorProto.INT64, onnx.helper.make_tensor_type_proto(1, []))
        graph.output[0].type.CopyFrom(onnx.helper.make_sequence_type_proto(entry))
    return model


@pytest.mark.parametrize("choice", CHOICES)
def test_a_wrong_weight_is_refuted_where_nothing_but_a_choice_is_given_out(choice: str) -> None:
    """Scores that moved by 1e-5 choose the same class on any few inputs: they are compared themselves, in float64."""
    original = choosing(choice)
    plan = simplify(original)
    assert _proved(original, plan.model, plan).proved
    for fault in (weight_changed, channel_swapped, bias_dropped, pad_wrong):
        wrong = fault(plan)
        assert _proved(original, wrong.model, wrong).verdict == "refuted"


def test_a_wrong_threshold_is_refuted() -> None:
    original = choosing("Greater")
    plan = simplify(original)
    wrong = _numbers(plan, "threshold", lambda number: np.asarray(number * (1 + 1e-4)))
    assert _proved(original, wrong.model, wrong).verdict == "refuted"


def _turned(model: onnx.ModelProto, what: str) -> onnx.ModelProto:
    """The model with its inputs or outputs in the other order, under the names that they had."""
    found = onnx.ModelProto.FromString(model.SerializeToString())
    ports = getattr(found.graph, what)
    turned = [onnx.ValueInfoProto.FromString(port.SerializeToString()) for port in reversed(ports)]
    del ports[:]
    ports.extend(turned)
    return found


@pytest.mark.parametrize("what", ["input", "output"])
def test_ports_in_another_order_are_refuted(what: str) -> None:
    """Programs read outputs by their place, and outputs of one shape would be taken for each other."""
    net = Net(("n", 6))
    net.inputs["y"] = ("n", 6)
    both = net.op("Add", "x", net.op("Mul", "y", "y"))
    original = net.model(net.op("Relu", both), net.op("Tanh", both))
    assert _proved(original, original, simplify(original)).proved
    found = _proved(original, _turned(original, what), simplify(original))
    assert found.verdict == "refuted"
    assert f"the exported model's {what}s are" in found.reason


@pytest.mark.parametrize("fault", ["size taken for granted", "odd sizes cut"])
def test_what_holds_for_one_size_of_a_free_axis_is_refuted(fault: str) -> None:
    """A picture of 32 x 32 is what is made up first; a file that is right for that alone is wrong."""

    def network(wrong: bool) -> onnx.ModelProto:
        net = Net(("n", 2, "height", "width"))
        halved = net.op(
            "MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=int(fault[:3] == "odd" and not wrong)
        )
        shape = [0, 2, 256] if fault[:3] != "odd" and wrong else [0, 2, -1]
        rows = net.op("Reshape", halved, net.const(np.array(shape))) if fault[:3] != "odd" else halved
        return net.model(net.op("Tanh", rows))

    right, wrong = network(wrong=False), network(wrong=True)
    assert _proved(right, right, simplify(right)).proved
    assert _proved(right, wrong, simplify(wrong)).verdict == "refuted"
    assert _proved(right, wrong, simplify(right)).verdict == "refuted"
