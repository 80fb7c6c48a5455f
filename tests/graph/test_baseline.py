"""What stands for the dense network: no operator in it that the runtime would have fused, and no pruning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import sample_artifacts
from nets import Net
from onnx import numpy_helper

from edgeticket import api
from edgeticket.graph.baseline import FIXED, GIVEN, PASSES, dense_baseline, with_fixed_axes
from edgeticket.graph.optimised import operators, optimised, unfused
from edgeticket.graph.reading.source import Source, read_source
from edgeticket.graph.serialize import serialize


def behind_expand() -> Net:
    """A convolution with batch normalisation as PyTorch's unoptimised trace has it: its bias is computed."""
    net = Net()
    weight = net.const(net.normal(4, 3, 3, 3), "conv.weight")
    size = net.const(np.array([4]))
    zero = net.op("CastLike", net.const(np.float32(0)), "x")
    bias = net.op("Expand", zero, size)
    net.op("Conv", "x", weight, bias, pads=[1, 1, 1, 1])
    return net


def source_of(net: Net, output: str, tmp_path: Path) -> Source:
    onnx.save(net.model(output), tmp_path / "model.onnx")
    return read_source(tmp_path / "model.onnx", None)


def test_the_passes_stand_for_a_trace_that_the_runtime_cannot_fuse(tmp_path: Path) -> None:
    net = behind_expand()
    source = source_of(net, net.op("Relu", net.batchnorm(net.nodes[-1].output[0], 4)), tmp_path)
    graph = optimised(serialize(source.dense))
    assert graph is not None
    assert any("BatchNormalization" in each for each in unfused(graph))
    found = dense_baseline(source)
    assert [form.words for form in found.forms] == [PASSES, GIVEN]
    assert set(found.forms[0].operators) <= {"Conv", "FusedConv", "Relu"}
    assert found.forms[0].operators.total() < found.forms[1].operators.total()
    assert found.caveat == ""
    assert found.smallest == found.forms[0].model
    untimed = dense_baseline(source, timed=False)
    assert [form.words for form in untimed.forms] == [PASSES], "the form as given is larger, and may be the fastest"
    assert (untimed.smallest, untimed.given, untimed.caveat) == (found.smallest, found.given, found.caveat)


def test_a_baseline_with_something_left_to_fuse_says_so(tmp_path: Path) -> None:
    net = behind_expand()
    net.inputs["scale"] = (4,)  # the caller chooses it, so nobody can fold it
    maps = net.nodes[-1].output[0]
    rest = [net.const(part) for part in (np.zeros(4), np.zeros(4), np.ones(4))]
    source = source_of(net, net.op("BatchNormalization", maps, "scale", *rest), tmp_path)
    found = dense_baseline(source)
    assert found.caveat.startswith("The baseline is not the best possible: ONNX Runtime left BatchNormalization")
    assert "after Conv" in found.caveat


def test_dead_units_of_a_file_stay_in_its_baseline(tmp_path: Path) -> None:
    source = read_source(sample_artifacts.onnx_file(tmp_path), None)
    found = dense_baseline(source)
    held = {tensor.name: tuple(tensor.dims) for tensor in onnx.load_from_string(found.smallest).graph.initializer}
    assert held["fc1.weight"] == (64, 30)


def test_a_packed_file_is_its_own_smallest_form(tmp_path: Path) -> None:
    packed = api.export(sample_artifacts.onnx_file(tmp_path), bench=False)
    found = dense_baseline(read_source(packed.folder / "model.onnx", None))
    assert len(found.smallest) == packed.manifest.size_bytes
    again = api.export(packed.folder / "model.onnx", out=tmp_path / "again", bench=False)
    assert again.manifest.dense_size_bytes == packed.manifest.size_bytes


def test_fixed_axes_are_a_form_only_where_the_runtime_makes_something_else_of_them(tmp_path: Path) -> None:
    plain = read_source(sample_artifacts.onnx_file(tmp_path), None)
    free = dense_baseline(plain)
    assert with_fixed_axes(free, plain, {"x": (1, 64)}) == free
    net = Net(("n", 4))
    twos = net.op("ConstantOfShape", net.op("Shape", "x"), value=numpy_helper.from_array(np.array([2], np.float32)))
    source = source_of(net, net.op("Concat", "x", twos, axis=1), tmp_path)
    free = dense_baseline(source)
    fixed = with_fixed_axes(free, source, {"x": (1, 4)})
    assert fixed.forms[-1].words == FIXED
    graph = optimised(fixed.forms[-1].model)
    assert graph is not None
    assert "Shape" not in operators(graph)
    assert source.dense.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"  # the source is left alone


def test_a_ticket_and_its_dense_round_have_one_baseline(tmp_path: Path) -> None:
    folder = sample_artifacts.ticket(tmp_path / "ticket")
    pruned, dense = (dense_baseline(read_source(folder, number)) for number in (1, 0))
    assert [form.words for form in pruned.forms] == [PASSES]
    weights = [
        {t.name: t.raw_data for t in onnx.load_from_string(each.smallest).graph.initializer} for each in (pruned, dense)
    ]
    assert weights[0] == weights[1]
