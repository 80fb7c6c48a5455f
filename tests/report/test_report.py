"""The report: every number in it, in three forms, and nothing that could reach the network or break out of the page."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from edgeticket import report
from edgeticket.artifact.manifest import Manifest, Port
from edgeticket.measure.measurement import Measurement
from edgeticket.report import Content, Score, view

NASTY = '<script>alert("x")</script> | `a` $x$'


def content(**changes: Any) -> Content:
    """A ticket's report; `changes` are fields of the manifest."""
    layer = {"name": "fc1.weight", "op": "MatMul", "shape_before": (64, 30), "shape_after": (64, 25)}
    gone = {"name": "fc9.weight", "op": "MatMul", "shape_before": (9, 9), "shape_after": ()}
    proof = {"max_abs_delta": 3e-6, "top1_agreement": 0.999, "tolerance": 4e-5, "delta": 3e-6, "float64_error": 2e-6}
    manifest = Manifest(
        name="small",
        source={"kind": "ticket", "round": 3, "density": 0.0361},
        storage="auto",
        weights="fp32",
        size_bytes=50_000,
        dense_size_bytes=1_000_000,
        inputs=(Port("x", "float32", (None, 64)),),
        outputs=(Port("y", "float32", (None, 10)),),
        preprocessing=None,
        metric={"name": "accuracy", "unit": "%", "higher_is_better": True, "builtin": True},
        slice=None,
        golden={"outputs": [], "atol": [], "rtol": 0.0, "single": False},
        proof={
            "verdict": "proved",
            "reason": "no output moved by more than rounding explains",
            "samples": 700,
            **proof,
        },
        budget=None,
        layers=[
            {**layer, "nonzeros_before": 160, "nonzeros_after": 160},
            {**gone, "nonzeros_before": 0, "nonzeros_after": 0},
        ],
        tensors=[
            {
                "name": "fc1.weight",
                "shape": (64, 25),
                "nonzeros": 160,
                "storage": "gaps",
                "weights": "fp32",
                "size_bytes": 800,
                "note": "",
            }
        ],
    )
    samples = {
        "dense": tuple(0.02 + 1e-5 * i for i in range(300)),
        "exported": tuple(0.01 + 1e-5 * i for i in range(50)),
    }
    timed = tuple(
        Measurement("latency", m, t, "ms", s, "in blocks", "host") for t in (1, 2) for m, s in samples.items()
    )
    loads = tuple(Measurement(w, "dense", 1, u, (3.0, 4.0, 5.0), "alone", "host") for w, u in (("load", "ms"),))
    return Content(
        manifest=dataclasses.replace(manifest, **changes),
        created="2026-11-20T20:00:00+00:00",
        passes=({"pass_name": "fold-batchnorm", "changed": 0, "sentence": "declined: there is none"},),
        sizes={
            "original": 1_000_000,
            "original.gz": 900_000,
            "gaps": 50_000,
            "exported": 50_000,
            "exported.gz": 49_000,
        },
        scores=(
            Score("dense", "early stopping", True, 97.6, 97.51, 700),
            Score("ticket", "early stopping", True, 98.3, 98.22, 700),
            Score("exported file", "ONNX Runtime", True, None, 98.24, 700),
        ),
        measurements=timed + loads,
        failures=("load time of exported: not measured, no answer within 120 s",),
        host={"cpu": "a CPU", "fingerprint": "abc"},
        remarks=("a remark of the export",),
    )


class Page(HTMLParser):
    """Tags that are open, and every attribute seen."""

    VOID = frozenset({"meta", "link", "br", "img", "path", "use", "rect", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Page:
    parser = Page()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_asks_nobody_for_anything() -> None:
    page = parsed(report.html(content()))
    fetching = {"src", "srcset", "action", "data", "poster"}
    assert not [item for item in page.attributes if item[1] in fetching]
    assert all(value.startswith("#") for _, name, value in page.attributes if name.endswith("href"))
    assert "script" not in {tag for tag, _, _ in page.attributes}
    assert not re.search(r"@import|url\((?!#)", report.html(content()))


def test_ids_are_unique_across_the_plots() -> None:
    ids = [value for _, name, value in parsed(report.html(content())).attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 20


def test_on_a_phone_a_plot_scrolls_rather_than_shrinks() -> None:
    page = report.html(content())
    assert re.search(r"\.plot \{[^}]*overflow-x: auto", page)
    assert re.search(r"@media \(max-width: 40rem\) \{.*\.plot svg \{ width: 30rem; \}", page, re.DOTALL)


def test_plots_take_their_colours_from_the_page() -> None:
    page = report.html(content())
    assert page.count("<svg") == 3
    assert {"var(--ink)", "var(--plain)", "var(--strong)"} <= set(re.findall(r"var\(--\w+\)", page))
    assert not re.search(r"#0102\d\d", page)


@pytest.mark.parametrize("form", [report.html, report.markdown])
def test_every_form_says_what_matters(form: Any) -> None:
    text = parsed(form(content())).text if form is report.html else form(content()).replace("\\", "")
    for needed in (
        "20.0× smaller", "1,000 kB dense → 50.0 kB", "98.24 %", "dense 97.51 %, ticket 98.22 %", "91.67 %", "90.00 %",
        "64×30", "64×25", "removed", "3e-06", "99.90 %", "declined: there is none", "a remark of the export",
        "not measured, no answer within 120 s", "abc", "multiplies by them",
    ):  # fmt: skip
        assert needed in text, needed


def test_a_percentile_without_samples_beyond_it_is_not_given() -> None:
    section = next(s for s in view.sections(content()) if s.title.startswith("Latency"))
    assert section.table is not None
    exported = next(row for row in section.table.rows if row[0] == "exported")
    assert exported[4:] == ("–", "50")


def test_foreign_text_stays_text() -> None:
    given = content(name=NASTY, layers=[{**content().manifest.layers[0], "name": NASTY}])
    page = parsed(report.html(given))
    assert "script" not in {tag for tag, _, _ in page.attributes}
    assert NASTY in page.text
    assert "<script" not in report.markdown(given).replace("\\<", "")


def test_the_document_holds_every_sample() -> None:
    document = json.loads(report.json_document(content()))
    latency = document["measurements"][0]
    assert (latency["count"], len(latency["samples"])) == (300, 300)
    assert latency["p99"] == pytest.approx(0.02 + 1e-5 * 296)
    assert document["manifest"]["layers"][0]["shape_after"] == [64, 25]


RAN = {"state": "ran", "sentence": "claimed 5 of 5 nodes", "claimed": 5, "nodes": 5, "max_abs_delta": 2e-6}


def with_engine(**changes: Any) -> Content:
    """The report where the sparse engine took part; it needs a quarter of the CPU provider's time at one thread."""
    timed = Measurement("latency", "exported", 1, "ms", (0.0025, 0.0025, 0.0025), "in blocks", "host", "sparse")
    engine = {**RAN, "tolerance": 4e-5, "within": True, **changes}
    return dataclasses.replace(content(), measurements=(*content().measurements, timed), engine=engine)


@pytest.mark.parametrize("form", [report.html, report.markdown])
def test_every_form_says_what_the_sparse_engine_does(form: Any) -> None:
    text = parsed(form(with_engine())).text if form is report.html else form(with_engine()).replace("\\", "")
    for needed in (
        "Latency on the CPU provider and the sparse engine", "exported, sparse engine", "claimed 5 of 5 nodes",
        "Sparse engine at 1 thread: 2.50 µs, 4.10 times the CPU provider.", "max |Δ| 2e-06 to it, 4e-05 allowed",
    ):  # fmt: skip
        assert needed in text, needed
    assert "Sparse engine at 2 threads" not in text


def test_an_engine_that_was_not_there_is_said_in_words() -> None:
    given = dataclasses.replace(content(), engine={**RAN, "state": "missing", "sentence": "the library is missing"})
    card = next(card for card in view.cards(given) if card.label == "Sparse engine")
    assert card.value == "missing"
    assert "the library is missing" in report.markdown(given)
    assert "Latency on the stock CPU provider" in report.markdown(given)


def test_outputs_of_the_engine_beyond_their_tolerance_are_cried_out() -> None:
    card = next(card for card in view.cards(with_engine(within=False)) if card.label == "Sparse engine")
    assert "BEYOND" in card.detail


def test_what_was_not_measured_is_said() -> None:
    bare = dataclasses.replace(content(metric=None), measurements=(), scores=(), host=None)
    text = parsed(report.html(bare)).text
    assert "Latency was not measured" in text
    assert "Accuracy" not in text


DEAD = {"pass_name": "remove-dead", "changed": 5, "sentence": "removed 5 dead channels"}


def test_without_dead_units_no_speed_is_promised() -> None:
    kept = [{**content().manifest.layers[0], "shape_after": (64, 30)}]
    sentence = view.zeros_sentence(content(layers=kept))
    assert "No unit could be removed, so an inference multiplies as much as in the dense network" in sentence
    assert sentence.endswith("what is gained is the size of the file.")
    assert "gained" not in view.zeros_sentence(content(layers=kept, size_bytes=1_000_001))


def test_what_was_removed_is_credited_to_what_removed_it() -> None:
    assert "Dead units" not in view.zeros_sentence(content())
    by_death = view.zeros_sentence(dataclasses.replace(content(), passes=(DEAD,)))
    assert by_death.startswith("Dead units were removed, exactly: the layers hold 1,600 of 2,001 weights")
    assert "the zeros that are left" in by_death
    full = [{**content().manifest.layers[0], "nonzeros_after": 1600}]
    assert "No zero is left" in view.zeros_sentence(content(layers=full))


def test_of_zeros_that_are_not_there_nothing_is_said() -> None:
    full = {"shape_after": (64, 30), "nonzeros_before": 1920, "nonzeros_after": 1920}
    sentence = view.zeros_sentence(content(layers=[{**content().manifest.layers[0], **full}]))
    assert "hold no zeros" in sentence
    assert "died" not in sentence
    assert "no zeros to speak of" in view.zeros_sentence(content(layers=[]))


@pytest.mark.parametrize(
    ("size", "words"),
    [(50_000, "20.0× smaller"), (1_000_000, "same size"), (1_000_047, "47 B larger"), (999_000, "1.00 kB smaller"),
     (2_000_000, "2.00× larger")],
)  # fmt: skip
def test_the_headline_is_true_of_files_that_did_not_shrink(size: int, words: str) -> None:
    assert view.cards(content(size_bytes=size))[0].value == words


@pytest.mark.parametrize("form", [report.html, report.markdown])
def test_nobody_calls_a_source_dense_that_may_be_packed(form: Any) -> None:
    text = form(content(source={"kind": "onnx", "file": "model.onnx"}, metric=None))
    assert "source as given" in text
    assert "dense network" not in text
    assert "as given, 1 thread" in text or form is report.markdown
    assert "1 threads" not in text


def test_nothing_is_rebuilt_where_nothing_is_packed() -> None:
    assert "rebuilds every packed tensor" in report.markdown(content())
    plain = [{**content().manifest.tensors[0], "storage": "dense"}]
    assert "it has nothing to rebuild" in report.markdown(content(tensors=plain))


def test_a_weight_without_elements_is_drawn() -> None:
    empty = {**content().manifest.layers[0], "shape_before": (0, 128), "shape_after": (0, 128)}
    given = content(layers=[{**empty, "nonzeros_before": 0, "nonzeros_after": 0}])
    assert "0×128" in parsed(report.html(given)).text


def test_one_input_is_one_input() -> None:
    assert view.cards(content(proof={**content().manifest.proof, "samples": 1}))[-1].detail.endswith("over 1 input")


def test_not_proved_is_the_headline() -> None:
    proof = {"verdict": "not proved", "reason": "the runtime has no operator Foo", "max_abs_delta": None}
    unproved = content(proof=proof)
    assert view.cards(unproved)[-1].value == "not proved"
    assert "no operator Foo" in report.markdown(unproved)


def test_the_same_content_gives_the_same_page() -> None:
    assert report.html(content()) == report.html(content())
