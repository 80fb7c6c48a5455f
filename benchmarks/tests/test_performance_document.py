"""benchmarks/make_performance.py on two networks: what is met, missed, not measured, and slower than allowed. And the
documents that are kept are those that it makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import make_performance
import pytest

DOCS = Path(__file__).parents[2] / "docs"
WHO = {"cpu": "a CPU", "hidden": False, "cores": 2, "onnxruntime": "1.25.0", "engine": "abc", "date": "2026-11-21"}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    return make_performance


def measured(middle: float) -> dict[str, float]:
    return {"low": 0.9 * middle, "median": middle, "high": 1.1 * middle}


def part(threads: int, us: float) -> dict[str, Any]:
    """A latency part: at 90 % the engine takes `us`, fp32 600 and int8 150."""
    ours = {
        "us": measured(us), "times_fp32": measured(600 / us), "times_int8": measured(150 / us), "gmac_per_s": 40.0,
        "claimed_macs": 1.0, "sparsity": 0.9, "macs": 10, "useful_macs": 1,
    }  # fmt: skip
    return {
        "identity": WHO, "request": {"kind": "latency", "threads": threads}, "busy_others": 0.0, "macs": 40_000_000,
        "peak_gmac_per_s": {"avx512": {"1": 100.0, "2": 180.0}}, "ours": {"90%": ours},
        "rivals_us": {"fp32": measured(600), "int8": measured(150)},
    }  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    samples = {"cpu": {"ms": [10.0, 10.0], "grown_bytes": [100]}, "ours": {"ms": [14.0, 14.0], "grown_bytes": [40]}}
    for name, after in (("cpu", 100), ("ours", 90)):
        samples[name] |= {"after_first_bytes": [after], "peak_bytes": [200]}
    creation = {"identity": WHO, "request": {"kind": "creation"}, "busy_others": 0.2, "samples": samples}
    parts = {"ResNet-20 | 1": part(1, 100), "ResNet-20 | 2": part(2, 60), "ResNet-20 | creation": creation}
    parts["Conv-6 | 1"] = part(1, 125)
    (tmp_path / "engine.json").write_text(json.dumps({"parts": parts}))
    cases = [
        {
            "name": name,
            "sparsity": 0.5,
            "threads": 1,
            "nodes": 3,
            "cpu_us": measured(50),
            "ratio": measured(ratio),
            "offends": bad,
        }
        for name, ratio, bad in (("ResNet-20", 0.5, False), ("random-7", 1.2, True), ("random-8", 1.1, False))
    ]
    (tmp_path / "never_slower.json").write_text(json.dumps({"identity": WHO, "limit": 1.03, "cases": cases}))
    return tmp_path


def test_goals_are_met_missed_or_not_measured(maker: ModuleType, results: Path) -> None:
    text = maker.pages(results)["goals.md"]
    for row in (
        "| times fp32 at 90 %, one thread | ResNet-20 | ≥ 5 (7) | 6.00 | met |",
        "| times fp32 at 90 %, one thread | Conv-6 | ≥ 6 (8) | 4.80 | **missed** by 20.0 % |",
        "| times fp32 at 90 %, one thread | VGG-16 | ≥ 6 (9) | – | not measured |",
        "| times int8 at 90 %, one thread | ResNet-20 | ≥ 1 | 1.50 | met |",
        "| two threads, share of the FMA peak's gain, at 90 % | ResNet-20 | ≥ 0.75 | 0.93 | met |",
        "| first session of a process, times the CPU provider's, at 90 % | ResNet-20 | ≤ 1.3 | 1.40 | "
        "**missed** by 7.7 % |",
        "| memory after the first inference, times the CPU provider's, at 90 % | ResNet-20 | ≤ 1 | 0.90 | met |",
    ):
        assert row in text
    assert "Other processes were busy during: ResNet-20 | creation." in maker.pages(results)["measurements.md"]


def test_the_page_to_read_has_a_row_a_network_and_counts_the_goals(maker: ModuleType, results: Path) -> None:
    lines = maker.summary(results).splitlines()
    assert lines[2] == (
        "| ResNet-20 | 600.0 µs (540.0-660.0) | 100.0 µs (90.0-110.0) | 6.00 (5.40-6.60) | 5 | 1.50 (1.35-1.65) |"
    )
    assert lines[3].startswith("| Conv-6 | ")
    assert lines[-1] == "5 of 7 [goals](performance/goals.md) are met."


def test_where_int8_is_faster_is_said_on_the_page_to_read(maker: ModuleType, results: Path) -> None:
    document = json.loads((results / "engine.json").read_text())
    slow = document["parts"]["Conv-6 | 1"]["ours"]
    slow["80%"] = {**slow["90%"], "times_int8": measured(0.7)}
    document["parts"]["ResNet-20 | 2"]["ours"]["90%"]["times_int8"] = measured(0.9)
    (results / "engine.json").write_text(json.dumps(document))
    said = " ".join(maker.summary(results).split())
    assert said.endswith("Slower than int8 at 80 % zeros: Conv-6. Slower than int8 at 90 % on two threads: ResNet-20.")
    goals = maker.pages(results)["goals.md"]
    assert "| Conv-6 | 1 | – | – | **0.70** | 1.20 | – |" in goals
    assert "1 of 2 networks lose to int8: Conv-6." in " ".join(goals.split())
    assert "| ResNet-20 | 10.00 (9.00-11.00) | 0.90 (0.81-0.99) |" in goals  # at two threads


def test_memory_before_the_first_inference_is_called_that(maker: ModuleType, results: Path) -> None:
    """Measurements of 0.1.0 have no other."""
    document = json.loads((results / "engine.json").read_text())
    for samples in document["parts"]["ResNet-20 | creation"]["samples"].values():
        del samples["after_first_bytes"]
    (results / "engine.json").write_text(json.dumps(document))
    words = (
        "memory after creation, before the first inference, times the CPU provider's, at 90 % | ResNet-20 | ≤ 1 | 0.40"
    )
    assert words in maker.pages(results)["goals.md"]


def test_the_fastest_way_of_int8_is_the_rival(maker: ModuleType, results: Path) -> None:
    document = json.loads((results / "engine.json").read_text())
    rivals = document["parts"]["ResNet-20 | 1"]["rivals_us"]
    rivals |= {"int8 per tensor": measured(150), "int8 per channel": measured(170), "int8 dynamic": measured(900)}
    document["parts"]["ResNet-20 | 1"]["int8_is"] = "int8 per tensor"
    (results / "engine.json").write_text(json.dumps(document))
    assert "fastest of three ways" in maker.pages(results)["goals.md"]
    [line] = [line for line in maker.pages(results)["measurements.md"].splitlines() if line.endswith("per tensor")]
    assert "900.0 µs" in line


def test_offenders_are_listed(maker: ModuleType, results: Path) -> None:
    text = " ".join(maker.pages(results)["never-slower.md"].split())
    assert "where the CPU provider takes under 20 µs" in text
    assert "1 case is slower than allowed. The largest lower bound is 1.080, that of random-7 at 50%." in text
    assert "| random-7 | 50% | 1 | 3 | 50.0 | 1.20 (1.08-1.32) | slower |" in text
    assert "In 1 more the median is beyond what is allowed, and the measurement was not certain of it." in text
    assert "| random-8 | 50% | 1 | 3 | 50.0 | 1.10 (0.99-1.21) | not certain |" in text
    assert "sparsity (50 % zeros)" in text


def test_what_was_not_measured_is_said(maker: ModuleType, tmp_path: Path) -> None:
    parts = [maker.summary(tmp_path), *maker.pages(tmp_path).values()]
    assert all("Nothing is measured yet" in part for part in parts)


def test_the_baseline_and_the_rival_have_tables_once_they_are_measured(maker: ModuleType, results: Path) -> None:
    assert "PyTorch" not in maker.pages(results)["measurements.md"]
    forms = {"same passes": {"nodes": 7, "us": measured(8)}, "torch, free batch": {"nodes": 9, "us": measured(10)}}
    cases = {"LSTM": {"best": "same passes", "forms": forms}}
    (results / "baseline.json").write_text(json.dumps({"identity": WHO, "busy_others": 0.5, "cases": cases}))
    common = {"network": "VGG-16", "others": True, "warm_ms": 2.5, "pinned": True, "spinning": False, "apart": True}
    timed = [{**common, "threads": threads, "us": measured(us)} for threads, us in ((1, 900), (2, 300))]
    (results / "rival.json").write_text(json.dumps({"identity": WHO, "busy_others": 0.0, "cases": timed}))
    page = maker.pages(results)["measurements.md"]
    assert "7: 8.0 µs" in page
    assert "Other processes kept 0.50 of a processor busy" in page
    [line] = [line for line in page.splitlines() if line.startswith("    VGG-16")]
    assert line.split() == [
        "VGG-16", "twelve", "others", "2.5", "ms", "yes", "no", "yes", "900.0", "µs", "(810.0-990.0)", "300.0", "µs",
        "(270.0-330.0)", "3.00",
    ]  # fmt: skip


def test_only_what_stands_between_the_marks_is_replaced_and_pages_are_written_whole(
    maker: ModuleType, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{maker.BEGIN}\nold\n{maker.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(maker, "RESULTS", results)
    monkeypatch.setattr(sys, "argv", ["make_performance.py", str(tmp_path)])
    maker.main()
    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{maker.BEGIN}\n")
    assert text.endswith(f"{maker.END}\nafter\n")
    assert "old" not in text
    for name, page in maker.pages(results).items():
        assert (tmp_path / "performance" / name).read_text(encoding="utf-8") == page


def test_a_document_without_the_marks_is_not_touched(maker: ModuleType) -> None:
    with pytest.raises(SystemExit, match="must each stand there once"):
        maker.filled(f"{maker.BEGIN}\n", "new")


def test_the_documents_kept_are_those_made_from_the_results_kept(maker: ModuleType) -> None:
    document = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert maker.filled(document, maker.summary(maker.RESULTS)) == document
    for name, page in maker.pages(maker.RESULTS).items():
        assert (DOCS / "performance" / name).read_text(encoding="utf-8") == page, f"make performance writes {name}"
