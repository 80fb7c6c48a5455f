"""`check` on both providers: what is said of the sparse engine, and when it decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_artifacts
from engine_library import needs_library

from edgeticket import api, engine, runtime
from edgeticket.artifact import checks, parity
from edgeticket.errors import InputError
from edgeticket.measure import profile


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never changed."""
    return api.export(sample_artifacts.onnx_file(tmp_path_factory.mktemp("model")), bench=False).folder


@pytest.fixture
def claims_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of these tests is so small that whether it is worth taking is a matter of the machine."""
    plain = runtime.session

    def session(model: Any, *, provider_options: dict[str, str] | None = None, **rest: Any) -> Any:
        return plain(model, provider_options={**(provider_options or {}), "claim": "always"}, **rest)

    monkeypatch.setattr(runtime, "session", session)


@needs_library
@pytest.mark.usefixtures("claims_always")
def test_the_engines_outputs_are_the_cpu_providers(artifact: Path) -> None:
    found = parity.engine_parity(checks.open_artifact(artifact))
    assert found.state == parity.RAN
    assert found.claimed > 0
    assert found.within is True
    assert found.max_abs_delta is not None
    assert found.tolerance is not None
    assert 0 <= found.max_abs_delta <= found.tolerance
    assert found.output_range is not None
    assert found.output_range > found.tolerance, "the tolerance says something of the outputs"
    assert f"a range of {found.output_range:.3g}" in found.sentence


@needs_library
@pytest.mark.usefixtures("claims_always")
def test_check_adds_a_line_with_both_latencies(artifact: Path) -> None:
    line = api.check(artifact, engine=True).checks[-1]
    assert (line.name, line.verdict) == ("engine", "pass")
    assert line.values["sparse_ms"] > 0
    assert line.values["cpu_ms"] > 0
    assert "times as fast as the same file on the CPU provider" in line.sentence
    assert "max |Δ|" in line.sentence


@needs_library
@pytest.mark.usefixtures("claims_always")
def test_outputs_beyond_their_tolerance_fail(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = runtime.run
    monkeypatch.setattr(parity.runtime, "run", lambda *given: {k: v + 1 for k, v in plain(*given).items()})
    outcome = api.check(artifact, engine=True)
    assert outcome.checks[-1].verdict == "fail"
    assert outcome.exit_code == 1


@needs_library
@pytest.mark.usefixtures("claims_always")
@pytest.mark.parametrize(("value", "within"), [(np.nan, False), (np.inf, False), (0.0, True)])
def test_a_number_must_not_become_nan(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, value: float, within: bool
) -> None:
    plain = runtime.run
    monkeypatch.setattr(
        parity.runtime, "run", lambda *given: {k: v + np.float32(value) for k, v in plain(*given).items()}
    )
    found = parity.engine_parity(checks.open_artifact(artifact))
    assert found.within is within
    assert (found.max_abs_delta is None) is not within


@needs_library
@pytest.mark.usefixtures("claims_always")
def test_what_is_not_finite_on_the_cpu_provider_is_not_compared(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = checks.golden_feeds

    def infinite(opened: checks.Opened) -> Any:
        for feed, wanted in honest(opened):
            wanted[0][0, 0] = np.inf
            yield feed, wanted

    monkeypatch.setattr(checks, "golden_feeds", infinite)
    found = parity.engine_parity(checks.open_artifact(artifact))
    assert found.within is True
    assert re.search(r"\d+ values not compared, which there are NaN or infinite", found.sentence)


def test_an_engine_that_is_missing_is_said_and_decides_nothing(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LIBRARY", "libnothere.so")
    monkeypatch.setattr(runtime, "_device", lambda: None)
    outcome = api.check(artifact, engine=True)
    assert outcome.checks[-1].verdict == "shown"
    assert "libnothere.so is missing" in outcome.checks[-1].sentence
    assert outcome.exit_code == 0


@needs_library
def test_an_engine_that_fails_fails_the_check(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def session(*_: Any, **__: Any) -> Any:
        raise InputError("the kernel has no such shape")

    monkeypatch.setattr(runtime, "session", session)
    line = api.check(artifact, engine=True).checks[-1]
    assert (line.verdict, line.sentence) == ("fail", "the sparse engine failed: the kernel has no such shape")


@needs_library
@pytest.mark.usefixtures("claims_always")
def test_an_export_measures_both_and_its_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "LIMIT_S", 0.2)
    made = api.export(sample_artifacts.onnx_file(tmp_path))
    assert not made.content.failures
    for what in ("latency", "load", "first-inference"):
        assert made.content.measured(what, "exported", provider="sparse") is not None, what
        assert made.content.measured(what, "exported") is not None, what
    text = (made.folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert "exported, sparse engine" in text
    assert "times as fast as the source on the CPU provider" in text
    assert re.search(
        "times as fast as this file on the CPU provider|no difference to this file on the CPU provider", text
    )
    assert "Latency on the CPU provider and the sparse engine" in text
