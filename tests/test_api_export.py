"""From a ticket or an ONNX file to an artifact: what is written, what is refused, and that nothing is half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sample_artifacts
from engine_library import needs_library
from onnx import numpy_helper

from edgeticket import api, exporter, text
from edgeticket.artifact import checks
from edgeticket.artifact.manifest import TicketSource
from edgeticket.errors import Exit, FolderError, InputError, IntegrityError, ModelError, ProofError
from edgeticket.graph import conversion, evaluate
from edgeticket.graph.proving import proof, reference
from edgeticket.graph.storing import storage
from edgeticket.report import view
from edgeticket.ticket.metrics import METRICS
from edgeticket.version import __version__


def export(source: Path, **options: Any) -> exporter.Exported:
    return api.export(source, bench=False, **options)


@pytest.fixture(scope="module")
def small_ticket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ticket, never changed."""
    return sample_artifacts.ticket(tmp_path_factory.mktemp("run") / "ticket")


def test_a_ticket_becomes_an_artifact_inside_its_folder(tmp_path: Path) -> None:
    folder = sample_artifacts.ticket(tmp_path / "ticket")
    made = export(folder)
    assert made.folder == folder / "artifact"
    assert made.exit_code == Exit.YES
    manifest = made.manifest
    assert isinstance(manifest.source, TicketSource)
    assert manifest.source.round == 1
    assert manifest.proof.verdict == "proved"
    assert manifest.proof.samples == 700
    assert manifest.metric is not None
    assert 90 < manifest.metric.whole_value < 100
    assert manifest.size_bytes == (made.folder / "model.onnx").stat().st_size < manifest.dense_size_bytes
    assert api.check(folder).exit_code == 0


def test_the_slice_rests_as_bytes_where_that_is_exact(small_ticket: Path, tmp_path: Path) -> None:
    made = export(small_ticket, out=tmp_path / "a")
    with np.load(made.folder / "slice.npz") as arrays:
        assert arrays["inputs"].dtype == np.uint8
        assert len(arrays["inputs"]) == len(arrays["targets"]) == 500


def test_an_onnx_file_becomes_an_artifact_beside_it(tmp_path: Path) -> None:
    made = export(sample_artifacts.onnx_file(tmp_path))
    assert made.folder == tmp_path / "small-artifact"
    assert made.manifest.metric is None
    assert not (made.folder / "slice.npz").exists()
    used = sample_artifacts.weights(0, 0.2, dead=5)
    alive = int(np.sum(used["fc1.weight"].any(axis=0) & used["fc2.weight"].any(axis=1)))
    assert made.content.weights_held == (30 * (64 + 10), alive * (64 + 10))
    assert api.check(made.folder).exit_code == 0


@pytest.mark.parametrize("storage", ["dense", "gaps", "sparse-initializer"])
@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
def test_every_way_to_rest_is_checked_true(small_ticket: Path, tmp_path: Path, storage: str, weights: str) -> None:
    made = export(small_ticket, out=tmp_path / "a", storage=storage, weights=weights)
    assert made.manifest.proof.verdict == ("proved" if weights == "fp32" else "measured")
    assert {check.verdict for check in api.check(made.folder).checks} == {"pass"}


def test_the_same_ticket_gives_the_same_model(tmp_path: Path) -> None:
    models = []
    for name in ("one", "two"):
        folder = sample_artifacts.ticket(tmp_path / name)
        models.append((export(folder).folder / "model.onnx").read_bytes())
    assert models[0] == models[1]


def test_the_same_model_in_another_process(small_ticket: Path, tmp_path: Path) -> None:
    here = export(small_ticket, out=tmp_path / "here")
    script = "import sys; from edgeticket import api; api.export(sys.argv[1], out=sys.argv[2], bench=False)"
    subprocess.run([sys.executable, "-c", script, str(small_ticket), str(tmp_path / "there")], check=True)
    assert (here.folder / "model.onnx").read_bytes() == (tmp_path / "there" / "model.onnx").read_bytes()


def test_provenance_is_one_short_line_without_dates_and_paths(small_ticket: Path, tmp_path: Path) -> None:
    made = export(small_ticket, out=tmp_path / "a")
    entries = {entry.key: entry.value for entry in onnx.load(made.folder / "model.onnx").metadata_props}
    assert entries["edgeticket"].split()[:4] == [__version__, "small", "round", "1"]
    assert len(entries["edgeticket"]) < 70
    assert str(tmp_path) not in (made.folder / "model.onnx").read_bytes().decode("latin-1")


def test_a_run_gives_its_best_trial(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for seed, metric in ((0, 97.0), (1, 99.0), (2, 98.0)):
        sample_artifacts.ticket(run / f"trial-{seed}", seed, metric=metric)
    made = export(run)
    assert made.folder == run / "artifact"
    assert isinstance(made.manifest.source, TicketSource)
    assert made.manifest.source.trial == "trial-1"
    assert api.check(run).exit_code == 0


def test_another_round(small_ticket: Path, tmp_path: Path) -> None:
    made = export(small_ticket, out=tmp_path / "a", round=0)
    assert isinstance(made.manifest.source, TicketSource)
    assert made.manifest.source.density == 1


def test_no_ticket_names_the_way_out(tmp_path: Path) -> None:
    folder = sample_artifacts.ticket(tmp_path / "ticket", chosen=None)
    with pytest.raises(InputError, match="--round"):
        export(folder)
    assert not (folder / "artifact").exists()


def test_a_metric_of_the_users_own_is_not_invented(tmp_path: Path) -> None:
    made = export(sample_artifacts.ticket(tmp_path / "ticket", builtin=False), weights="int8")
    assert made.manifest.metric is not None
    assert made.manifest.metric.slice_value is None
    accuracy = next(check for check in api.check(made.folder).checks if check.name == "accuracy")
    assert accuracy.verdict == "pass"
    assert "'f1' is the task's own and was measured in find only" in accuracy.sentence


def test_an_output_that_moves_too_far_writes_nothing(
    small_ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = storage.store

    def dishonest(model: onnx.ModelProto, **options: Any) -> Any:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        for tensor in changed.graph.initializer:
            if tensor.name == "fc2.bias":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(1e-2), tensor.name))
        return honest(changed, **options)

    monkeypatch.setattr(storage, "store", dishonest)
    with pytest.raises(ProofError, match=r"'fc2.bias' differs from the planned one in 10 of 10 numbers"):
        export(small_ticket, out=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_unknown_operators_pass_through_as_not_proved(tmp_path: Path) -> None:
    made = export(sample_artifacts.onnx_file(tmp_path, domain="com.example"))
    assert made.exit_code == Exit.INCONCLUSIVE
    assert made.manifest.unproved
    assert not (made.folder / "golden.npz").exists()
    assert api.check(made.folder).exit_code == 3
    assert "not proved" in (made.folder / "report.md").read_text()
    assert [node.domain for node in onnx.load(made.folder / "model.onnx").graph.node if node.op_type == "Relu"] == [
        "com.example"
    ]


def test_an_earlier_artifact_is_replaced(small_ticket: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    export(small_ticket, out=out)
    export(sample_artifacts.onnx_file(tmp_path), out=out)
    assert not (out / "slice.npz").exists()
    assert api.check(out).exit_code == 0


def test_a_foreign_folder_is_refused_before_any_work(
    small_ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "proof", None)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FolderError, match="something else"):
        export(small_ticket, out=tmp_path)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"storage": "zip"}, "storage"),
        ({"weights": "int2"}, "weights"),
        ({"budget_ms": 0.0}, "budget"),
        ({"budget_ms": float("inf")}, "budget_ms inf"),
        ({"budget_ms": 1.0, "budget_threads": 0}, "budget_threads 0: give 1 to 1,024"),
    ],
)
def test_an_unknown_option_is_refused(small_ticket: Path, tmp_path: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        export(small_ticket, out=tmp_path / "a", **options)


def test_what_cannot_be_a_source_is_refused(small_ticket: Path, tmp_path: Path) -> None:
    artifact = export(small_ticket, out=tmp_path / "a").folder
    with pytest.raises(FolderError, match="is an artifact already"):
        export(artifact)
    with pytest.raises(InputError, match="there is nothing"):
        export(tmp_path / "nowhere")
    with pytest.raises(InputError, match="--round"):
        export(sample_artifacts.onnx_file(tmp_path), round=3)
    (tmp_path / "noise.onnx").write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match=r"noise\.onnx"):
        export(tmp_path / "noise.onnx")


def test_a_changed_bit_in_a_ticket_is_an_integrity_error(small_ticket: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_ticket, tmp_path / "t"))
    path = folder / "rounds" / "01" / "mask.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"mask\.safetensors"):
        export(folder)
    assert not (folder / "artifact").exists()


def test_shapes_for_free_axes_are_used(tmp_path: Path) -> None:
    made = export(sample_artifacts.onnx_file(tmp_path), input_shapes={"x": (4, 64)})
    with np.load(made.folder / "golden.npz") as arrays:
        assert arrays["0.input.0"].shape == (4, 64)
    with pytest.raises(InputError, match="no input 'z'"):
        export(sample_artifacts.onnx_file(tmp_path), input_shapes={"z": (4, 64)})


def test_a_ticket_brings_its_own_inputs(small_ticket: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--input-shape is for an ONNX file"):
        export(small_ticket, out=tmp_path / "a", input_shapes={"x": (4, 64)})
    assert list(tmp_path.iterdir()) == []


def test_the_model_inside_an_artifact_is_exported_beside_it_only(tmp_path: Path) -> None:
    first = export(sample_artifacts.onnx_file(tmp_path)).folder
    for out in (None, first / "again" / "deeper"):
        with pytest.raises(FolderError, match=r"lies inside the artifact .*choose another --out"):
            export(first / "model.onnx", out=out)
    assert api.check(first).exit_code == 0
    assert export(first / "model.onnx", out=tmp_path / "again").exit_code == Exit.YES


def test_a_value_listed_twice_is_one_golden_output(tmp_path: Path) -> None:
    model = sample_artifacts.network(sample_artifacts.weights(0, 0.2))
    model.graph.output.append(model.graph.output[0])
    onnx.save(model, tmp_path / "twice.onnx")
    made = export(tmp_path / "twice.onnx")
    assert made.manifest.golden.outputs == ("y",)
    assert api.check(made.folder).exit_code == 0


def test_a_weight_without_elements_is_exported(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
    ports = [onnx.helper.make_tensor_value_info(n, 1, ["n", size]) for n, size in (("x", 0), ("y", 5))]
    weight = numpy_helper.from_array(np.zeros((0, 5), np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "empty", ports[:1], ports[1:], [weight])
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "empty.onnx")
    assert export(tmp_path / "empty.onnx").exit_code == Exit.YES


def test_what_the_system_refuses_is_a_sentence(small_ticket: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="File name too long; give another path"):
        export(small_ticket, out=tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="File name too long"):
        api.check("x" * 300)


def test_a_full_disk_leaves_nothing_behind(small_ticket: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    script = (
        "import resource, sys\n"
        "from edgeticket import api, exporter\n"
        "from edgeticket.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12000, 12000))\n"
        "try:\n"
        "    api.export(sys.argv[1], out=sys.argv[2], bench=False)\n"
        "except StorageError as error:\n"
        "    print(error, int(error.exit_code))\n"
    )
    command = [sys.executable, "-c", script, str(small_ticket), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert done.stdout.endswith(" 2\n")
    assert list(tmp_path.iterdir()) == []


def test_the_report_measures_both_models(tmp_path: Path) -> None:
    made = api.export(sample_artifacts.onnx_file(tmp_path), budget_ms=1e6, budget_host="this", budget_threads=1)
    document = json.loads((made.folder / "report.json").read_text())
    assert {(m["what"], m["model"]) for m in document["measurements"]} == {
        (what, model)
        for what in ("latency", "load", "first-inference", "peak-memory")
        for model in ("dense", "exported")
    }
    assert document["failures"] == []
    assert api.check(made.folder).exit_code == 0


def test_a_dense_ticket_gains_nothing_in_any_line(tmp_path: Path) -> None:
    """At a density of 100 % every figure of the exported file is the baseline's: nothing is shown as a gain."""
    made = api.export(sample_artifacts.ticket(tmp_path / "ticket"), round=0)
    content = made.content
    assert made.manifest.size_bytes == made.manifest.dense_size_bytes
    for ending in ("", ".gz"):
        assert len({content.sizes[name + ending] for name in ("original", "masked", "dense", "exported")}) == 1
    for what in ("latency", "load", "first-inference", "peak-memory"):
        dense, here = content.measured(what, "dense"), content.measured(what, "exported")
        assert dense is not None
        assert here is not None
        assert dense.samples == here.samples
    cards = {card.label: card for card in view.cards(content)}
    assert cards["Model file"].value == "same size"
    assert "in gzip" in cards["Model file"].detail
    dense_ms = content.measured("latency", "dense")
    assert dense_ms is not None
    shown = text.latency(dense_ms.median)
    assert cards["Latency, one thread"].value == shown
    once = "1.00 times as fast: it is the same file, measured once"
    assert cards["Latency, one thread"].detail.startswith(f"dense {shown}: {once}")
    if "Sparse engine" in cards and content.measured("latency", "exported", provider="sparse"):
        assert "times as fast as dense on the CPU provider;" in cards["Sparse engine"].detail
    sections = {section.title: section for section in view.sections(content)}
    assert sections["Size"].table is not None
    beside = {row[0]: row[2] for row in sections["Size"].table.rows}
    assert {beside[name] for name in ("pruned, stored densely", "stored densely", "sparse initializer")} == {
        "same size"
    }
    loading = sections["Loading and memory"].table
    assert loading is not None
    rows = {row[0]: row[1:] for row in loading.rows}
    assert rows["dense"] == rows["exported"]


@pytest.mark.parametrize("command", ["export", "check"])
def test_torch_is_never_imported(small_ticket: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "a"
    if command == "check":
        export(small_ticket, out=out)
    call = "api.export(sys.argv[1], out=sys.argv[2], bench=False)" if command == "export" else "api.check(sys.argv[2])"
    script = f"import sys; sys.modules['torch'] = None; from edgeticket import api; {call}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(small_ticket), str(out)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    if command == "check":  # a device has the base install only
        assert not loaded & {"onnx", "onnx_ir", "matplotlib", "jinja2", "safetensors", "msgspec"}


def test_rounded_weights_do_not_excuse_the_graph(
    small_ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = conversion.simplify

    def dishonest(model: onnx.ModelProto, **options: Any) -> Any:
        found = honest(model, **options)
        for tensor in found.model.graph.initializer:
            if tensor.name == "fc2.bias":  # a bias: the plan has nothing to say of it
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(1e-3), tensor.name))
        return found

    monkeypatch.setattr(conversion, "simplify", dishonest)
    for source in (small_ticket, sample_artifacts.onnx_file(tmp_path)):
        for weights in ("int8", "fp16"):
            with pytest.raises(ProofError, match=r"moved by 0\.001|'fc2.bias' is not the rounding"):
                export(source, out=tmp_path / "a", weights=weights)
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.onnx"]


def test_the_proof_of_a_rounded_file_says_both(small_ticket: Path, tmp_path: Path) -> None:
    told = export(small_ticket, out=tmp_path / "a", weights="int8").manifest.proof
    assert (told.verdict, told.tolerance) == ("measured", None)
    assert told.graph is not None
    assert told.graph.verdict == "proved"
    assert told.graph.samples == told.samples == 700
    assert told.graph.delta is not None
    assert told.graph.tolerance is not None
    assert told.max_abs_delta is not None
    assert 0 <= told.graph.delta <= told.graph.tolerance < told.max_abs_delta
    assert "removal and folding were proved with the values in fp32" in told.reason
    assert told.reason in json.loads((tmp_path / "a" / "report.json").read_text())["manifest"]["proof"]["reason"]
    assert export(small_ticket, out=tmp_path / "a").manifest.proof.graph is None


def _choosing(folder: Path) -> Path:
    """Which of many products is the largest: over denormal inputs, another one where they are flushed to zero."""
    proto = sample_artifacts.network(sample_artifacts.weights(0, 0.2, dead=5))
    for tensor in proto.graph.initializer:
        if tensor.name.endswith("bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    proto.graph.node.append(onnx.helper.make_node("ArgMax", ["y"], ["k"], axis=1))
    proto.graph.output.append(onnx.helper.make_tensor_value_info("k", onnx.TensorProto.INT64, ["n", 1]))
    onnx.save(proto, folder / "choosing.onnx")
    return folder / "choosing.onnx"


@pytest.mark.parametrize("weights", ["fp32", "int8"])
def test_a_network_that_chooses_is_checked_true_in_the_same_process(tmp_path: Path, weights: str) -> None:
    made = export(_choosing(tmp_path), weights=weights)
    assert made.manifest.proof.discrete > 0
    assert {check.verdict for check in api.check(made.folder).checks} == {"pass"}


def test_the_float64_reference_keeps_to_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST_MACS", 1000)
    monkeypatch.setattr(reference, "evaluate", None)
    made = export(sample_artifacts.onnx_file(tmp_path))
    assert "too large for a float64 reference" in made.manifest.proof.reason
    assert api.check(made.folder).exit_code == 0


def test_outputs_without_a_finite_number_are_not_proved(tmp_path: Path) -> None:
    parameters = sample_artifacts.weights(0, 0.2)
    parameters["fc2.bias"][:] = np.nan
    onnx.save(sample_artifacts.network(parameters), tmp_path / "nan.onnx")
    made = export(tmp_path / "nan.onnx")
    assert made.exit_code == Exit.INCONCLUSIVE
    assert "NaN or infinite" in made.manifest.proof.reason


@pytest.mark.parametrize("builtin", [True, False])
def test_a_metric_that_is_not_finite_is_told_and_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builtin: bool
) -> None:
    folder = sample_artifacts.ticket(tmp_path / "ticket", builtin=builtin)
    if builtin:
        monkeypatch.setitem(METRICS, "accuracy", replace(METRICS["accuracy"], function=lambda *_: np.nan))
    else:
        monkeypatch.setattr(checks, "max_delta", lambda *_: np.inf)
    made = export(folder)
    monkeypatch.undo()
    assert made.manifest.slice is None
    assert not (made.folder / "slice.npz").exists()
    assert made.manifest.metric is not None
    assert made.manifest.metric.whole_value is None
    assert [score.network for score in made.content.scores if score.network == "exported file"] == []
    assert "no slice of the test set is shipped" in (made.folder / "report.md").read_text()
    assert api.check(made.folder).exit_code == 0


def test_a_weight_too_large_to_rebuild_is_told(
    small_ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "MAX_ELEMENTS", 400)
    made = export(small_ticket, out=tmp_path / "a")
    assert made.manifest.proof.verdict == "proved"
    assert any("Too large to be rebuilt" in remark and "fc1.weight" in remark for remark in made.content.remarks)


def test_fix_shape_writes_the_shapes_into_the_artifact(tmp_path: Path) -> None:
    source = sample_artifacts.onnx_file(tmp_path)
    width = onnx.load(source).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    tried = export(source, out=tmp_path / "free", input_shapes={"x": (3, width)})
    assert tried.manifest.inputs[0].shape[0] is None
    made = export(source, out=tmp_path / "fixed", input_shapes={"x": (3, width)}, fix_shape=True)
    assert [port.shape[0] for port in (*made.manifest.inputs, *made.manifest.outputs)] == [3, 3]
    ports = onnx.load(made.folder / "model.onnx").graph
    assert [value.type.tensor_type.shape.dim[0].dim_value for value in (*ports.input, *ports.output)] == [3, 3]
    assert api.check(made.folder).exit_code == 0
    with pytest.raises(InputError, match="--fix-shape writes the shapes of --input-shape"):
        export(source, out=tmp_path / "none", fix_shape=True)
    with pytest.raises(InputError, match="axis 1 would be 1"):
        export(source, out=tmp_path / "none", input_shapes={"x": (3, 1)}, fix_shape=True)


@needs_library
def test_an_engine_that_open_sizes_keep_away_is_let_in_by_fixed_ones(tmp_path: Path) -> None:
    """The plugin's own reason is recognised, and the way out that is named works."""
    weight = numpy_helper.from_array(np.eye(64, dtype=np.float32).reshape(64, 64, 1, 1), "w")
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64, "h", "w2"]) for name in ("x", "y")
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"])], "maps", ports[:1], ports[1:], [weight]
    )
    source = tmp_path / "maps.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), source)
    shapes = {"x": (1, 64, 24, 24)}
    free = export(source, out=tmp_path / "free", input_shapes=shapes)
    assert free.content.engine is not None
    assert free.content.engine["state"] == "claims nothing"
    assert "export with --input-shape and --fix-shape" in str(free)
    fixed = export(source, out=tmp_path / "fixed", input_shapes=shapes, fix_shape=True)
    assert "--fix-shape" not in str(fixed)


def test_given_shapes_that_do_not_run_are_named(tmp_path: Path) -> None:
    """Every axis is open, so that only running the model tells that 5 columns are none of its layers'."""
    model = onnx.load(sample_artifacts.onnx_file(tmp_path))
    for axis, dim in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        dim.dim_param = f"a{axis}"
    onnx.save(model, tmp_path / "open.onnx")
    made = export(tmp_path / "open.onnx", out=tmp_path / "a", input_shapes={"x": (2, 5)})
    assert made.manifest.proof.reason.startswith("the model does not run with the shapes given, x=2x5")
