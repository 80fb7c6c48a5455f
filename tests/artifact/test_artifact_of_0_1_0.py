"""An artifact that edgeticket 0.1.0 wrote: it is checked, inspected, measured and replaced as one of today."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sample_artifacts
from click.testing import CliRunner, Result
from engine_library import needs_library

from edgeticket import api
from edgeticket.cli import main
from edgeticket.errors import Exit
from edgeticket.subject.shared_feed import shared_feed
from edgeticket.subject.subject import open_subject, require_alike
from edgeticket.version import __version__

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "0.1.0"
CHECKS = ["hashes", "bytes", "golden", "accuracy", "latency"]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A copy; its budget of a second holds on every host."""
    return Path(shutil.copytree(FIXTURE / "artifact", tmp_path / "artifact"))


def edgeticket(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_passes_every_check(artifact: Path) -> None:
    outcome = api.check(artifact)
    assert [(check.name, check.verdict) for check in outcome.checks] == [(name, "pass") for name in CHECKS]
    assert outcome.exit_code == Exit.YES


def test_it_passes_on_the_command_line_with_the_ticket_around_it(artifact: Path) -> None:
    done = edgeticket("check", artifact.parent, "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_damage_is_still_seen(artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes((artifact / "model.onnx").read_bytes()[:-1])
    assert edgeticket("check", artifact).exit_code == 4


@needs_library
def test_it_is_inspected(artifact: Path) -> None:
    inspected = api.inspect(artifact)
    assert inspected.subject.name == "fixture"
    assert {record.op for record in inspected.records} >= {"Conv"}


def test_its_golden_input_is_what_models_are_timed_on(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    subject = open_subject(artifact, tmp_path / "work", "candidate")
    assert (subject.name, subject.has_slice, subject.size_bytes) == ("fixture", True, 1623)
    assert subject.budget == {"latency_ms": 1000.0, "threads": 1, "host": "any"}
    require_alike(subject, subject)
    feed = shared_feed({"candidate": subject}, {}, tmp_path / "work" / "feed.npz")
    with np.load(artifact / "golden.npz") as golden:
        assert np.array_equal(feed["input"], golden["0.input.0"][:1])


def test_an_export_to_its_place_replaces_it_as_a_whole(artifact: Path, tmp_path: Path) -> None:
    made = api.export(sample_artifacts.onnx_file(tmp_path), out=artifact, bench=False)
    assert made.manifest.versions["edgeticket"] == __version__
    assert json.loads((artifact / "manifest.json").read_text())["name"] == "small"
    assert not (artifact / "slice.npz").exists()
    assert api.check(artifact).exit_code == Exit.YES


@pytest.mark.parametrize("carried", ["check.py", "verify/run.py"])
def test_the_checks_that_it_carries_still_run(artifact: Path, carried: str) -> None:
    done = script(artifact / carried)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [[name, "pass"] for name in CHECKS]


def test_the_suite_that_it_carries_runs_under_pytest(artifact: Path) -> None:
    done = script("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", artifact, artifact / "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
