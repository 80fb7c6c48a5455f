"""One test for each check of edgeticket/artifact/checks.py; an inconclusive one is skipped with its sentence."""

from __future__ import annotations

from typing import Any

import pytest


def judge(outcome: Any, name: str, absent: str) -> None:
    """Pass, fail or skip as the check named `name` did; `absent` says why there may be none."""
    by_name = {check.name: check for check in outcome.checks}
    if name not in by_name:
        stopped = next((by_name[other] for other in ("hashes", "runs") if other in by_name), None)
        if stopped is not None and stopped.verdict != "pass":
            pytest.skip(f"not made: {stopped.sentence}")
        pytest.skip(absent)
    check = by_name[name]
    if check.verdict == "inconclusive":
        pytest.skip(check.sentence)
    assert check.verdict == "pass", check.sentence


def test_hashes(outcome: Any) -> None:
    """Every file is what was written, none is missing and none is one too many."""
    judge(outcome, "hashes", "no hashes were checked")


def test_bytes(outcome: Any) -> None:
    """The model has the manifest's size."""
    judge(outcome, "bytes", "no size was checked")


def test_runs(outcome: Any) -> None:
    """The runtime here loads the model and runs it."""
    broken = [check for check in outcome.checks if check.name == "runs"]
    if broken and broken[0].verdict == "inconclusive":
        pytest.skip(broken[0].sentence)
    if outcome.checks[0].verdict == "integrity":
        pytest.skip(f"not run: {outcome.checks[0].sentence}")
    assert not broken, broken[0].sentence


def test_golden_outputs(outcome: Any) -> None:
    """The golden outputs are met within the manifest's tolerance."""
    judge(outcome, "golden", "the artifact has no golden outputs")


def test_accuracy(outcome: Any) -> None:
    """The metric on the shipped slice is the manifest's."""
    judge(outcome, "accuracy", "the artifact has no labelled slice")


def test_latency(outcome: Any) -> None:
    """The median inference is within the manifest's budget."""
    judge(outcome, "latency", "the manifest sets no budget; `edgeticket export --budget-ms` does")
