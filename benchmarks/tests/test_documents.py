"""The documents that are kept are those that the programs make from the results that are kept."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import make_evidence
import make_results
import pytest
from evidence_file import read

DOCS = Path(__file__).parents[2] / "docs"


def test_the_evidence_is_made_of_the_comparisons_kept() -> None:
    kept = (DOCS / "evidence.md").read_text(encoding="utf-8")
    assert make_evidence.document(read()).rstrip() + "\n" == kept, "make evidence writes it anew"


def test_the_results_are_made_of_the_runs_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_results, "DOCS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_results.py"])
    make_results.main()
    kept = (DOCS / "results.md").read_text(encoding="utf-8")
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == kept, "benchmarks/make_results.py writes it anew"


def test_results_hold_no_path_of_the_machine_that_measured() -> None:
    for path in sorted((DOCS / "results").glob("*.json*")):
        assert re.findall(r'"(?:/[\w.-]+){2,}"', path.read_text(encoding="utf-8")) == [], path.name
