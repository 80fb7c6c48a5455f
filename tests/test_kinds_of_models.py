"""Models of other kinds than image in, numbers out: exported, proved, and checked by the artifact's own checker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeticket import api, exporter, runtime
from edgeticket.artifact import checks
from edgeticket.errors import Exit, ModelError, ProofError
from edgeticket.graph import conversion

node, port = helper.make_node, helper.make_tensor_value_info
X = port("x", TensorProto.FLOAT, ["n", 64])
Y = port("y", TensorProto.FLOAT, None)
MAPS = {
    kind: helper.make_sequence_type_proto(
        helper.make_map_type_proto(kind, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    for kind in (TensorProto.INT64, TensorProto.STRING)
}


def _weights(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape).astype(np.float32)
    array[rng.random(shape) < 0.9] = 0
    return array


def _saved(
    folder: Path,
    nodes: list[onnx.NodeProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    inputs: list[onnx.ValueInfoProto] | None = None,
) -> Path:
    weights = {"w": _weights(64, 64)} if weights is None else weights
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [X] if inputs is None else inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    return path


def _classifier(folder: Path, labels: dict[str, list[Any]]) -> Path:
    """Two layers with dead units, and what scikit-learn's converter puts behind them."""
    first = _weights(64, 50)
    first[:, 10:30] = 0
    nodes = [
        node("MatMul", ["x", "w1"], ["m1"]), node("Relu", ["m1"], ["h"]), node("MatMul", ["h", "w2"], ["m2"]),
        node("Softmax", ["m2"], ["p"]), node("ArgMax", ["m2"], ["k"], axis=1, keepdims=0),
        node("LabelEncoder", ["k"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1, 2],
             values_strings=["cat", "dögs", "é"], default_string="other"),
        node("ZipMap", ["p"], ["probability"], domain="ai.onnx.ml", **labels),
    ]  # fmt: skip
    kind = MAPS[TensorProto.STRING if "classlabels_strings" in labels else TensorProto.INT64]
    outputs = [port("label", TensorProto.STRING, ["n"]), helper.make_value_info("probability", kind)]
    return _saved(folder, nodes, outputs, {"w1": first, "w2": _weights(50, 10, seed=1)})


def _export(path: Path) -> exporter.Exported:
    made = api.export(path, bench=False)
    assert made.exit_code == Exit.YES, made.manifest.proof.reason
    assert {check.verdict for check in api.check(made.folder).checks} == {"pass"}
    return made


@pytest.mark.parametrize(
    "labels", [{"classlabels_int64s": list(range(10))}, {"classlabels_strings": [f"c{i}" for i in range(10)]}]
)
def test_a_classifier_with_names_and_maps(tmp_path: Path, labels: dict[str, list[Any]]) -> None:
    made = _export(_classifier(tmp_path, labels))
    manifest = made.manifest
    assert manifest.layers[0].shape_after[1] <= 30, "20 units were dead"
    assert manifest.proof.max_abs_delta is not None, "the numbers in the maps are compared as numbers"
    assert manifest.golden.outputs == ("label", "probability", "probability (structure)")
    kind = "int64" if "classlabels_int64s" in labels else "string"
    assert [(each.name, each.dtype) for each in manifest.outputs] == [
        ("label", "str"), ("probability", f"seq(map({kind},tensor(float)))"),
    ]  # fmt: skip
    feed = next(checks.golden_feeds(checks.open_artifact(made.folder)))[0]
    paths = (tmp_path / "model.onnx", made.folder / "model.onnx")
    before, after = (runtime.run(runtime.cpu_session(path), feed) for path in paths)
    assert [list(each) for each in before["probability"]] == [list(each) for each in after["probability"]]
    assert before["label"].tolist() == after["label"].tolist()


def test_a_device_checks_it_with_numpy_and_the_runtime_alone(tmp_path: Path) -> None:
    made = _export(_classifier(tmp_path, {"classlabels_int64s": list(range(10))}))
    command = [sys.executable, "-I", str(made.folder / "check.py"), "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_a_number_inside_a_map_that_moved_is_refuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _classifier(tmp_path, {"classlabels_int64s": list(range(10))})
    honest = conversion.simplify

    def dishonest(model: onnx.ModelProto, **options: Any) -> Any:
        found = honest(model, **options)
        for tensor in found.model.graph.initializer:
            if tensor.name == "w2":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), "w2"))
        return replace(found, origins=None)  # the weight itself would be refuted before its output is looked at

    monkeypatch.setattr(conversion, "simplify", dishonest)
    with pytest.raises(ProofError, match=r"probability.* moved by"):
        api.export(path, bench=False)


def test_another_key_is_found_by_the_checker(tmp_path: Path) -> None:
    made = _export(_classifier(tmp_path, {"classlabels_int64s": list(range(10))}))
    opened = checks.open_artifact(made.folder)
    model = onnx.ModelProto.FromString(opened.files[checks.MODEL])
    [zipped] = [each for each in model.graph.node if each.op_type == "ZipMap"]
    zipped.attribute[0].ints[3] = 33
    found = checks.check_golden(opened, checks.session(model.SerializeToString(), 1))
    assert found.verdict == "fail"


def test_texts_go_in(tmp_path: Path) -> None:
    words = [f"w{index}" for index in range(64)]
    nodes = [
        node("TfIdfVectorizer", ["s"], ["v"], max_gram_length=1, min_gram_length=1, max_skip_count=0, mode="TF",
             ngram_counts=[0], ngram_indexes=list(range(64)), pool_strings=words),
        node("MatMul", ["v", "w"], ["y"]),
    ]  # fmt: skip
    made = _export(_saved(tmp_path, nodes, [Y], inputs=[port("s", TensorProto.STRING, ["n", 200])]))
    assert made.manifest.inputs[0].dtype == "str"
    with np.load(made.folder / "golden.npz", allow_pickle=False) as arrays:
        assert np.isin(words, arrays["0.input.0"]).mean() > 0.9, "drawn from the model's own words"
        assert arrays["0.output.0"].any()


def _unsorted(folder: Path) -> Path:
    return _saved(folder, [node("Relu", ["t"], ["y"]), node("MatMul", ["x", "w"], ["t"])], [Y])


def _weight_given_out(folder: Path) -> Path:
    out = port("w", TensorProto.FLOAT, [64, 64])
    return _saved(folder, [node("MatMul", ["x", "w"], ["y"])], [Y, out, out])


def _input_given_out(folder: Path) -> Path:
    return _saved(folder, [node("MatMul", ["x", "w"], ["y"])], [X, Y])


def _outputs_without_type(folder: Path) -> Path:
    return _saved(folder, [node("MatMul", ["x", "w"], ["y"])], [onnx.ValueInfoProto(name="y")])


def _no_input(folder: Path) -> Path:
    return _saved(folder, [node("MatMul", ["w", "w"], ["y"])], [Y], inputs=[])


def _one_number(folder: Path) -> Path:
    return _saved(folder, [node("Mul", ["s", "w"], ["y"])], [Y], inputs=[port("s", TensorProto.FLOAT, [])])


def _unknown_rank(folder: Path) -> Path:
    return _saved(folder, [node("MatMul", ["x", "w"], ["y"])], [Y], inputs=[port("x", TensorProto.FLOAT, None)])


def _sequence_out(folder: Path) -> Path:
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("SplitToSequence", ["t"], ["y"], axis=1)]
    return _saved(folder, nodes, [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)])


def _empty_optional(folder: Path) -> Path:
    inside = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4])
    nodes = [node("Optional", [], ["o"], type=inside), node("MatMul", ["x", "w"], ["y"])]
    return _saved(folder, nodes, [Y, helper.make_value_info("o", helper.make_optional_type_proto(inside))])


def _tied_to_a_dead_layer(folder: Path) -> Path:
    """A table that is looked up, and multiplied by in a branch whose every weight is zero."""
    weights = {"table": _weights(64, 64), "dead": np.zeros((64, 8), np.float32)}
    nodes = [
        node("MatMul", ["x", "table"], ["a"]), node("MatMul", ["a", "dead"], ["b"]),
        node("ArgMax", ["x"], ["i"], axis=1, keepdims=0), node("Gather", ["table", "i"], ["y"]),
        node("ReduceSum", ["b"], ["z"], keepdims=0),
    ]  # fmt: skip
    return _saved(folder, nodes, [Y, port("z", TensorProto.FLOAT, [])], weights)


@pytest.mark.parametrize(
    "made_by",
    [_unsorted, _weight_given_out, _input_given_out, _outputs_without_type, _no_input, _one_number, _unknown_rank,
     _sequence_out, _empty_optional, _tied_to_a_dead_layer],
)  # fmt: skip
def test_odd_but_legal_graphs_are_proved(tmp_path: Path, made_by: Callable[[Path], Path]) -> None:
    _export(made_by(tmp_path))


def test_a_weight_that_is_an_output_is_packed(tmp_path: Path) -> None:
    made = _export(_weight_given_out(tmp_path))
    assert made.manifest.golden.outputs == ("y", "w")
    assert made.manifest.size_bytes < made.manifest.dense_size_bytes / 4


@pytest.mark.parametrize("what", ["sequence", "map"])
def test_inputs_that_are_not_made_up_are_said_and_nothing_is_claimed(tmp_path: Path, what: str) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    if what == "map":
        kind = helper.make_map_type_proto(TensorProto.STRING, tensor)
        first = node("DictVectorizer", ["q"], ["t"], domain="ai.onnx.ml", string_vocabulary=[str(i) for i in range(64)])
    else:
        kind = helper.make_sequence_type_proto(tensor)
        first = node("ConcatFromSequence", ["q"], ["t"], axis=0)
    path = _saved(tmp_path, [first, node("MatMul", ["t", "w"], ["y"])], [Y], inputs=[helper.make_value_info("q", kind)])
    made = api.export(path, bench=False)
    assert made.exit_code == Exit.INCONCLUSIVE
    assert "'q' is " in made.manifest.proof.reason


def test_a_broken_layer_is_a_sentence(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["t"]), node("Flatten", [""], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    with pytest.raises(ModelError, match=r"no valid ONNX model: .*empty") as caught:
        api.export(_saved(tmp_path, nodes, [Y]), bench=False)
    assert caught.value.exit_code == Exit.USAGE
    assert str(caught.value).startswith(f"{tmp_path / 'model.onnx'}: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(("opset", "ir_version"), [(99, 9), (18, 99)])
def test_a_model_of_tomorrow_is_a_sentence(tmp_path: Path, opset: int, ir_version: int) -> None:
    path = _unsorted(tmp_path)
    model = onnx.load(path)
    model.opset_import[0].version, model.ir_version = opset, ir_version
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"Install a newer onnx, or export with an older opset"):
        api.export(path, bench=False)


def test_an_input_without_a_type_is_a_sentence(tmp_path: Path) -> None:
    """onnx's shape inference would end the process on it."""
    vector = node("DictVectorizer", ["q"], ["t"], domain="ai.onnx.ml", string_vocabulary=["a"])
    path = _saved(tmp_path, [vector, node("Neg", ["t"], ["y"])], [Y], inputs=[onnx.ValueInfoProto(name="q")])
    with pytest.raises(ModelError, match="the input 'q' has no type"):
        api.export(path, bench=False)
