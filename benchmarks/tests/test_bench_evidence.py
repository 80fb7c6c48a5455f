"""The evidence can be taken in parts: jobs have names for good, a torn line is no comparison, rules read samples."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import bench_evidence
import evidence_file
import evidence_rules
import evidence_simulation
import evidence_tables
import make_evidence
import numpy as np
import pytest
from scipy.stats import binomtest

from edgeticket.measure import duel
from edgeticket.measure.process import Process


def test_the_jobs_are_those_that_were_promised_and_have_one_name_each() -> None:
    jobs = bench_evidence.jobs()
    assert jobs == bench_evidence.jobs()
    assert len({job.key for job in jobs}) == len(jobs)
    effects = Counter(job.effect for job in jobs if job.kind == "injected")
    assert effects[0.0] >= 200
    assert effects[0.05] == 100
    assert min(effects[effect] for effect in (0.01, 0.02, 0.03, 0.1)) >= 15
    assert sum(job.hogs != 0 for job in jobs) == 40  # as first planned


def test_every_void_comparison_is_wanted_again() -> None:
    void = {e["key"].removeprefix("void|") for e in evidence_file.read() if e["kind"] == evidence_file.VOID}
    assert void <= {job.key for job in bench_evidence.jobs()}


def entry(effect: float, number: int, candidate: float = 1.0, verdict: str = "pass", hogs: int = 0) -> dict[str, Any]:
    us = {"candidate": [candidate * 100.0] * 3, "baseline": [100.0] * 3, "baseline again": [100.0] * 3}
    judgement = {"estimate": candidate - 1}
    return {"key": f"injected|{effect:g}|{hogs}|{number}", "kind": "injected", "effect": effect, "hogs": hogs,
            "model": "m", "verdict": verdict, "seconds": 20.0, "realised": effect, "judgement": judgement,
            "created": "2026-01-02T03:04:05Z", "load": 0.5,
            "host": {"cpu": "c", "cores": 2, "onnxruntime": "1", "fingerprint": "f"},
            "processes": [{"us": us, "faults": "..w"}, {"us": us, "faults": "..."}]}  # fmt: skip


def test_what_is_measured_is_kept_and_a_torn_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    bench_evidence.append(path, entry(0.0, 0))
    with path.open("a") as stream:
        stream.write('{"key": "injected|0|0|1", "kind": "inj')
    bench_evidence.append(path, entry(0.05, 2))
    assert [found["key"] for found in evidence_file.read(path)] == ["injected|0|0|0", "injected|0.05|0|2"]


def test_a_comparison_is_kept_with_its_raw_samples() -> None:
    process = Process({"candidate": (1.23456789,), "baseline": (1.0,)}, ("CPU shared",), 1.0, None)
    row = bench_evidence.row(duel.Duel(duel.Plan(), processes=[process]), 0.5)
    assert row["processes"] == [{"us": {"candidate": [1234.6], "baseline": [1000.0]}, "faults": "w"}]
    assert row["verdict"] == "inconclusive"
    json.dumps(row)


@pytest.mark.parametrize(("slower", "said"), [(1.04, "pass"), (1.06, "regression")])
def test_the_other_rules_compare_one_number(slower: float, said: str) -> None:
    now = entry(0.0, 1, slower)
    assert evidence_rules.pytest_benchmark(now, min) == said
    assert evidence_rules.mean_against_threshold(now, entry(0.0, 0)) == said
    assert evidence_rules.mean_against_threshold(now, None) is None


def test_every_rule_stands_at_the_whole_and_at_half_of_the_tolerance() -> None:
    [(_, answers)] = evidence_rules.side_by_side([entry(0.0, 0, hogs=0), entry(0.05, 1, 1.04)])
    said = {rule: answer for rule, answer in answers.items() if rule != evidence_rules.OURS}
    assert {answer for rule, answer in said.items() if "2.5" in rule} == {"regression"}
    assert {answer for rule, answer in said.items() if "2.5" not in rule} == {"pass"}
    assert len(said) == 8


def test_a_ratio_of_medians_takes_the_middle_of_all_processes() -> None:
    noisy = entry(0.0, 0)
    noisy["processes"] = [{"us": {"candidate": [each], "baseline": [100.0]}, "faults": "."} for each in (100, 101, 900)]
    assert evidence_rules.ratio_of_medians(noisy, 0.025) == "pass"
    assert evidence_rules.ratio_of_medians(noisy, 0.005) == "regression"


def test_a_slow_down_stands_beside_what_it_came_to_for_each_model() -> None:
    small = entry(0.01, 1, 1.023) | {"model": "small"}
    large = entry(0.01, 2, 1.01) | {"model": "large"}
    part = sections([*many(), small, large])["Verdicts by slow-down"]
    assert "| 1 % | small | 1.00 % (1.00 to 1.00) | 2.30 % (2.30 to 2.30) |" in part
    assert "| 1 % | large | 1.00 % (1.00 to 1.00) | 1.00 % (1.00 to 1.00) |" in part
    assert "| **1 %** | all | 1.00 % (1.00 to 1.00) | 1.65 % (1.00 to 2.30) |" in part


def test_time_is_that_of_verdicts_and_the_others_are_counted() -> None:
    capped = entry(0.0, 20, verdict="inconclusive") | {"seconds": 60.0}
    head = sections([entry(0.0, 0), capped])[""]
    assert "20 s at most in the 1 that came to a verdict; the other 1 ended without one" in head
    assert "Of the 1 that came to a verdict: 0 of 1 (0.0 %)" in head


def test_void_comparisons_that_were_not_made_again_are_counted() -> None:
    void = [entry(0.05, n) | {"kind": "void", "key": f"void|injected|0.05|0|{n}"} for n in (0, 99)]
    head = " ".join(sections([*many(), *void])[""].split())
    assert "1 of them were made again, 1 not" in head


def test_what_wins_is_counted() -> None:
    part = " ".join(sections(many())["The same runs judged by other rules"].split())
    assert "it catches 4 of 4 (100.0 %) of the slow-downs of 5 %" in part
    assert "slower than itself in 0 of 7 (0.0 %)" in part


def test_the_mean_is_stored_for_each_model_and_host_and_not_beside_hogs() -> None:
    other = entry(0.0, 3) | {"host": entry(0.0, 0)["host"] | {"fingerprint": "g"}}
    slow = entry(0.0, 1, hogs=1)
    slow["processes"] = [{"us": {arm: [999.0] * 3 for arm in slow["processes"][0]["us"]}, "faults": "..."}] * 2
    answered = list(evidence_rules.side_by_side([entry(0.0, 0), slow, entry(0.0, 2), other]))
    assert [found["key"][-3:] for found, _ in answered] == ["1|1", "0|2"]
    assert [answers["mean against the last run's, 105 %"] for _, answers in answered] == ["regression", "pass"]


@pytest.mark.parametrize(("effect", "said"), [(0.0, "pass"), (0.1, "regression")])
def test_what_is_simulated_has_a_known_answer(effect: float, said: str) -> None:
    rng = np.random.default_rng(0)
    assert {evidence_simulation.simulated(effect, 0.01, 0.0, [12, 40], rng) for _ in range(20)} == {said}


@pytest.mark.parametrize(("count", "of"), [(0, 200), (1, 10), (45, 45), (97, 100)])
def test_intervals_are_scipys(count: int, of: int) -> None:
    known = binomtest(count, of).proportion_ci(0.95, method="exact")
    assert evidence_tables.interval(count, of) == pytest.approx((known.low, known.high), abs=1e-9)


def sections(entries: list[dict[str, Any]]) -> dict[str, str]:
    """The document by heading; what comes before the first is ''."""
    parts = make_evidence.document(entries).split("\n## ")
    return {"": parts[0]} | {part.partition("\n")[0]: part for part in parts[1:]}


def many() -> list[dict[str, Any]]:
    entries = [entry(0.0, n) for n in range(6)] + [entry(0.0, 6, verdict="regression")]
    entries += [entry(0.0, 7, verdict="inconclusive"), entry(0.0, 8, verdict="inconclusive", hogs=1)]
    entries += [entry(0.0, 9, verdict="inconclusive", hogs=-1), entry(0.0, 10, hogs=-1)]
    return entries + [entry(0.05, n, 1.05, "regression") for n in range(4)]


def test_the_document_states_targets_and_whether_they_are_met() -> None:
    head = sections(many())[""]
    assert "15 comparisons, measured on 2026-01-02. All" in head
    parts = ("called a regression | at most 1 % of 200", "called a regression | at least 95 % of 100", "passed | none")
    same, caught, passed = (next(line for line in head.splitlines() if part in line) for part in parts)
    assert "1 of 11 (9.1 %)" in same
    assert "**missed** so far, 189 to come" in same
    assert "4 of 4 (100.0 %)" in caught
    assert "0 of 4 (0.0 %) | **met** so far, 96 to come" in passed
    head = sections([entry(0.05, n, 1.05, "regression") for n in range(100)])[""]
    assert "| slowed down by 5 %: passed | none | 0 of 100 (0.0 %) | **met** |" in head


def test_the_same_model_twice_is_summed_up_with_and_without_hogs() -> None:
    part = sections(many())["The same model twice"]
    assert "| no hog | 1 of 8 (12.5 %) | 1 of 8 (12.5 %) | 6 of 8 (75.0 %) |" in part
    assert "| any hogs | 0 of 3 (0.0 %) | 2 of 3 (66.7 %) | 1 of 3 (33.3 %) |" in part
    assert "| **all** | 1 of 11 (9.1 %) | 3 of 11 (27.3 %) | 7 of 11 (63.6 %) |" in part


def test_other_work_on_the_machine_is_owned_up_to() -> None:
    busy = [entry(0.0, n) | {"load": 900.0} for n in range(2)]
    busy[0] = busy[0] | {"verdict": "inconclusive", "processes": [busy[0]["processes"][0] | {"faults": "www"}] * 2}
    part = " ".join(sections([*many(), *busy])["The same model twice"].split())
    assert "above 2 in 2 of 14, and up to 900" in part
    assert (
        "In 1 most blocks were disturbed and dropped, and 1 of those were inconclusive, as were 1 of the other" in part
    )


def test_void_comparisons_are_named_and_counted_nowhere() -> None:
    void = [entry(0.05, n) | {"kind": "void", "key": f"void|{n}"} for n in range(3)]
    found, without = sections([*many(), *void]), sections(many())
    assert "3 more comparisons are in the file as *void*" in found[""]
    assert "What they said at 5 %: 0 regression, 0 inconclusive, 3 pass." in found[""]
    assert "void" not in without[""]
    assert {name: part for name, part in found.items() if name} == {
        name: part for name, part in without.items() if name
    }


def test_real_regressions_and_hosts_have_tables() -> None:
    dead = entry(0.0, 0, 1.2, "regression") | {"kind": "dead units"}
    dead["host"] = dead["host"] | {"fingerprint": "g", "cores": 1}
    found = sections([*many(), dead])
    assert "| dead units | +20.0 % (+20.0 to +20.0) | 1 of 1 (100.0 %) |" in found["Regressions that happen to people"]
    assert "| f | c, onnxruntime 1 | 2 | 15 |" in found["Where it was measured"]
    assert "| g | c, onnxruntime 1 | 1 | 1 | none yet |" in found["Where it was measured"]


def test_an_empty_file_makes_a_document_that_says_so() -> None:
    assert "0 comparisons" in make_evidence.document([])
    assert sections([])["The same runs judged by other rules"].rstrip().endswith("None yet.")


def test_a_torn_line_does_not_stop_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "copy.jsonl"
    path.write_text(json.dumps(entry(0.0, 0)) + '\n{"key": "x", "us": {"a": [1}\n' + json.dumps(entry(0.0, 1)) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["make_evidence.py", str(path)])
        make_evidence.main()
    assert "2 comparisons" in capsys.readouterr().out
