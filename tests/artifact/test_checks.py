"""The checks of an artifact, on real ones: what must be seen is seen, and nothing altered is ever run."""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_artifacts
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeticket import api
from edgeticket.artifact import checks
from edgeticket.ticket.metrics import METRICS

FILES = [
    "SHA256SUMS",
    "check.py",
    "golden.npz",
    "manifest.json",
    "model.onnx",
    "report.html",
    "report.json",
    "report.md",
    "slice.npz",
    "verify/conftest.py",
    "verify/plugin.py",
    "verify/run.py",
    "verify/test_the_artifact.py",
]


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a ticket, never changed."""
    source = sample_artifacts.ticket(tmp_path_factory.mktemp("run") / "ticket")
    return api.export(source, bench=False).folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(exported, tmp_path / "artifact"))


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Change a file and record its hash, as somebody would who exports by hand."""
    (folder / name).write_bytes(data)
    files = [name for name in names_in(folder) if name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest, hashes included."""
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, "manifest.json", json.dumps({**manifest, **changes}).encode())


def verdicts(outcome: checks.Outcome) -> dict[str, str]:
    return {check.name: check.verdict for check in outcome.checks}


def test_a_good_artifact_passes(exported: Path) -> None:
    outcome = checks.check_artifact(exported)
    assert verdicts(outcome) == {"hashes": "pass", "bytes": "pass", "golden": "pass", "accuracy": "pass"}
    assert outcome.exit_code == 0
    assert json.loads(outcome.to_json())["verdict"] == "pass"


def test_the_fixture_has_every_file(exported: Path) -> None:
    assert names_in(exported) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", [0, 1])
def test_one_flipped_bit_anywhere_is_an_integrity_error(folder: Path, name: str, seed: int) -> None:
    chance = random.Random(f"{name} {seed}")
    data = bytearray((folder / name).read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (folder / name).write_bytes(data)
    outcome = checks.check_artifact(folder)
    assert verdicts(outcome) == {"hashes": "integrity"}
    assert outcome.exit_code == 4
    # A digit of a hash that is another digit now makes the file it belongs to look altered.
    assert name in outcome.checks[0].sentence or name == "SHA256SUMS"


def test_every_bit_of_the_sums_counts(folder: Path) -> None:
    """The one file without a recorded hash is accepted only as it is written."""
    sums = folder / "SHA256SUMS"
    whole = sums.read_bytes()
    line = whole.index(b"\n") + 1
    for place in range(line):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            sums.write_bytes(changed)
            with pytest.raises(checks.DamagedError):
                checks.open_artifact(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_an_integrity_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    outcome = checks.check_artifact(folder)
    assert outcome.exit_code == 4
    assert f"{name} is missing" in outcome.checks[0].sentence


def test_a_file_too_many_is_an_integrity_error(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "extra.bin").write_bytes(b"")
    outcome = checks.check_artifact(folder)
    assert outcome.exit_code == 4
    assert "sub/extra.bin is not part of it" in outcome.checks[0].sentence


NOTES = ["SHA256SUMS.asc", "SHA256SUMS.sig", "model.sigstore.json", "README", "NOTICE.md", ".DS_Store",
         "verify/.DS_Store", "verify/._run.py", "Thumbs.db"]  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_a_signature_or_a_note_beside_the_sums_breaks_nothing(folder: Path, name: str) -> None:
    (folder / "verify").mkdir(exist_ok=True)
    (folder / name).write_bytes(b"import os; os.abort()")
    outcome = checks.check_artifact(folder)
    assert outcome.exit_code == 0
    assert f"not listed, and not read: {name}" in outcome.checks[0].sentence
    assert name not in checks.open_artifact(folder).files


@pytest.mark.parametrize("name", ["numpy.py", "conftest.py", "verify/evil.py", "json.pyc", "numpy.cpython-311-x.so",
                                  "pytest.ini", "pyproject.toml", "x.pth", "verify/note.txt"])  # fmt: skip
def test_what_would_be_run_or_obeyed_may_not_lie_there(folder: Path, name: str) -> None:
    (folder / "verify").mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    outcome = checks.check_artifact(folder)
    assert outcome.exit_code == 4
    assert f"{name} is not part of it" in outcome.checks[0].sentence


def test_a_signature_does_not_hide_a_damaged_file(folder: Path) -> None:
    (folder / "SHA256SUMS.asc").write_bytes(b"")
    (folder / "manifest.json").write_bytes(b"{}")
    assert checks.check_artifact(folder).exit_code == 4


def test_what_python_leaves_behind_is_not_counted(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "check.pyc").write_bytes(b"")
    assert checks.check_artifact(folder).exit_code == 0


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/hostname"])
def test_sums_never_reach_outside(folder: Path, name: str) -> None:
    with (folder / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  {name}\n")
    outcome = checks.check_artifact(folder)
    assert outcome.exit_code == 4
    assert "outside" in outcome.checks[0].sentence


def test_an_altered_model_is_never_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the runtime was given an altered model")

    monkeypatch.setattr(checks, "session", loaded)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-1])
    assert checks.check_artifact(folder).exit_code == 4


def test_outputs_beyond_the_tolerance_fail(folder: Path) -> None:
    with np.load(folder / "golden.npz") as arrays:
        kept = dict(arrays)
    kept["0.output.0"] = kept["0.output.0"].copy()
    kept["0.output.0"][3, 4] += 1e-2
    np.savez(folder / "moved.npz", **kept)
    data = (folder / "moved.npz").read_bytes()
    (folder / "moved.npz").unlink()
    rewrite(folder, "golden.npz", data)
    outcome = checks.check_artifact(folder)
    assert verdicts(outcome)["golden"] == "fail"
    assert outcome.exit_code == 1
    assert "beyond" in next(check.sentence for check in outcome.checks if check.name == "golden")


def test_an_accuracy_the_tolerance_cannot_explain_fails(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    edit(folder, metric={**manifest["metric"], "slice_value": manifest["metric"]["slice_value"] - 1})
    assert verdicts(checks.check_artifact(folder))["accuracy"] == "fail"


def test_wrong_bytes_in_the_manifest_fail(folder: Path) -> None:
    edit(folder, size_bytes=1)
    assert verdicts(checks.check_artifact(folder))["bytes"] == "fail"


@pytest.mark.parametrize(
    ("limit_ms", "host", "verdict", "code"),
    [(1e6, "any", "pass", 0), (1e-9, "any", "fail", 1), (1e6, "another", "inconclusive", 3), (1e6, "this", "pass", 0)],
)
def test_a_budget(folder: Path, limit_ms: float, host: str, verdict: str, code: int) -> None:
    host = checks.host()["fingerprint"] if host == "this" else host
    edit(folder, budget={"latency_ms": limit_ms, "threads": 1, "host": host})
    outcome = checks.check_artifact(folder)
    assert verdicts(outcome)["latency"] == verdict
    assert outcome.exit_code == code
    values = next(check.values for check in outcome.checks if check.name == "latency")
    assert values["low_ms"] <= values["median_ms"] <= values["high_ms"]


def test_a_budget_for_more_threads_than_cores_is_open(folder: Path) -> None:
    edit(folder, budget={"latency_ms": 1e6, "threads": 1024, "host": "any"})
    outcome = checks.check_artifact(folder)
    assert verdicts(outcome)["latency"] == "inconclusive"
    assert "a budget at 1,024 threads needs as many cores" in outcome.checks[-1].sentence
    assert outcome.exit_code == 3


@pytest.mark.parametrize("threads", ["0", "-1", "4096", "99999999999999999999"])
def test_the_script_refuses_threads_without_meaning(
    folder: Path, capsys: pytest.CaptureFixture[str], threads: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        checks.main([str(folder), "--threads", threads])
    assert stopped.value.code == 2
    assert f"--threads {threads}: from 1 to " in capsys.readouterr().err


def test_a_model_that_this_runtime_does_not_take_fails(folder: Path) -> None:
    rewrite(folder, "model.onnx", b"\x08\x09 this is no model")
    edit(folder, size_bytes=18)
    outcome = checks.check_artifact(folder)
    assert verdicts(outcome)["runs"] == "fail"
    assert "cannot run model.onnx" in outcome.checks[-1].sentence


@pytest.mark.parametrize("change", [{"format": "other"}, {"version": 2}])
def test_an_unknown_format_is_no_artifact(folder: Path, change: dict[str, Any]) -> None:
    edit(folder, **change)
    with pytest.raises(checks.NotAnArtifactError, match=r"check\.py inside the artifact"):
        checks.check_artifact(folder)


def test_an_empty_folder_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(checks.NotAnArtifactError, match="no artifact here"):
        checks.check_artifact(tmp_path)


def test_the_copy_runs_alone(exported: Path, tmp_path: Path) -> None:
    """The artifact's check.py needs nothing of edgeticket: -I keeps PYTHONPATH and this folder out."""
    script = (
        "import runpy, sys; sys.modules['edgeticket'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", script, str(exported / "check.py"), "--json", str(tmp_path / "r.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "golden    pass" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == 0


def test_the_script_says_what_is_no_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main([str(tmp_path)]) == 2
    assert "no artifact here" in capsys.readouterr().err


def test_json_on_standard_output_is_alone_there(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main([str(exported), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "edgeticket-check"


# --- Answers ---


@given(
    hnp.arrays(np.float32, (12, 7), elements=st.integers(-3, 3).map(float)),
    hnp.arrays(np.int64, 12, elements=st.integers(0, 6)),
)
def test_the_value_of_a_metric_is_that_of_metrics(outputs: checks.Array, targets: checks.Array) -> None:
    for name in ("accuracy", "top5"):
        low, value, high = checks.metric_range(name, outputs, targets, 0.0)
        assert low <= value <= high
        assert value == pytest.approx(METRICS[name](outputs, targets))
    for name in ("mae", "mse"):
        assert checks.metric_range(name, outputs, outputs + 1, 0.0) == pytest.approx((1, 1, 1))


@given(
    hnp.arrays(np.float32, (9, 6), elements=st.floats(-2, 2, width=32)),
    hnp.arrays(np.float32, (9, 6), elements=st.floats(-1, 1, width=32)),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 5)),
)
def test_the_range_holds_whatever_the_tolerance_allows(
    outputs: checks.Array, push: checks.Array, targets: checks.Array
) -> None:
    atol = 0.25
    moved = outputs.astype(np.float64) + atol * push
    values = np.abs(outputs) / 2
    for name in ("accuracy", "top5", "mae", "mse"):
        wanted: checks.Array = targets if name in ("accuracy", "top5") else values
        low, _, high = checks.metric_range(name, outputs.astype(np.float64), wanted, atol * (1 + 1e-9))
        assert low - 1e-9 <= METRICS[name](moved, wanted) <= high + 1e-9


@pytest.mark.parametrize("name", ["accuracy", "top5"])
@pytest.mark.parametrize("atol", [0.0, 0.1])
def test_outputs_that_are_not_numbers_are_never_right(name: str, atol: float) -> None:
    targets = np.arange(10)
    right = np.eye(10, dtype=np.float32)
    assert checks.metric_range(name, right, targets, atol)[1] == 100
    for broken in (np.full_like(right, np.nan), np.where(right > 0, np.float32(np.nan), right)):
        assert checks.metric_range(name, broken, targets, atol) == (0, 0, 0)
    one = right.copy()
    one[0, 3] = np.nan  # a class that nobody can call behind the target
    assert checks.metric_range("accuracy", one, targets, atol)[1] == 90


def test_an_error_with_nan_in_it_is_no_number() -> None:
    assert math.isnan(checks.metric_range("mae", np.full(3, np.nan), np.zeros(3), 0.1)[1])


def test_deltas() -> None:
    a = np.array([1.0, math.nan, math.inf, -math.inf])
    assert checks.max_delta(a, a.copy()) == 0
    assert checks.max_delta(a, np.array([1.5, math.nan, math.inf, -math.inf])) == 0.5
    assert checks.max_delta(a, np.array([1.0, 0.0, math.inf, -math.inf])) == math.inf
    assert checks.max_delta(a, np.array([1.0, math.nan, -math.inf, -math.inf])) == math.inf
    assert checks.max_delta(a, a[:2]) == math.inf
    assert checks.max_delta(np.array([True, False]), np.array([True, True])) == math.inf


def test_the_interval_of_the_median_is_the_tabulated_one() -> None:
    """Conover, Practical Nonparametric Statistics, table A3: n = 20, 99 %: ranks 4 and 17; n = 8: 1 and 8."""
    assert checks.median_interval(range(1, 21), 0.99) == (4, 10.5, 17)
    assert checks.median_interval(range(1, 9), 0.99) == (1, 4.5, 8)
    assert checks.median_interval(range(1, 8), 0.99) == (-math.inf, 4, math.inf)
    assert checks.median_interval(range(1, 26), 0.95) == (8, 13, 18)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        low, _, high = checks.median_interval(rng.exponential(size=41).tolist(), 0.95)
        held += low <= math.log(2) <= high
    assert 0.94 < held / 2000 < 0.985


def test_what_json_cannot_hold_becomes_text() -> None:
    assert checks.finite({"a": [math.inf, 1.5], "b": math.nan}) == {"a": ["inf", 1.5], "b": "nan"}


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, -0.5), ([0.5, 0.25], [1.0, -1.0])])
def test_decoding_is_what_find_did(scale: Any, offset: Any) -> None:
    from edgeticket.ticket.store import scaled

    stored = np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2)
    expected = scaled(stored, np.asarray(scale, np.float32), np.asarray(offset, np.float32))
    assert np.array_equal(checks.decode(stored, {"scale": scale, "offset": offset}), expected)
