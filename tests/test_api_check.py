"""`check` from Python: an artifact alone or a comparison, by what is given; paths as text, as paths or as results."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import sample_artifacts

import edgeticket
from edgeticket import api
from edgeticket.arguments import path_of, paths_of, several
from edgeticket.artifact.checks import Outcome
from edgeticket.benchmark.bench import Bench
from edgeticket.benchmark.request import BenchRequest
from edgeticket.cli import main
from edgeticket.errors import FolderError, InputError
from edgeticket.gate import run
from edgeticket.gate.comparison import Comparison
from edgeticket.gate.request import ComparisonRequest
from edgeticket.lottery import api as lottery


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ComparisonRequest]:
    """The comparisons that were asked for; none is measured."""
    found: list[ComparisonRequest] = []

    def check(request: ComparisonRequest, _watch: object) -> Comparison:
        found.append(request)
        return Comparison("small", {}, None, {}, (), (), ("a <remark>",), 1.0, 0)

    monkeypatch.setattr(run, "check", check)
    return found


def test_an_artifact_alone_is_checked_itself(artifact: Path) -> None:
    outcome = edgeticket.check(str(artifact))
    assert isinstance(outcome, Outcome)
    assert repr(outcome).splitlines()[0].split()[:2] == ["hashes", "pass"]
    assert "<td>golden</td><td>pass</td>" in outcome._repr_html_()
    assert [each.name for each in edgeticket.check(artifact, engine=True, threads=1).checks][-1] == "engine"


def test_what_an_outcome_shows_in_a_notebook_is_escaped(tmp_path: Path) -> None:
    outcome = Outcome("<folder>", {}, ())
    assert "&lt;folder&gt;: pass" in outcome._repr_html_()


def test_with_a_baseline_or_a_budget_it_is_a_comparison(artifact: Path, asked: list[ComparisonRequest]) -> None:
    report = edgeticket.check(artifact, baseline="old.onnx", max_latency=0.1, threads=1, providers="sparse")
    assert isinstance(report, Comparison)
    assert "a <remark>" in repr(report)
    assert "a &lt;remark&gt;" in report._repr_html_()
    edgeticket.check(artifact, "old.onnx")
    edgeticket.check(artifact, budget_ms=2.0)
    assert [(each.baseline, each.max_latency, each.budget_ms) for each in asked] == [
        ("old.onnx", 0.1, None),
        ("old.onnx", 0.05, None),
        (None, 0.05, 2.0),
    ]
    assert (asked[0].provider_names, asked[0].thread_counts) == (("sparse",), (1,))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"max_latency": 0.1}, "max_latency: these are for a comparison; give baseline="),
        ({"threads": (1, 2)}, "several numbers of threads: these are for a comparison"),
        ({"baseline": "b.onnx", "engine": True}, "engine=True is for an artifact alone"),
        ({"baseline": "b.onnx", "threads": 4096}, "--threads 4096: this process may use"),
        ({"baseline": "b.onnx", "budget_host": "typo"}, "'typo': give any, this, or the fingerprint"),
    ],
)
def test_what_has_no_effect_is_refused(artifact: Path, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        edgeticket.check(artifact, **given)  # type: ignore[call-overload]
    assert sentence in str(error.value)


def test_a_result_stands_for_its_folder(artifact: Path, tmp_path: Path) -> None:
    found = lottery.Found(sample_artifacts.ticket(tmp_path / "run" / "trial-0").parent, ())
    exported = edgeticket.export(found, bench=False, out=str(tmp_path / "out"))
    assert exported.folder == tmp_path / "out"
    assert edgeticket.check(exported).exit_code == 0
    assert repr(exported).splitlines()[0] == f"small: {tmp_path / 'out'}"
    assert f"report: {tmp_path / 'out' / 'report.html'}" in exported._repr_html_()
    assert path_of(exported) == tmp_path / "out"
    assert paths_of(["a", Path("b"), exported]) == (Path("a"), Path("b"), tmp_path / "out")
    assert paths_of(exported) == (tmp_path / "out",)
    with pytest.raises(InputError, match="an empty text is no path"):
        edgeticket.export("")


def test_one_value_or_several() -> None:
    assert several("cpu") == ("cpu",)
    assert several(["cpu", "sparse"]) == ("cpu", "sparse")
    assert several(2) == (2,)
    assert BenchRequest("a.onnx").paths == (Path("a.onnx"),)
    assert BenchRequest(["a.onnx", Path("b")]).paths == (Path("a.onnx"), Path("b"))
    with pytest.raises(InputError, match="give a model at least"):
        BenchRequest([])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"threads": 0}, "--threads 0: give 1 or more"),
        ({"threads": 4096}, "--threads 4096: this process may use"),
        ({"threads": ()}, "need one value at least"),
        ({"providers": ()}, "need one value at least"),
        ({"seconds": -1.0}, "seconds -1: give a number above 0"),
        ({"seconds": float("nan")}, "seconds nan: give a number above 0"),
        ({"seconds": 1e20}, r"seconds 1e\+20: give seconds, above 0 and up to 31,536,000"),
        ({"seed": "a"}, "seed 'a': give a whole number"),
        ({"input_shapes": {"x": 64}}, "input_shapes 'x': 64 is no shape"),
    ],
)
def test_a_bench_without_meaning_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        BenchRequest("a.onnx", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, 3, b"model.onnx", ["a"]])
def test_what_is_no_place_is_refused_in_a_sentence(given: object) -> None:
    for asked in (edgeticket.check, edgeticket.export, edgeticket.inspect):
        with pytest.raises(InputError, match="give a path, as text or as a Path, or a result"):
            asked(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"baseline": "b.onnx"}])
def test_a_misspelt_argument_is_a_type_error_that_names_the_nearest(artifact: Path, given: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=re.escape("check() has no argument 'basline'; did you mean 'baseline'?")):
        edgeticket.check(artifact, basline="b.onnx", **given)  # type: ignore[call-overload]


def test_an_argument_like_no_other_is_told_which_there_are() -> None:
    with pytest.raises(TypeError, match=re.escape("bench() has no argument 'zoom'; it takes models, providers, ")):
        edgeticket.bench("a.onnx", zoom=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'rounds'"):
        edgeticket.find(rouns=1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("threads", "sentence"),
    [
        (0, "--threads 0: give 1 or more"),
        (-1, "--threads -1: give 1 or more"),
        ("2", "--threads '2': give a whole number"),
        (4096, "--threads 4096: this process may use"),
        (10**20, "this process may use"),
    ],
)
def test_threads_without_meaning_are_refused_and_no_verdict(artifact: Path, threads: int, sentence: str) -> None:
    for asked in (edgeticket.check, edgeticket.inspect):
        with pytest.raises(InputError, match=sentence):
            asked(artifact, threads=threads)


def test_what_is_no_artifact_is_told_what_it_is(model: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"small\.onnx: a file, and an artifact is a folder; `edgeticket export`"):
        edgeticket.check(model)
    with pytest.raises(FolderError, match="nowhere: no such file or folder"):
        edgeticket.check(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="no artifact here"):
        edgeticket.check(tmp_path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"seconds": float("nan")}, "seconds nan"),
        ({"seconds": float("inf")}, "seconds inf"),
        ({"process_s": float("nan")}, "process_s nan"),
        ({"process_s": 1e20}, "process_s 1e.20"),
        ({"seed": 0.5}, "seed 0.5: give a whole number"),
    ],
)
def test_a_selftest_without_meaning_is_refused(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        api.selftest(None, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"round": -1}, "round -1: give 0 or more"),
        ({"round": "best"}, "round 'best': give a whole number"),
        ({"budget_ms": float("nan")}, "budget_ms nan"),
        ({"budget_ms": "1"}, "budget_ms '1': give a number above 0"),
        ({"budget_ms": 1.0, "budget_threads": 0}, "budget_threads 0: give 1 to 1,024"),
        ({"budget_ms": 1.0, "budget_threads": 10**20}, "give 1 to 1,024"),
        ({"budget_ms": 1.0, "budget_threads": 1.5}, "budget_threads 1.5: give a whole number"),
        ({"budget_ms": 1.0, "budget_host": 3}, "--budget-host 3: give any, this"),
        ({"input_shapes": {"x": (-1, 64)}}, "is no shape; give whole numbers"),
        ({"out": 3}, "3: give a path"),
    ],
)
def test_an_export_without_meaning_is_refused(model: Path, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        api.export(model, bench=False, **given)  # type: ignore[arg-type]


def test_a_session_takes_the_artifact_that_a_result_or_a_folder_stands_for(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "artifact").symlink_to(artifact.resolve())
    for place in (artifact, str(artifact), tmp_path, SimpleNamespace(folder=artifact), artifact / "model.onnx"):
        assert edgeticket.session(place).get_inputs()


def test_a_bench_shows_itself() -> None:
    done = Bench([], ["a<b>"], {}, [], ["Nothing was measured."])
    assert repr(done) == "a<b>: 0 s\nNothing was measured."
    assert "a&lt;b&gt;" in done._repr_html_()


def test_find_takes_a_request_or_its_arguments_and_not_both() -> None:
    wanted = edgeticket.request("lenet-digits", controls="reinit", data_dirs="data", out="runs/x")
    assert (wanted.folder, wanted.data_dirs, wanted.goal.controls) == (Path("runs/x"), (Path("data"),), ("reinit",))
    with pytest.raises(InputError, match="until: a request was given, which holds all arguments"):
        edgeticket.find(wanted, until=0.5)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("command", "takes"),
    [
        ("find", lottery.request),
        ("export", api.export),
        ("inspect", api.inspect),
        ("bench", BenchRequest),
        ("check", ComparisonRequest),
    ],
)
def test_an_option_bears_the_name_of_its_argument(command: str, takes: object) -> None:
    """The command line hands its options on by their names, so an argument that no option sets stands here."""
    options = {parameter.name for parameter in main.commands[command].params if isinstance(parameter, click.Parameter)}
    arguments = set(inspect.signature(takes).parameters)  # type: ignore[arg-type]
    made = (
        {"max_counts", "accuracy_asked"} if takes is ComparisonRequest else {"bench"} if command == "export" else set()
    )
    assert arguments - made <= options


def test_a_request_says_what_each_argument_is_by_default() -> None:
    given = {field.name: field for field in dataclasses.fields(ComparisonRequest)}
    shown = inspect.signature(edgeticket.check).parameters
    assert set(shown) == {*given, "engine"}
    assert "<factory>" not in str(inspect.signature(edgeticket.check))
    assert shown["max_latency"].default == given["max_latency"].default == 0.05
