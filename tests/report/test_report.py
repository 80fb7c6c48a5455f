"""The report: every number in it, in three forms, and nothing that could reach the network or break out of the page."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from edgeticket import report
from edgeticket.artifact.manifest import (
    GoldenInfo,
    GraphProof,
    LayerInfo,
    Manifest,
    MetricInfo,
    OnnxSource,
    Port,
    ProofInfo,
    TensorInfo,
    TicketSource,
)
from edgeticket.artifact.parity import CLAIMS_NOTHING, Parity
from edgeticket.measure.measurement import Measurement
from edgeticket.report import Content, Score, facts, view
from edgeticket.report.parts import Section, rows_of

NASTY = '<script>alert("x")</script> | `a` $x$'


def content(**changes: Any) -> Content:
    """A ticket's report; `changes` are fields of the manifest."""
    manifest = Manifest(
        name="small",
        source=TicketSource(
            task="small", trial=None, round=3, at="early-stop", kept=72, total=2001, density=0.0361, sha256="0" * 64
        ),
        storage="auto",
        weights="fp32",
        size_bytes=50_000,
        dense_size_bytes=1_000_000,
        inputs=(Port("x", "float32", (None, 64)),),
        outputs=(Port("y", "float32", (None, 10)),),
        preprocessing=None,
        metric=MetricInfo("accuracy", "%", higher_is_better=True, builtin=True),
        slice=None,
        golden=GoldenInfo.none(),
        proof=ProofInfo(
            "proved",
            "no output moved by more than rounding explains",
            max_abs_delta=3e-6,
            top1_agreement=0.999,
            tolerance=4e-5,
            delta=3e-6,
            float64_error=2e-6,
            output="y",
            output_range=7.5,
            in_float64=GraphProof("proved", "in float64 no output moved by more than 3e-16", 3e-16, 5e-13, 64),
            samples=700,
        ),
        budget=None,
        layers=(
            LayerInfo("fc1.weight", "MatMul", (64, 30), (64, 25), 160, 160),
            LayerInfo("fc9.weight", "MatMul", (9, 9), (), 0, 0),
        ),
        tensors=(TensorInfo("fc1.weight", (64, 25), 160, "gaps", "fp32", 800, ""),),
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


def first_layer(**changes: Any) -> tuple[LayerInfo]:
    """The first layer of that report, changed, as the only one."""
    return (dataclasses.replace(content().manifest.layers[0], **changes),)


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


def test_ids_are_unique_and_every_section_has_one() -> None:
    attributes = parsed(report.html(content())).attributes
    ids = [value for _, name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids)) == len(view.sections(content())) > 5
    assert set(ids) == {value for tag, name, value in attributes if (tag, name) == ("section", "aria-labelledby")}
    assert "loading-and-memory" in ids


def test_no_line_of_a_tile_ends_between_a_number_and_its_unit() -> None:
    tiles = re.findall(r"<small>(.*?)</small>", report.html(content()))
    assert any(re.search(r"\d\N{NO-BREAK SPACE}[kM]B", tile) for tile in tiles)
    assert not any(re.search(r"\d (?:[kM]?B|[µm]?s|%)", tile) for tile in tiles)


def sizes_of_letters(page: str) -> list[float]:
    """Every font size of the page in pixels, as a browser has it by default."""
    found = re.findall(r"font(?:-size)?: ([\d.]+)(rem|px)", page)
    return [float(number) * (16 if unit == "rem" else 1) for number, unit in found]


def test_letters_keep_their_size_on_a_phone() -> None:
    page = report.html(content())
    assert len(sizes_of_letters(page)) > 10
    assert min(sizes_of_letters(page)) >= 12
    assert 'name="viewport" content="width=device-width' in page
    assert "<svg" not in page  # a drawing in one piece shrinks, and its letters with it


def test_a_table_wider_than_a_phone_scrolls_by_itself() -> None:
    page = report.html(content())
    assert re.search(r"\.wide \{[^}]*overflow-x: auto", page)
    inside = re.findall(r'<div class="wide" role="region" tabindex="0" aria-label="[^"]+"><table>', page)
    assert len(inside) == page.count("<table>")


def test_plots_take_their_colours_from_the_page() -> None:
    page = report.html(content())
    assert page.count("<figure") == 3
    assert {"var(--ink)", "var(--plain)", "var(--strong)"} <= set(re.findall(r"var\(--\w+\)", page))
    assert not re.search(r"style=\"[^\"]*(#|rgb|color)", page)


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' (WCAG 2.2)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
              for value in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_letters_and_bars_stand_out_in_light_dark_and_print() -> None:
    palettes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", block))
        for block in re.findall(r":root \{(.*?)\}", report.html(content()), re.DOTALL)
    ]
    assert len(palettes) == 3
    for palette in palettes:
        for ground in ("page", "card"):
            for letters in ("ink", "soft", "strong"):
                assert contrast(palette[letters], palette[ground]) >= 4.5, (letters, ground)
        assert contrast(palette["plain"], palette["card"]) >= 3


def test_paper_is_white_shows_what_is_folded_and_cuts_no_plot() -> None:
    [rules] = re.findall(r"@media print \{\n(.*?)\n\}", report.html(content()), re.DOTALL)
    assert "--page: #ffffff; --card: #ffffff" in rules
    assert "details::details-content { display: block; content-visibility: visible" in rules
    assert re.search(r"\.plot[^{]*\{ break-inside: avoid; \}", rules)


@pytest.mark.parametrize("width", ["wide", "medium", "narrow"])
def test_tiles_fill_every_row(width: str) -> None:
    without = dataclasses.replace(content(metric=None), measurements=(), scores=())
    counts = set()
    for given in (with_engine(), content(), content(metric=None), without):
        shares = [int(n) for n in re.findall(rf"--{width}: (\d)", report.html(given))]
        counts.add(len(shares))
        while shares:
            row = shares[: shares[0]]
            assert row == [shares[0]] * shares[0], "a row that is not full"
            assert len(row) > 1 or width == "narrow", "a tile alone"
            shares = shares[shares[0] :]
    assert counts == {2, 3, 4, 5}


def size_section(**changes: Any) -> Section:
    """The section of sizes, for an artifact whose files are those of a real export."""
    names = ("original", "dense", "sparse-initializer", "gaps", "gaps-fp16", "gaps-int8")
    sizes = {f"{name}{end}": 1_000 - 100 * at - len(end) for at, name in enumerate(names) for end in ("", ".gz")}
    sizes |= {"exported": 700, "exported.gz": 690, **changes}
    return view.sections(dataclasses.replace(content(), sizes=sizes))[0]


def test_six_sizes_stand_open_and_all_behind_a_fold() -> None:
    section = size_section()
    assert section.table is not None
    assert section.fold is not None
    assert len(section.table.rows) == 6
    assert len(section.fold.table.rows) == 14
    assert section.table.strong is not None
    assert section.table.rows[section.table.strong] == (
        "this artifact: values and gaps",
        "700 B",
        "1.43× smaller",
    )
    page = report.html(content())
    assert page.index("<details><summary>All 5 files in bytes") < page.index("dense network, gzip")


def test_an_artifact_like_no_other_storage_has_a_row_of_its_own() -> None:
    section = size_section(exported=650)
    assert section.table is not None
    assert len(section.table.rows) == 7
    assert section.table.rows[-1][:2] == ("this artifact", "650 B")


def test_long_tables_are_folded_and_whole() -> None:
    many = tuple(dataclasses.replace(content().manifest.layers[0], name=f"conv{at}.weight") for at in range(20))
    section = next(s for s in view.sections(content(layers=many)) if s.title == "Sparsity per layer")
    assert section.table is None
    assert section.fold is not None
    assert (section.fold.summary, len(section.fold.table.rows)) == ("20 layers in numbers", 20)
    text = report.markdown(content(layers=many))
    assert "<details" not in text
    assert text.count("| conv") == 20


def test_the_network_names_its_tensors() -> None:
    tensor = dataclasses.replace(content().manifest.tensors[0], name="val_40", note="")
    given = content(layers=first_layer(name="val_40"), tensors=(tensor,))
    named = dataclasses.replace(given, names={"val_40": "blocks.1.conv1.bias"})
    titles = {section.title: section for section in view.sections(named)}
    layers, tensors = titles["Sparsity per layer"], titles["Storage per tensor"]
    assert layers.table is not None
    assert tensors.table is not None
    assert layers.plot is not None
    assert layers.table.rows[0][0] == tensors.table.rows[0][0] == layers.plot.rows[0].label == "blocks.1.conv1.bias"
    assert tensors.table.rows[0][-1] == "val_40 in the file"
    assert json.loads(report.json_document(named))["names"] == {"val_40": "blocks.1.conv1.bias"}


def test_one_slow_sample_in_a_hundred_leaves_the_medians_readable() -> None:
    slow = tuple(8.0 if at % 50 == 0 else 0.02 for at in range(2_000))
    struck = Measurement("latency", "dense", 1, "ms", slow, "in blocks", "host")
    quick = Measurement("latency", "exported", 1, "ms", (0.016,) * 2_000, "in blocks", "host")
    section = next(
        s
        for s in view.sections(dataclasses.replace(content(), measurements=(struck, quick)))
        if s.title.startswith("Latency")
    )
    assert section.plot is not None
    first, second = section.plot.rows
    assert (first.value, first.beyond, second.beyond) == ("20.0 µs", "p99 8.00 ms", "")
    assert next(mark for mark in first.marks if mark.kind == "bar").end > 60
    assert [shown for _, shown in section.plot.ticks] == ["0", "10 µs", "20 µs", "30 µs"]


@pytest.mark.parametrize("form", [report.html, report.markdown])
def test_every_form_says_what_matters(form: Any) -> None:
    text = parsed(form(content())).text if form is report.html else form(content()).replace("\\", "")
    text = text.replace("\N{NO-BREAK SPACE}", " ")
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
    given = content(name=NASTY, layers=first_layer(name=NASTY))
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
        "Sparse engine at 1 thread: 2.50 µs, 8.60 times as fast as dense on the CPU provider; "
        "4.10 times as fast as this file on the CPU provider.", "max |Δ| 2e-06 to it, 4e-05 allowed",
    ):  # fmt: skip
        assert needed in text, needed
    assert "Sparse engine at 2 threads" not in text
    card = next(card for card in view.cards(with_engine(output_range=21.0)) if card.label == "Sparse engine")
    assert card.detail.endswith("max |Δ| 2e-06 to it in a range of 21, 4e-05 allowed")


def test_open_sizes_that_keep_the_engine_away_name_the_way_out() -> None:
    """Only for a file whose inputs have open axes, where they are what keeps the engine away."""
    source, ticket = OnnxSource(file="model.onnx", sha256="0" * 64), content().manifest.source
    free, fixed = (Port("x", "float32", (1, 3, None, None)),), (Port("x", "float32", (1, 3, 32, 32)),)
    away = Parity(CLAIMS_NOTHING, "claimed 0 of 5 nodes", 0, 5, sizes_unknown=4)

    def said(source: Any, inputs: tuple[Port, ...], found: Parity) -> str:
        engine = facts.engine(source, inputs, found)
        assert engine is not None
        return str(engine["sentence"])

    assert "--input-shape and --fix-shape" in said(source, free, away)
    for plain in (
        said(ticket, free, away),
        said(source, fixed, away),
        said(source, free, dataclasses.replace(away, sizes_unknown=0)),
        said(source, free, dataclasses.replace(away, state="ran")),
    ):
        assert plain == "claimed 0 of 5 nodes"
    assert facts.engine(source, free, None) is None


def test_an_engine_that_was_not_there_is_said_in_words() -> None:
    given = dataclasses.replace(content(), engine={**RAN, "state": "missing", "sentence": "the library is missing"})
    card = next(card for card in view.cards(given) if card.label == "Sparse engine")
    assert card.value == "missing"
    assert "the library is missing" in report.markdown(given)
    assert "Latency on the stock CPU provider" in report.markdown(given)


@pytest.mark.parametrize(
    ("state", "detail"),
    [("claims nothing", "the CPU provider runs every node"), ("failed", "the reason stands below")],
)
def test_the_card_of_an_engine_that_did_not_run_is_true_on_the_screen_too(state: str, detail: str) -> None:
    """The screen has no section about latency that a card could point to."""
    given = dataclasses.replace(content(), engine={**RAN, "state": state, "sentence": "why"})
    assert next(card for card in view.cards(given) if card.label == "Sparse engine").detail == detail


def test_both_parts_of_the_proof_are_told() -> None:
    said = report.markdown(content())
    for part in ("in float64 no output moved by more than 3e-16", "5e-13", "1 % of the output's range", "7.5"):
        assert part in said
    assert view.cards(content())[-1].detail == "max |Δ| 3e-06 (3e-16 in float64) over 700 inputs"
    limited = dataclasses.replace(content().manifest.proof, in_float64=GraphProof("proved", "", in_float32=("LSTMx",)))
    assert "Nothing here runs LSTMx in float64" in report.markdown(content(proof=limited))
    without = dataclasses.replace(content().manifest.proof, in_float64=None)  # as 0.1.0 wrote it
    assert "in float64:" not in report.markdown(content(proof=without))
    unproved = ProofInfo("not proved", "float32 errs", in_float64=GraphProof("not proved", "no feed ran"))
    assert "not compared with the masked one in float64: no feed ran" in report.markdown(content(proof=unproved))


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
    kept = first_layer(shape_after=(64, 30))
    sentence = view.zeros_sentence(content(layers=kept))
    assert "No unit was removed, so an inference multiplies as much as in the dense network" in sentence
    assert sentence.endswith("what is gained is the size of the file.")
    assert "gained" not in view.zeros_sentence(content(layers=kept, size_bytes=1_000_001))


def test_what_was_removed_is_credited_to_what_removed_it() -> None:
    assert "Dead units" not in view.zeros_sentence(content())
    by_death = view.zeros_sentence(dataclasses.replace(content(), passes=(DEAD,)))
    assert by_death.startswith("Dead units were removed, exactly: the layers hold 1,600 of 2,001 weights")
    assert "the zeros that are left" in by_death
    full = first_layer(nonzeros_after=1600)
    assert "No zero is left" in view.zeros_sentence(content(layers=full))


@pytest.mark.parametrize(("own", "said"), [(0.008, False), (0.01, False), (0.012, True)])
def test_what_is_slower_with_fewer_channels_is_not_called_a_gain(own: float, said: bool) -> None:
    """Dense takes 10 µs."""

    def timed(model: str, middle: float) -> Measurement:
        blocks = tuple(middle + 1e-4 * (number % 3) for number in range(12))
        return Measurement("latency", model, 1, "ms", blocks, "in blocks", "host", "cpu", blocks)

    measurements = (timed("dense", 0.01), timed("exported", own))
    sentence = view.zeros_sentence(dataclasses.replace(content(), passes=(DEAD,), measurements=measurements))
    assert ("yet the CPU provider takes longer with it than with dense" in sentence) == said
    assert ("the only gain in speed to expect" in sentence) != said


def test_of_zeros_that_are_not_there_nothing_is_said() -> None:
    full = first_layer(shape_after=(64, 30), nonzeros_before=1920, nonzeros_after=1920)
    sentence = view.zeros_sentence(content(layers=full))
    assert "hold no zeros" in sentence
    assert "died" not in sentence
    assert "no zeros to speak of" in view.zeros_sentence(content(layers=(), tensors=()))


@pytest.mark.parametrize("nonzeros", [160, 1600])
def test_zeros_of_other_constants_are_counted(nonzeros: int) -> None:
    """Weights that Einsum or Gather reads shrink the file: nobody may say then that there are no zeros."""
    table = dataclasses.replace(content().manifest.tensors[0], name="table", nonzeros=nonzeros)
    full = first_layer(shape_after=(64, 30), nonzeros_before=1920, nonzeros_after=1920)
    for layers in ((), full):
        sentence = view.zeros_sentence(content(layers=layers, tensors=(table,)))
        counted = "Of 1,600 numbers in" in sentence and "1,440 are zeros, or one value that repeats" in sentence
        assert counted == (nonzeros == 160)
        assert ("what is gained is the size of the file" in sentence) == (nonzeros == 160)


def test_that_no_unit_was_removed_is_not_said_where_one_was() -> None:
    """A unit may go that no layer's weight shows: one of an embedding, say."""
    kept = first_layer(shape_after=(64, 30))
    by_death = dataclasses.replace(content(layers=kept), passes=(DEAD,))
    assert view.zeros_sentence(by_death).startswith("What was dead was removed, exactly")
    assert "No unit" not in view.zeros_sentence(by_death)


def test_what_was_given_is_not_what_became_of_its_graph() -> None:
    """The smallest form of a source counts for bytes: where that is not the file as it came, both sizes are said."""
    source = OnnxSource(file="model.onnx", sha256="0" * 64)
    same = content(source=source, metric=None)
    assert view.cards(same)[0].detail.startswith("1,000 kB as given → 50.0 kB")
    other = dataclasses.replace(same, sizes={**same.sizes, "given": 2_000_000})
    assert view.cards(other)[0].detail.startswith("1,000 kB with its graph cleaned (2,000 kB as given) → 50.0 kB")
    assert view.cards(content())[0].detail.startswith("1,000 kB dense → 50.0 kB")


def test_operators_that_ran_in_float32_alone_are_named_in_the_headline() -> None:
    proof = content().manifest.proof
    assert proof.in_float64 is not None
    assert "(3e-16 in float64)" in view.cards(content())[-1].detail
    single = dataclasses.replace(proof.in_float64, in_float32=("Attention", "BiasGelu"))
    card = view.cards(content(proof=dataclasses.replace(proof, in_float64=single)))[-1]
    assert "(3e-16 in float64, but Attention, BiasGelu in float32)" in card.detail


@pytest.mark.parametrize(
    ("size", "words"),
    [(50_000, "20.0× smaller"), (1_000_000, "same size"), (1_000_047, "47 B larger"), (999_000, "1.00 kB smaller"),
     (2_000_000, "2.00× larger")],
)  # fmt: skip
def test_the_headline_is_true_of_files_that_did_not_shrink(size: int, words: str) -> None:
    assert view.cards(content(size_bytes=size))[0].value == words


@pytest.mark.parametrize("form", [report.html, report.markdown])
def test_nobody_calls_a_source_dense_that_may_be_packed(form: Any) -> None:
    text = form(content(source=OnnxSource(file="model.onnx", sha256="0" * 64), metric=None))
    assert "source as given" in text
    assert "dense network" not in text
    assert "source, 1 thread" in text or form is report.markdown
    assert "1 threads" not in text


def test_nothing_is_rebuilt_where_nothing_is_packed() -> None:
    assert "rebuilds every packed tensor" in report.markdown(content())
    plain = (dataclasses.replace(content().manifest.tensors[0], storage="dense"),)
    assert "it has nothing to rebuild" in report.markdown(content(tensors=plain))


def test_a_weight_without_elements_is_drawn() -> None:
    empty = first_layer(shape_before=(0, 128), shape_after=(0, 128), nonzeros_before=0, nonzeros_after=0)
    given = content(layers=empty)
    assert "0×128" in parsed(report.html(given)).text


def test_one_input_is_one_input() -> None:
    assert view.cards(content(proof=dataclasses.replace(content().manifest.proof, samples=1)))[-1].detail.endswith(
        "over 1 input"
    )


def test_not_proved_is_the_headline() -> None:
    proof = ProofInfo("not proved", "the runtime has no operator Foo")
    unproved = content(proof=proof)
    assert view.cards(unproved)[-1].value == "not proved"
    assert "no operator Foo" in report.markdown(unproved)


@pytest.mark.parametrize("most", [1, 2, 3, 5])
@pytest.mark.parametrize("count", range(1, 12))
def test_rows_of_tiles_differ_by_one_at_most(count: int, most: int) -> None:
    shares = rows_of(count, most)
    assert len(shares) == count
    assert max(shares) <= most
    assert max(shares) - min(shares) <= 1
    assert sum(1 / share for share in shares) == pytest.approx(-(-count // most))


def test_the_same_content_gives_the_same_page() -> None:
    assert report.html(content()) == report.html(content())


def test_a_difference_that_is_noise_is_not_called_a_gain() -> None:
    """Block medians that go up and down by the same amount: the tile says that no difference is seen."""

    def timed(model: str, shift: float) -> Measurement:
        blocks = tuple(0.01 + shift * (-1) ** number for number in range(12))
        return Measurement("latency", model, 1, "ms", blocks, "in blocks", "host", "cpu", blocks)

    noisy = dataclasses.replace(content(), measurements=(timed("dense", 1e-4), timed("exported", -1e-4)))
    [card] = [card for card in view.cards(noisy) if card.label == "Latency, one thread"]
    assert "no difference is seen (0.98 to 1.02 times as fast)" in card.detail


def test_the_size_tile_holds_gzip_against_gzip() -> None:
    sizes = {**content().sizes, "masked": 1_000_000, "masked.gz": 60_000}
    [card] = [card for card in view.cards(dataclasses.replace(content(), sizes=sizes)) if card.label == "Model file"]
    assert card.detail == (
        "1,000 kB dense → 50.0 kB; in gzip 900 kB → 49.0 kB, where the pruned network stored densely takes 60.0 kB"
    )


def test_the_report_says_what_dense_is() -> None:
    said = dataclasses.replace(content(), baseline=("The dense network stands here at its best: such and such.",))
    assert "stands here at its best: such and such." in report.markdown(said)
