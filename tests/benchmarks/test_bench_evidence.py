"""The evidence can be taken in parts: jobs have names for good, a torn line is no comparison, rules read samples."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import bench_evidence  # noqa: E402

from edgeticket.measure import duel  # noqa: E402


def documents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_evidence", HERE.parents[1] / "docs" / "make_evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_evidence = documents()


def test_the_jobs_are_those_that_were_promised_and_have_one_name_each() -> None:
    jobs = bench_evidence.jobs()
    assert jobs == bench_evidence.jobs()
    assert len({job.key for job in jobs}) == len(jobs)
    effects = Counter(job.effect for job in jobs if job.kind == "injected")
    assert effects[0.0] == 200
    assert effects[0.05] == 100
    assert min(effects[effect] for effect in (0.01, 0.02, 0.03, 0.1)) >= 15
    assert sum(job.hogs != 0 for job in jobs) == 20


def entry(effect: float, number: int, candidate: float = 1.0, verdict: str = "pass") -> dict[str, Any]:
    us = {"candidate": [candidate * 100.0] * 3, "baseline": [100.0] * 3, "baseline again": [100.0] * 3}
    judgement = {"estimate": candidate - 1}
    return {"key": f"injected|{effect:g}|0|{number}", "kind": "injected", "effect": effect, "hogs": 0, "model": "m",
            "verdict": verdict, "seconds": 20.0, "realised": effect, "judgement": judgement,
            "host": {"cpu": "c", "cores": 2, "onnxruntime": "1"},
            "processes": [{"us": us, "faults": "..w"}, {"us": us, "faults": "..."}]}  # fmt: skip


def test_what_is_measured_is_kept_and_a_torn_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    bench_evidence.append(path, entry(0.0, 0))
    with path.open("a") as stream:
        stream.write('{"key": "injected|0|0|1", "kind": "inj')
    bench_evidence.append(path, entry(0.05, 2))
    assert [found["key"] for found in bench_evidence.done(path)] == ["injected|0|0|0", "injected|0.05|0|2"]


def test_a_comparison_is_kept_with_its_raw_samples() -> None:
    process = duel.Process({"candidate": (1.23456789,), "baseline": (1.0,)}, ("CPU shared",), 1.0, None)
    row = bench_evidence.row(duel.Duel(duel.Plan(), processes=[process]), 0.5)
    assert row["processes"] == [{"us": {"candidate": [1234.6], "baseline": [1000.0]}, "faults": "w"}]
    assert row["verdict"] == "inconclusive"
    json.dumps(row)


@pytest.mark.parametrize(("slower", "said"), [(1.04, "pass"), (1.06, "regression")])
def test_the_other_rules_compare_one_number(slower: float, said: str) -> None:
    now = entry(0.0, 1, slower)
    assert make_evidence.pytest_benchmark(now, min) == said
    assert make_evidence.mean_against_threshold(now, entry(0.0, 0)) == said
    assert make_evidence.mean_against_threshold(now, None) is None


def test_the_document_counts_what_is_in_the_file() -> None:
    entries = [entry(0.0, n) for n in range(9)] + [entry(0.0, 9, verdict="regression")]
    entries += [entry(0.05, n, 1.05, "regression") for n in range(4)] + [{**entry(0.0, 0), "kind": "dead units"}]
    text = make_evidence.document(entries)
    assert "15 comparisons" in text
    assert "1 of 10 (10.0 %) called a regression" in text
    assert "4 of 4 (100.0 %) caught, 0 of 4 (0.0 %) passed" in text
    assert "| dead units | +0.0 % |" in text


def test_an_empty_file_makes_a_document_that_says_so() -> None:
    assert "0 comparisons" in make_evidence.document([])
