"""What was not done stands on the screen with its reason, once, short, and only where the user lost something by it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import onnx
import pytest
import sample_artifacts
from click.testing import CliRunner
from test_report import content

from edgeticket import api
from edgeticket.artifact.manifest import ProofInfo, TensorInfo
from edgeticket.cli import main
from edgeticket.graph.passes.note import NO_ZEROS
from edgeticket.report.reasons import LONGEST_LETTERS, MOST_REASONS, reasons

CLAIMS_NOTHING = {"state": "claims nothing", "sentence": "claimed 0 of 3 nodes", "claimed": 0, "nodes": 3}
FULL = {"passes": (), "remarks": (), "storage_notes": (), "engine": None}


def said(manifest: dict[str, Any] | None = None, **changes: Any) -> list[tuple[str, str]]:
    """The reasons of a report that has none but what `changes` bring."""
    plain = content(**{"tensors": (), **(manifest or {})})
    return [(each.label, each.sentence) for each in reasons(dataclasses.replace(plain, **{**FULL, **changes}))]


def note(name: str, changed: int, sentence: str) -> dict[str, Any]:
    return {"pass_name": name, "changed": changed, "sentence": sentence}


def test_what_went_well_is_not_said() -> None:
    assert (
        said(
            passes=(note("remove-dead", 3, "removed 3 dead channels"),),
            engine={"state": "ran", "claimed": 3, "nodes": 3},
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"passes": (note("remove-dead", 0, "left w alone: why"),)}, ("not removed", "left w alone: why")),
        ({"passes": (note("upgrade", 0, "kept opset 9: why"),)}, ("stays dense", "kept opset 9: why")),
        ({"passes": (note("upgrade", 1, "raised opset 9 to 11"),)}, ("changed", "raised opset 9 to 11")),
        ({"passes": (note("fold-batchnorm", 0, "left b as it is"),)}, ("left alone", "left b as it is")),
        ({"remarks": ("it stays",), "storage_notes": ("it stays",)}, ("stays dense", "it stays")),
        ({"remarks": ("half the test set",)}, ("note", "half the test set")),
        ({"engine": CLAIMS_NOTHING}, ("sparse engine", "claimed 0 of 3 nodes")),
        ({"manifest": {"proof": ProofInfo("not proved", "it is random")}}, ("not proved", "it is random")),
    ],
)
def test_each_kind_has_its_line(changes: dict[str, Any], wanted: tuple[str, str]) -> None:
    assert said(**changes) == [wanted]


def test_tensors_that_stay_dense_for_one_reason_share_a_line() -> None:
    def tensor(name: str, storage: str, why: str) -> TensorInfo:
        return TensorInfo(name, (4, 4), 3, storage, "fp32", 64, why)

    tensors = tuple(tensor(name, "dense", "stored dense: it is not folded") for name in "ab")
    plain = dataclasses.replace(content(tensors=(*tensors, tensor("c", "gaps", "packed positions"))), **FULL)
    assert [(each.label, each.sentence) for each in reasons(plain)] == [("stays dense", "a, b: it is not folded")]


def test_a_tensor_that_rests_in_fewer_bytes_without_loss_is_not_said_to_stay_dense() -> None:
    bias = TensorInfo("bias", (32,), 32, "dense", "int16", 64, "exactly", "int32", lossless=True)
    assert said({"tensors": (bias,)}) == []


def test_an_engine_that_takes_few_nodes_is_said() -> None:
    few = {"state": "ran", "sentence": "claimed 1 of 163 nodes", "claimed": 1, "nodes": 163}
    wanted = "it takes 1 of 163 nodes; `edgeticket inspect` says why it leaves the others"
    assert said(engine=few) == [("sparse engine", wanted)]
    assert said(engine={**few, "claimed": 82}) == []


def test_a_dense_network_is_not_told_that_it_stays_dense() -> None:
    """Nothing is lost by it; that there are no zeros is said in a sentence of its own."""
    plain = content(tensors=())
    layers = tuple(
        dataclasses.replace(layer, nonzeros_before=layer.shape_before[0] * layer.shape_before[1])
        for layer in plain.manifest.layers
    )
    assert said(
        {"layers": layers},
        passes=(note("simplify", 0, NO_ZEROS),),
        remarks=("all rest dense",),
        storage_notes=("all rest dense",),
        engine=CLAIMS_NOTHING,
    ) == []  # fmt: skip


def test_each_is_said_once_and_never_too_much() -> None:
    many = tuple(note("remove-dead", 0, f"{number % 9}: " + "long " * 99) for number in range(18))
    found = said(passes=many)
    assert len(found) == MOST_REASONS + 1
    assert found[-1] == ("and", "3 more reasons, which report.md has")
    assert all(len(sentence) <= LONGEST_LETTERS for _, sentence in found)


@pytest.mark.parametrize(
    ("sentence", "end"),
    [("; ".join(f"{n} Conv (no kernel)" for n in range(99)), "Conv (no kernel); ..."), ("word " * 99, "word ...")],
)
def test_a_long_sentence_is_cut_between_its_parts(sentence: str, end: str) -> None:
    [(_, shown)] = said(remarks=(sentence,))
    assert len(shown) <= LONGEST_LETTERS
    assert shown.endswith(end)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A pruned model that lists one of its weights as an input, by choice: that one may not be packed."""
    model = sample_artifacts.network(sample_artifacts.weights(0, density=0.1))
    weight = model.graph.initializer[0]
    model.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    onnx.save(model, tmp_path / "old.onnx")
    return tmp_path / "old.onnx"


def test_the_command_and_the_result_say_why(old: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", str(old), "--no-bench", "--out", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    shown = done.stdout.partition("Not done, or changed, and why:\n")[2]
    assert "left alone" in shown
    assert "a caller may override them" in shown
    made = api.export(old, bench=False, out=tmp_path / "b")
    assert "a caller may override them" in repr(made)
    assert "a caller may override them" in (tmp_path / "b" / "report.md").read_text(encoding="utf-8")
